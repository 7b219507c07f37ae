// Dragging with mouse, pen or finger: the row follows the pointer, and where it would go is marked: next to a row or below
// it, another day, a place of the sidebar. The selected rows go together.
import { addTag, canWrite, completeMany, deleteMany, moveBelow, moveToDay, moveToProject } from "./bulk.js";
import { dueDay, today } from "./dates.js";
import { readPlace } from "./place.js";
import { endSelection, shownTasks } from "./selection.js";
import { getTask, keyOf } from "./store.js";
import { ui } from "./ui.js";
import { pin } from "./views/windowed.js";
import { moveTask } from "./writes.js";
/** @import { On, Task } from "types/client" */

/** @typedef {{ element: HTMLElement, mark: "before" | "after" | "into", drop: (rows: Task[]) => void }} Target */
/** @typedef {{ row: HTMLElement, list: HTMLElement, area: HTMLElement, task: Task, rows: Task[] }} Dragged area: the whole month or board, else the list */

const EDGE = 60; // pixels from the border of the window where it scrolls
const AWAY = 30; // pixels left of the list where the row becomes small
const NEXT_TO = 0.25; // of the height of a row, at its top and its bottom

/** @type {Record<string, (id: string) => (rows: Task[]) => void>} */
const PLACES = {
  inbox: () => (rows) => moveToProject(rows, null),
  project: (id) => (rows) => moveToProject(rows, Number(id)),
  today: () => (rows) => moveToDay(rows, today()),
  tag: (id) => (rows) => addTag(rows, id),
  done: () => completeMany,
  trash: () => deleteMany,
};

/** @type {(over: Element[], selector: string) => HTMLElement | undefined} */
const findOver = (over, selector) => over.map((one) => one.closest(selector)).find((one) => one !== null) ?? undefined;

/**
 * A place of the sidebar.
 * @param {Element[]} over
 * @returns {Target | null}
 */
function findPlace(over) {
  const link = findOver(over, ".sidebar li > a");
  const { list, id } = readPlace(link?.getAttribute("href") ?? "#/none");
  const drop = link && !link.closest(".archive") && PLACES[list]?.(id);
  return drop ? { element: link, mark: "into", drop } : null;
}

/** @type {(element: HTMLElement, day: string) => Target} */
const toDay = (element, day) => ({ element, mark: "into", drop: (rows) => moveToDay(rows, day) });

/**
 * A day that the page shows, or that of a row in a list by days.
 * @param {Element[]} over
 * @param {Dragged} dragged
 * @returns {Target | null}
 */
function findDay(over, { row, list, task }) {
  const shown = findOver(over, "[data-day]");
  if (shown) return toDay(shown, shown.dataset.day ?? "");
  const other = list.matches(".by-day") && findOver(over, ".row");
  const due = other && other !== row ? (getTask(Number(other.dataset.id))?.due_date ?? null) : null;
  if (!other || !due || dueDay(due) < today() || (task.due_date && dueDay(task.due_date) === dueDay(due))) return null;
  let head = other;
  while (head.previousElementSibling && !head.matches(".group"))
    head = /** @type {HTMLElement} */ (head.previousElementSibling);
  return toDay(head.matches(".group") ? head : other, dueDay(due));
}

/**
 * Next to a row in the user's own order, or below it.
 * @param {Element[]} over
 * @param {Dragged} dragged
 * @param {number} y
 * @returns {Target | null}
 */
function findRow(over, { row, list, rows }, y) {
  const element = over
    .map((one) => one.closest(".row"))
    .find((one) => one && one !== row && one.parentElement === list);
  const other = getTask(Number(element?.dataset.id));
  if (!element || !other || rows.some((one) => isBelow(other, one))) return null;
  const { top, height } = element.getBoundingClientRect();
  const at = (y - top) / height;
  const isBeside = at < NEXT_TO || at > 1 - NEXT_TO;
  const isFlat = list.matches(".flat"); // cards, of which none is shown below another
  if (isBeside || isFlat) {
    if (rows.length > 1 || !list.matches(".manual")) return null;
    const mark = at < 0.5 ? "before" : "after";
    return { element, mark, drop: ([task]) => moveTask(task, { [mark]: other.id }) };
  }
  return { element, mark: "into", drop: (moved) => moveBelow(moved, other.id) };
}

