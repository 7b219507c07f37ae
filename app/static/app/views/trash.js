import { html, useEffect, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { t, tn } from "../language.js";
import { queue } from "../queue.js";
import { call } from "../session.js";
import { projectName, store } from "../store.js";
import { tasksOf } from "../sync.js";
import { complain } from "../ui.js";
import { emptyTrash, restoreTask } from "../writes.js";
import { Bell } from "./bell_button.js";
import { ListsButton } from "./sidebar.js";
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
  return left ? tn("{count} day left", "{count} days left", left) : t("removed today");
}

/** @type {(count: number) => string} */
const sayTasks = (count) => tn("{count} task", "{count} tasks", count);

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
  useEffect(() => void (document.title = `${t("Trash")} · Todo`), []);
  return html`
    <header class="head">
      <${ListsButton} />
      <h1>${t("Trash")}</h1>
      ${rows && html`<p class="tally">${total > rows.length ? tn("{shown} of {count} task", "{shown} of {count} tasks", total, { shown: rows.length }) : sayTasks(total)}</p>`}
      ${
        rows &&
        rows.length > 0 &&
        html`<button class=${sure ? "danger" : "secondary"} id="empty-trash" onBlur=${() => setSure(false)} onClick=${() => (sure ? (emptyTrash(), setSure(false)) : setSure(true))}>
        ${sure ? tn("Delete {count} task permanently?", "Delete {count} tasks permanently?", total) : t("Empty")}
      </button>`
      }
      <${Bell} />
    </header>
    ${sure && html`<p class="note" id="empty-note" role="status">${t("Deleted projects, comments and views are deleted permanently also. This cannot be undone.")}</p>`}
    ${!sure && KEPT_DAYS > 0 && rows && rows.length > 0 && html`<p class="note quiet">${tn("What is here for {count} day is deleted permanently.", "What is here for {count} days is deleted permanently.", KEPT_DAYS)}</p>`}
    ${rows && !rows.length && html`<p class="empty">${t("Nothing in the trash.")}</p>`}
    <ul class="list" aria-label=${t("Deleted tasks")}>
      ${rows?.map(
        (task) => html`
        <li class="row trashed" key=${task.id} data-id=${task.id}>
          <div class="words"><p class="title" dir="auto">${task.title}</p>
            <p class="meta"><span>${t("Deleted {when}", { when: sayInstant(task.deleted_at) })}</span>${KEPT_DAYS > 0 && html`<span class="left">${sayLeft(task.deleted_at)}</span>`}${task.project_id !== null && html`<span><bdi>${projectName(task.project_id) ?? t("of a deleted project")}</bdi></span>`}</p></div>
          <button class="secondary restore" onClick=${() => restoreTask(task)}>${t("Restore")}<span class="unseen"> ${task.title}</span></button>
        </li>`,
      )}
    </ul>
  `;
}
