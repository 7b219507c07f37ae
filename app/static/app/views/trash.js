import { html, useEffect, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { queue } from "../queue.js";
import { call } from "../session.js";
import { projectName, store } from "../store.js";
import { tasksOf } from "../sync.js";
import { complain, show } from "../ui.js";
import { emptyTrash, restoreTask } from "../writes.js";
import { Bell } from "./bell_button.js";
import { Icon } from "./icon.js";
/** @import { TrashedTask } from "types/client" */

const TRASH_PAGE = 1000;
const DAY = 86_400_000; // milliseconds
const KEPT_DAYS = Number(document.querySelector("meta[name=trash-days]")?.getAttribute("content")); // 0: for ever

/**
 * How long a task stays in the trash.
 * @param {string} deleted
 */
function sayLeft(deleted) {
  const left = Math.max(0, Math.ceil((Date.parse(deleted) + KEPT_DAYS * DAY - Date.now()) / DAY));
  return left === 0 ? "removed today" : left === 1 ? "1 day left" : `${left} days left`;
}

/** @type {(count: number) => string} */
const sayTasks = (count) => (count === 1 ? "1 task" : `${count.toLocaleString("en")} tasks`);

/** Not part of the replica: fetched when it is shown, and again after a write. */
export function Trash() {
  const [rows, setRows] = useState(/** @type {TrashedTask[] | null} */ (null));
  const [total, setTotal] = useState(0);
  const [sure, setSure] = useState(false);
  const { revision } = store;
  const waiting = queue.size;
  useEffect(() => {
    call("GET", `/tasks/trash?limit=${TRASH_PAGE}&count=true`).then(({ data, total: all }) => {
      setRows(/** @type {TrashedTask[]} */ (tasksOf(data)));
      setTotal(all ?? 0);
    }, complain);
  }, [revision, waiting]);
  useEffect(() => void (document.title = "Trash · Todo"), []);
  return html`
    <header class="head">
      <button class="quiet-button menu" aria-label="Lists" onClick=${() => show({ sidebar: true })}><${Icon} name="menu" /></button>
      <h1>Trash</h1>
      ${rows && html`<p class="tally">${total > rows.length ? `${rows.length.toLocaleString("en")} of ` : ""}${sayTasks(total)}</p>`}
      ${
        rows &&
        rows.length > 0 &&
        html`<button class=${sure ? "danger" : "secondary"} id="empty-trash" onBlur=${() => setSure(false)} onClick=${() => (sure ? (emptyTrash(), setSure(false)) : setSure(true))}>
        ${sure ? `Delete ${sayTasks(total)} permanently?` : "Empty"}
      </button>`
      }
      <${Bell} />
    </header>
    ${sure && html`<p class="note" id="empty-note" role="status">Deleted projects, comments and views are deleted permanently also. This cannot be undone.</p>`}
    ${!sure && KEPT_DAYS > 0 && rows && rows.length > 0 && html`<p class="note quiet">What is here for ${KEPT_DAYS} days is deleted permanently.</p>`}
    ${rows && !rows.length && html`<p class="empty">Nothing in the trash.</p>`}
    <ul class="list" aria-label="Deleted tasks">
      ${rows?.map(
        (task) => html`
        <li class="row trashed" key=${task.id} data-id=${task.id}>
          <div class="words"><p class="title" dir="auto">${task.title}</p>
            <p class="meta"><span>${`Deleted ${sayInstant(task.deleted_at)}`}</span>${KEPT_DAYS > 0 && html`<span class="left">${sayLeft(task.deleted_at)}</span>`}${task.project_id !== null && html`<span><bdi>${projectName(task.project_id) ?? "of a deleted project"}</bdi></span>`}</p></div>
          <button class="secondary restore" onClick=${() => restoreTask(task)}>Restore<span class="unseen"> ${task.title}</span></button>
        </li>`,
      )}
    </ul>
  `;
}