/** @type {((over: Element[], dragged: Dragged, y: number) => Target | null)[]} */
const finders = [findPlace, findDay, findRow];

/**
 * Adds places where rows of a page can be dropped.
 * @param {(over: Element[], dragged: Dragged) => Target | null} find
 */
export const addTargets = (find) => void finders.unshift(find);

/**
 * @param {Dragged} dragged
 * @param {number} x
 * @param {number} y
 */
function findTarget(dragged, x, y) {
  const inside = Math.max(x, dragged.area.getBoundingClientRect().left + 40); // the grip is next to the list
  const [there, beside] = [x, inside].map((at) => document.elementsFromPoint(at, y));
  if (findOver(there, ".sidebar")) return findPlace(there);
  for (const find of finders) {
    const target = find(beside, dragged, y);
    if (target) return target;
  }
  return null;
}

/** @param {On<HTMLElement, PointerEvent>} event */
export function startDrag(event) {
  const row = event.target.closest(".row, .chip");
  const list = row?.parentElement;
  const task = getTask(Number(row?.dataset.id));
  if (!row || !list || !task) return;
  const selected = shownTasks().filter((one) => ui.selected?.has(keyOf(one)));
  const rows = selected.some((one) => keyOf(one) === keyOf(task)) ? [...new Set(selected)] : [task];
  const area = row.closest(".month, .board") ?? list;
  const dragged = { row, list, area, task, rows };
  const { left } = row.getBoundingClientRect();
  const from = { x: event.clientX, y: event.clientY + scrollY };
  pin(task.id);
  /** @type {Target | null} */
  let target = null;
  row.classList.add("dragged");
  if (rows.length > 1) row.dataset.count = String(rows.length);
  document.body.classList.add("dragging");

  /** @type {(next: Target | null) => void} */
  const mark = (next) => {
    target?.element.classList.remove("drop-before", "drop-after", "drop-into");
    target = next;
    target?.element.classList.add(`drop-${target.mark}`);
  };
  /** @type {(event: PointerEvent) => void} */
  const move = ({ clientY, clientX }) => {
    const isAway = clientX < area.getBoundingClientRect().left - AWAY;
    row.classList.toggle("away", isAway);
    const x = isAway ? clientX - left - 14 : clientX - from.x;
    row.style.setProperty("transform", `translate(${x}px, ${clientY + scrollY - from.y}px)`);
    if (!isAway && clientY < EDGE) scrollBy(0, -12);
    if (!isAway && clientY > innerHeight - EDGE) scrollBy(0, 12);
    row.closest(".board")?.scrollBy(clientX < EDGE ? -12 : clientX > innerWidth - EDGE ? 12 : 0, 0);
    mark(findTarget(dragged, clientX, clientY));
  };
  /** @type {(finished: boolean) => void} */
  const end = (finished) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", drop);
    removeEventListener("pointercancel", cancel);
    removeEventListener("contextmenu", menu);
    removeEventListener("keydown", escape, true);
    const chosen = target;
    pin(0);
    mark(null);
    row.classList.remove("dragged", "away");
    row.style.removeProperty("transform");
    delete row.dataset.count;
    document.body.classList.remove("dragging");
    const still = rows.flatMap((one) => getTask(one.id) ?? []);
    if (!finished || !chosen || !canWrite(still)) return;
    if (rows.length > 1) endSelection();
    chosen.drop(still);
  };
  const drop = () => end(true);
  const cancel = () => end(false);
  /** @type {(key: KeyboardEvent) => void} */
  const escape = (key) => {
    if (key.key !== "Escape") return;
    key.stopPropagation();
    end(false);
  };
  const menu = (/** @type {Event} */ shown) => shown.preventDefault(); // of a finger that rests
  addEventListener("pointermove", move);
  addEventListener("pointerup", drop);
  addEventListener("pointercancel", cancel);
  addEventListener("contextmenu", menu);
  addEventListener("keydown", escape, true);
}

/**
 * A task cannot be moved below itself.
 * @param {Task | undefined} task
 * @param {Task} other
 */
function isBelow(task, other) {
  for (let parent = task; parent; parent = getTask(parent.parent_id)) if (parent.id === other.id) return true;
  return false;
}
