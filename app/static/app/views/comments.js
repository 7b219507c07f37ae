import { html, useEffect, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { call } from "../session.js";
import { comments, put, store } from "../store.js";
import { addComment } from "../writes.js";
/** @import { Task, Typing } from "types/client" */

/**
 * Fetched when a task is opened; after that the stream updates them.
 * @param {{ task: Task }} props
 */
export function Comments({ task }) {
  const [text, setText] = useState("");
  useEffect(() => {
    if (task.id < 0 || store.absent.has("comment")) return;
    call("GET", `/tasks/${task.id}/comments`).then(
      ({ data }) => data.forEach((row) => put("comment", row)),
      (error) => error.code === "route_not_found" && store.absent.add("comment"),
    );
  }, [task.id]);
  if (store.absent.has("comment")) return null;
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
