import { html, useEffect, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { queue } from "../queue.js";
import { call } from "../session.js";
import { store } from "../store.js";
import { tasksOf } from "../sync.js";
import { complain, show } from "../ui.js";
import { emptyTrash, restoreTask } from "../writes.js";
import { Icon } from "./icon.js";
/** @import { TrashedTask } from "types/client" */

/** Not part of the replica: fetched when it is shown, and again after a write. */
export function Trash() {
  const [rows, setRows] = useState(/** @type {TrashedTask[] | null} */ (null));
  const [sure, setSure] = useState(false);
  const { revision } = store;
  const waiting = queue.size;
  useEffect(() => {
    call("GET", "/tasks/trash?limit=1000").then(
      ({ data }) => setRows(/** @type {TrashedTask[]} */ (tasksOf(data))),
      complain,
    );
  }, [revision, waiting]);
  useEffect(() => void (document.title = "Trash · Todo"), []);
  return html`
    <header class="head">
      <button class="quiet-button menu" aria-label="Lists" onClick=${() => show({ sidebar: true })}><${Icon} name="menu" /></button>
      <h1>Trash</h1>
      ${
        rows &&
        rows.length > 0 &&
        html`<button class=${sure ? "danger" : "secondary"} id="empty-trash" onBlur=${() => setSure(false)} onClick=${() => (sure ? (emptyTrash(), setSure(false)) : setSure(true))}>
        ${sure ? "Delete all permanently?" : "Empty"}
      </button>`
      }
    </header>
    ${rows && !rows.length && html`<p class="empty">Nothing in the trash.</p>`}
    <ul class="list" aria-label="Deleted tasks">
      ${rows?.map(
        (task) => html`
        <li class="row trashed" key=${task.id} data-id=${task.id}>
          <div class="words"><p class="title">${task.title}</p>
            <p class="meta"><span>${`Deleted ${sayInstant(task.deleted_at)}`}</span></p></div>
          <button class="secondary restore" onClick=${() => restoreTask(task)}>Restore<span class="unseen"> ${task.title}</span></button>
        </li>`,
      )}
    </ul>
  `;
}
