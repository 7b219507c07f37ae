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

/** Not part of the replica: fetched when it is shown, and again after a write. */
export function Trash() {
  const [rows, setRows] = useState(/** @type {TrashedTask[] | null} */ (null));
  const [sure, setSure] = useState(false);
  const { revision } = store;
  const waiting = queue.size;
  useEffect(() => {
    call("GET", `/tasks/trash?limit=${TRASH_PAGE}`).then(
      ({ data }) => setRows(/** @type {TrashedTask[]} */ (tasksOf(data))),
      complain,
    );
  }, [revision, waiting]);
  useEffect(() => void (document.title = "Trash · Todo"), []);
  return html`
    <header class="head">
      <button class="quiet-button menu" aria-label="Lists" onClick=${() => show({ sidebar: true })}><${Icon} name="menu" /></button>
      <h1>Trash</h1>
      ${rows && html`<p class="tally">${rows.length === 1 ? "1 task" : `${rows.length.toLocaleString("en")}${rows.length === TRASH_PAGE ? " or more" : ""} tasks`}</p>`}
      ${
        rows &&
        rows.length > 0 &&
        html`<button class=${sure ? "danger" : "secondary"} id="empty-trash" onBlur=${() => setSure(false)} onClick=${() => (sure ? (emptyTrash(), setSure(false)) : setSure(true))}>
        ${sure ? "Delete all permanently, deleted projects also?" : "Empty"}
      </button>`
      }
      <${Bell} />
    </header>
    ${rows && !rows.length && html`<p class="empty">Nothing in the trash.</p>`}
    <ul class="list" aria-label="Deleted tasks">
      ${rows?.map(
        (task) => html`
        <li class="row trashed" key=${task.id} data-id=${task.id}>
          <div class="words"><p class="title" dir="auto">${task.title}</p>
            <p class="meta"><span>${`Deleted ${sayInstant(task.deleted_at)}`}</span>${task.project_id !== null && html`<span><bdi>${projectName(task.project_id) ?? "of a deleted project"}</bdi></span>`}</p></div>
          <button class="secondary restore" onClick=${() => restoreTask(task)}>Restore<span class="unseen"> ${task.title}</span></button>
        </li>`,
      )}
    </ul>
  `;
}
