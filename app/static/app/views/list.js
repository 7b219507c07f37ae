import { dueDay, sayDay, today } from "../dates.js";
import { dropDraft } from "../drafts.js";
import { isFilter } from "../filter.js";
import { html, useEffect } from "../html.js";
import { t } from "../language.js";
import { go } from "../place.js";
import { press } from "../press.js";
import { getTask, keyOf, projects, steps, tagColors } from "../store.js";
import { complain, show, ui } from "../ui.js";
import { changeTyped, completeTask, reschedule } from "../writes.js";
import { isTooLong, keepTyped, TITLE_MAX, typeOver } from "./fields.js";
import { Row } from "./row.js";
import { useWindow } from "./windowed.js";
/** @import { ListRow, On, Place, Task, Typing } from "types/client" */

/** @type {(element: Element) => Task | undefined} */
const taskOf = (element) => getTask(Number(element.closest(".row")?.dataset.id));

/** @type {Map<string, ListRow[]>} */
export const rowsShown = new Map(); // of the lists on the screen, by their ids

/** Selects the task, or ranges of tasks: by a click with Ctrl or Shift, and by each click while there is a selection. */
function select(/** @type {On<HTMLElement, MouseEvent>} */ { shiftKey }, /** @type {Task} */ task) {
  import("../selection.js").then((selection) => selection[shiftKey ? "selectTo" : "toggleSelected"](task), complain);
}

/** One listener of a kind for all rows: a thousand rows cost nothing until one is used. */
const HANDLERS = {
  onClick(/** @type {On<HTMLElement, MouseEvent>} */ event) {
    const part = event.target.closest("[data-act]")?.dataset.act;
    const task = taskOf(event.target);
    if (!task || event.target.matches(".edit")) return;
    if (ui.selected || event.ctrlKey || event.metaKey || event.shiftKey) select(event, task);
    else if (part === "complete") completeTask(task);
    else if (part === "open") go({ task: task.id });
    else if (part === "tag") go({ list: "tag", id: event.target.textContent.slice(1), task: 0 });
  },
  onDblClick(/** @type {On} */ event) {
    const task = taskOf(event.target);
    if (task && !ui.selected && event.target.closest(".title")) show({ editing: task.id });
  },
  onPointerDown(/** @type {On<HTMLElement, PointerEvent>} */ event) {
    const isTouch = event.pointerType === "touch";
    if (event.target.matches(".edit") || !(isTouch || event.target.closest(".grip"))) return;
    if (!isTouch) event.preventDefault();
    press(event);
  },
  onMouseDown(/** @type {On<HTMLElement, MouseEvent>} */ event) {
    if (event.shiftKey && !event.target.matches(".edit")) event.preventDefault(); // no text is selected
  },
  onKeyDown(/** @type {On<HTMLInputElement, KeyboardEvent>} */ event) {
    const task = taskOf(event.target);
    if (!task || !event.target.matches(".edit") || event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      dropDraft(draftOf(task));
      leave(event.target);
    } else if (event.key === "Enter" && !isTooLong(event.target.value, TITLE_MAX)) {
      event.preventDefault(); // else the title that gets the focus is pressed
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

/**
 * The headings before rows, by their index: what is overdue apart in Today, each day in Upcoming.
 * @param {ListRow[]} rows
 * @param {Place} place
 */
function headings(rows, { list, sort, search, status }) {
  /** @type {Map<number, { text: string, day?: string, overdue?: Task[] }>} */
  const heads = new Map();
  if (sort !== "due_date" || search || status !== "pending" || !["today", "upcoming"].includes(list)) return heads;
  const days = rows.map(({ task }) => dueDay(task.due_date ?? ""));
  const late = list === "today" ? days.filter((day) => day < today()).length : 0;
  if (late) heads.set(0, { text: t("Overdue"), overdue: rows.slice(0, late).map(({ task }) => task) });
  if (late && late < rows.length) heads.set(late, { text: t("Today"), day: today() });
  if (list === "upcoming") {
    days.forEach((day, at) => day !== days[at - 1] && heads.set(at, { text: sayDay(day), day }));
  }
  return heads;
}

/** @param {{ text: string, day?: string, overdue?: Task[] }} props */
const Heading = ({ text, day, overdue }) => html`
  <li class="group" data-day=${day}>
    <h2>${text}</h2>
    ${overdue && html`<button class="link" id="reschedule" title=${t("Gives them today as their due date, without a time")} onClick=${() => reschedule(overdue, today())}>${t("Reschedule all to today")}</button>`}
  </li>
`;

/**
 * `flat`: cards of a board, none below another.
 * @param {{ rows: ListRow[], place: Place, id?: string, label?: string, flat?: boolean }} props
 */
export function List({ rows, place, id = "list", label = t("Tasks"), flat = false }) {
  rowsShown.set(id, rows);
  useEffect(() => () => void (rowsShown.get(id) === rows && rowsShown.delete(id)), [id, rows]);
  const { list, parts } = useWindow(rows.map(({ task }) => task.id));
  const names = new Map(projects().map((project) => [project.id, project]));
  const [children, colors, day] = [steps(), tagColors(), today()];
  const manual = place.sort === "position" && !place.search;
  const heads = headings(rows, place);
  const search = isFilter(place.search) ? "" : place.search.trim();
  const head = (/** @type {number} */ at) =>
    heads.has(at) ? [html`<${Heading} key=${heads.get(at)?.text} ...${heads.get(at)} />`] : [];
  const draw = (/** @type {ListRow} */ { task, depth }, /** @type {number} */ at) => html`
    <${Row} key=${keyOf(task)} task=${task} depth=${Math.min(depth, 5)} grip=${place.list !== "done"} at=${parts && at + 1} of=${parts && rows.length}
      project=${place.list === "project" || depth ? null : task.project_id && names.get(task.project_id)} steps=${children.get(task.id)?.join("/")} tints=${task.tags.map((tag) => colors.get(tag)?.color ?? "").join()}
      editing=${ui.editing === task.id} day=${day} search=${search} open=${place.task === task.id} selected=${ui.selected && ui.selected.has(keyOf(task))} />`;
  return html`
    <ul class=${`list${parts ? " long" : ""}${ui.selected ? " selecting" : ""}${manual ? " manual" : ""}${heads.size ? " by-day" : ""}${flat ? " flat" : ""}`} id=${id} aria-label=${label} ref=${list} ...${HANDLERS}>
      ${
        parts
          ? parts.flatMap((part, at) =>
              "row" in part
                ? [...head(part.row), draw(rows[part.row], part.row)]
                : html`<li key=${`gap-${at}`} class="gap" aria-hidden="true" style=${{ height: `${part.gap}px` }}></li>`,
            )
          : rows.flatMap((row, at) => [...head(at), draw(row, at)])
      }
    </ul>
  `;
}
