import { html, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { comments } from "../store.js";
import { addComment } from "../writes.js";
/** @import { Task, Typing } from "types/client" */

/** @param {{ task: Task }} props */
export function Comments({ task }) {
  const [text, setText] = useState("");
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (text.trim()) addComment(task, text.trim());
    setText("");
  };
  return html`
    <section aria-label="Comments">
      <h3>Comments</h3>
      ${comments(task.id).map((one) => html`<div class="comment" key=${one.id}><p>${one.body}</p><p class="meta">${sayInstant(one.created_at)}</p></div>`)}
      <form onSubmit=${submit}><input id="add-comment" aria-label="New comment" placeholder="Add a comment" maxlength="5000" value=${text} onInput=${(/** @type {Typing} */ event) => setText(event.target.value)} /></form>
    </section>
  `;
}
