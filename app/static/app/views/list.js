import { html } from "../html.js";
import { go } from "../place.js";
import { getTask, keyOf, projects, tasks } from "../store.js";
import { show, ui } from "../ui.js";
import { changeTask, completeTask } from "../writes.js";
import { startDrag } from "../drag.js";
import { Row } from "./row.js";
/** @import { ListRow, On, Place, Task, Typing } from "types/client" */

/** @type {(element: Element) => Task | undefined} */
const taskOf = (element) => getTask(Number(element.closest(".row")?.dataset.id));

/** One listener of a kind for all rows: a thousand rows cost nothing until one is used. */
const HANDLERS = {
  onClick(/** @type {On} */ event) {
    const part = event.target.closest("[data-act]")?.dataset.act;
    const task = taskOf(event.target);
    if (!task) return;
    if (part === "complete") completeTask(task);
    else if (part === "open") go({ task: task.id });
    else if (part === "tag") go({ list: "tag", id: event.target.textContent.slice(1), task: 0 });
  },
  onDblClick(/** @type {On} */ event) {
    const task = taskOf(event.target);
    if (task && event.target.closest(".title")) show({ editing: task.id });
  },
  onPointerDown(/** @type {On<HTMLElement, PointerEvent>} */ event) {
    if (event.target.closest(".grip")) startDrag(event);
  },
  onKeyDown(/** @type {On<HTMLInputElement, KeyboardEvent>} */ event) {
    if (!event.target.matches(".edit")) return;
    if (event.key === "Escape") {
      event.preventDefault();
      leave(event.target);
    } else if (event.key === "Enter") {
      keep(event.target);
      leave(event.target);
    }
  },
  onFocusOut(/** @type {Typing} */ event) {
    if (event.target.matches(".edit") && ui.editing) {
      keep(event.target);
      show({ editing: null });
    }
  },
};

/** @param {HTMLInputElement} field */
function keep(field) {
  const task = taskOf(field);
  const title = field.value.trim();
  if (task && title && title !== task.title) changeTask(task, { title });
}

/** @param {HTMLInputElement} field */
function leave(field) {
  const id = field.closest(".row")?.dataset.id;
  show({ editing: null });
  setTimeout(() => document.querySelector(`.row[data-id="${id}"] .title`)?.focus());
}

/** @param {{ rows: ListRow[], place: Place }} props */
export function List({ rows, place }) {
  const names = new Map(projects().map((project) => [project.id, project]));
  /** @type {Map<number, [done: number, all: number]>} */
  const children = new Map();
  for (const { parent_id: parent, completed } of tasks().values()) {
    if (parent === null) continue;
    const [done, all] = children.get(parent) ?? [0, 0];
    children.set(parent, [done + Number(completed), all + 1]);
  }
  const manual = place.sort === "position" && !place.search;
  return html`
    <ul class="list" id="list" aria-label="Tasks" ...${HANDLERS}>
      ${rows.map(
        ({ task, depth }) => html`
        <${Row} key=${keyOf(task)} task=${task} depth=${Math.min(depth, 5)} manual=${manual}
          project=${place.list === "project" || depth ? null : task.project_id && names.get(task.project_id)} steps=${children.get(task.id)?.join("/")}
          editing=${ui.editing === task.id} open=${place.task === task.id} />`,
      )}
    </ul>
  `;
}
