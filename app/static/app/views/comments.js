import { html } from "../html.js";
import { sayInstant } from "../dates.js";
import { comments, keyOf } from "../store.js";
import { addComment } from "../writes.js";
import { AddLine } from "./fields.js";
import { Markdown } from "./markdown.js";
/** @import { Task } from "types/client" */

const COMMENT_MAX = 5000; // characters

/** @param {{ task: Task }} props */
export function Comments({ task }) {
  const name = `comment:${keyOf(task)}`;
  const add = (/** @type {string} */ text) => addComment(task, text, { name, text });
  return html`
    <section aria-label="Comments">
      <h3>Comments</h3>
      ${comments(task.id).map((one) => html`<div class="comment" key=${one.id}><${Markdown} text=${one.body} /><p class="meta">${sayInstant(one.created_at)}</p></div>`)}
      <${AddLine} draft=${name} id="add-comment" label="New comment" placeholder="Add a comment" max=${COMMENT_MAX} onAdd=${add} />
    </section>
  `;
}
