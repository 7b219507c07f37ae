import { today } from "../dates.js";
import { dropDraft } from "../drafts.js";
import { html } from "../html.js";
import { go } from "../place.js";
import { getTask, keyOf, projects, tagColors, tasks } from "../store.js";
import { show, ui } from "../ui.js";
import { changeTyped, completeTask } from "../writes.js";
import { startDrag } from "../drag.js";
import { isTooLong, keepTyped, TITLE_MAX, typeOver } from "./fields.js";
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
    const task = taskOf(event.target);
    if (!task || !event.target.matches(".edit") || event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      dropDraft(draftOf(task));
      leave(event.target);
    } else if (event.key === "Enter" && !isTooLong(event.target.value, TITLE_MAX)) {
      keep(event.target);
      leave(event.target);
    }
  },
  onInput(/** @type {Typing} */ event) {
    const task = taskOf(event.target);
    if (task && event.target.matches(".edit")) typeOver(draftOf(task), event.target.value, task.title, task.version);
  },
  onFocusOut(/** @type {Typing} */ event) {
    if (event.target.matches(".edit") && ui.editing) {
      keep(event.target);
      show({ editing: null });
    }
  },
};

/** @type {(task: Task) => string} */
const draftOf = (task) => `title:${keyOf(task)}`;

/** @param {HTMLInputElement} field */
function keep(field) {
  const task = taskOf(field);
  const onKeep = task && changeTyped(task, "title", (title) => title);
  if (onKeep) keepTyped(draftOf(task), { value: task.title, max: TITLE_MAX, required: true, onKeep });
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
  const colors = tagColors();
  const day = today();
  const manual = place.sort === "position" && !place.search;
  return html`
    <ul class="list" id="list" aria-label="Tasks" ...${HANDLERS}>
      ${rows.map(
        ({ task, depth }) => html`
        <${Row} key=${keyOf(task)} task=${task} depth=${Math.min(depth, 5)} manual=${manual}
          project=${place.list === "project" || depth ? null : task.project_id && names.get(task.project_id)} steps=${children.get(task.id)?.join("/")} tints=${task.tags.map((tag) => colors.get(tag)?.color ?? "").join()}
          editing=${ui.editing === task.id} day=${day} open=${place.task === task.id} />`,
      )}
    </ul>
  `;
}
