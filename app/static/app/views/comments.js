import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { readDraft } from "../drafts.js";
import { t } from "../language.js";
import { comments, keyOf } from "../store.js";
import { addComment, changeComment, deleteComment } from "../writes.js";
import { AddLine, Text } from "./fields.js";
import { Markdown } from "./markdown.js";
import { Sure } from "./tools.js";
/** @import { Base, Comment, Task } from "types/client" */

const COMMENT_MAX = 5000; // characters

/** @param {{ task: Task }} props */
export function Comments({ task }) {
  const name = `comment:${keyOf(task)}`;
  const add = (/** @type {string} */ text) => addComment(task, text, { name, text });
  return html`
    <section aria-label=${t("Comments")}>
      <h3>${t("Comments")}</h3>
      ${comments(task.id).map((one) => html`<${One} key=${keyOf(one)} comment=${one} />`)}
      <${AddLine} draft=${name} id="add-comment" label=${t("New comment")} placeholder=${t("Add a comment")} max=${COMMENT_MAX} onAdd=${add} />
    </section>
  `;
}

/** @param {{ comment: Comment }} props */
function One({ comment }) {
  const name = `comment-text:${keyOf(comment)}`;
  const [isOpen, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => void (isOpen && box.current?.querySelector("textarea")?.focus()), [isOpen]);
  const keep = (/** @type {string} */ body, /** @type {Base} */ base) => changeComment(comment, body, base);
  if (isOpen || readDraft(name)) {
    return html`
      <div class="comment" ref=${box} onFocusOut=${() => setOpen(false)}>
        <${Text} id=${`comment-${comment.id}`} draft=${name} label=${t("Comment")} value=${comment.body} version=${comment.version} max=${COMMENT_MAX} required onKeep=${keep} />
      </div>
    `;
  }
  const isChanged = comment.updated_at > comment.created_at;
  return html`
    <div class="comment">
      <${Markdown} text=${comment.body} />
      <p class="meta">
        <span>${isChanged ? t("{when}, changed", { when: sayInstant(comment.created_at) }) : sayInstant(comment.created_at)}</span>
        ${
          comment.id > 0 && // else it was not sent yet
          html`<button class="link" aria-label=${t("Edit the comment")} onClick=${() => setOpen(true)}>${t("Edit")}</button>
            <${Sure} id=${`delete-comment-${comment.id}`} question=${t("Delete it?")} onClick=${() => deleteComment(comment)} />`
        }
      </p>
    </div>
  `;
}
