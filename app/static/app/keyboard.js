// Keyboard shortcuts. The focus is the selection: j and k move through the titles of the list.
import { go, readPlace } from "./place.js";
import { getTask } from "./store.js";
import { complain, show, ui } from "./ui.js";
import { undo } from "./undo.js";
import { completeTask, deleteTask, moveTask } from "./writes.js";
/** @import { Task } from "types/client" */

export const titles = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".row .title")]);
const focused = () => document.activeElement?.closest?.(".row");

/** @param {HTMLElement | null | undefined} element */
function reveal(element) {
  element?.scrollIntoView({ block: "nearest" });
  dispatchEvent(new Event("scroll")); // not with the next frame: the rows of a long list follow before the next key
}

/** @param {number} by */
function step(by) {
  const row = focused();
  const beside = by > 0 ? row?.nextElementSibling : row?.previousElementSibling;
  if (beside?.matches(".gap")) {
    reveal(row); // it was scrolled out of sight: then its neighbours are in the page again
    return setTimeout(() => focused() === row && move(by));
  }
  return move(by);
}

/** @param {number} by */
function move(by) {
  const all = titles();
  const at = all.findIndex((title) => title === focused()?.querySelector(".title"));
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))];
  next?.focus();
  reveal(next);
}

/**
 * Does something to the row and keeps the focus near it when it leaves the list.
 * @param {(task: Task, row: HTMLElement) => void} work
 */
function act(work) {
  const row = focused();
  const task = row && getTask(Number(row.dataset.id));
  if (!task) return;
  const near = row.nextElementSibling ?? row.previousElementSibling;
  work(task, row);
  queueMicrotask(() =>
    setTimeout(() =>
      (document.querySelector(`.row[data-id="${task.id}"]`) ?? near)?.querySelector?.(".title")?.focus(),
    ),
  );
}

/**
 * @param {Task} task
 * @param {HTMLElement} row
 * @param {boolean} up
 */
function shift(task, row, up) {
  /** @type {(one: HTMLElement) => HTMLElement | null} */
  const beyond = (one) => /** @type {HTMLElement | null} */ (up ? one.previousElementSibling : one.nextElementSibling);
  const depthOf = (/** @type {HTMLElement} */ one) => Number(one.dataset.depth);
  let other = beyond(row);
  while (other && depthOf(other) > depthOf(row)) other = beyond(other);
  if (other && depthOf(other) === depthOf(row)) moveTask(task, { [up ? "before" : "after"]: Number(other.dataset.id) });
}

/**
 * Makes the task a subtask of the one above it in the list, or takes it out of its parent.
 * @param {Task} task
 * @param {HTMLElement} row
 * @param {boolean} inward
 */
function nest(task, row, inward) {
  if (!inward) {
    if (task.parent_id !== null) moveTask(task, { after: task.parent_id });
    return;
  }
  let above = /** @type {HTMLElement | null} */ (row.previousElementSibling);
  while (above && Number(above.dataset.depth) > Number(row.dataset.depth))
    above = /** @type {HTMLElement | null} */ (above.previousElementSibling);
  const parent = above?.dataset.depth === row.dataset.depth ? Number(above?.dataset.id) : null;
  if (parent) import("./bulk.js").then(({ moveBelow }) => moveBelow([task], parent), complain);
}

/**
 * Moves the card that has the focus, or only the focus, to another column of a board.
 * @param {"moveCard" | "stepAcross"} how
 * @param {number} by
 */
function onBoard(how, by) {
  const row = focused();
  if (row && document.querySelector(".board"))
    import("./views/board.js").then((board) => board[how](row, by), complain);
}

/** @param {number} by */
function sideways(by) {
  if (document.querySelector(".board")) return onBoard("moveCard", by);
  if (readPlace().sort === "position") act((task, row) => nest(task, row, by > 0));
}

let selecting = Promise.resolve(); // one key after the other, also while the module is loaded
/** @param {(selection: typeof import("./selection.js")) => void} work */
const select = (work) => void (selecting = selecting.then(() => import("./selection.js").then(work)).catch(complain));

/** @param {(task: Task) => void} work */
function withFocused(work) {
  const task = getTask(Number(focused()?.dataset.id));
  if (task) work(task);
}

/** @param {number} by */
const extend = (by) =>
  withFocused((task) => {
    select((all) => all.extendSelection(task, by));
    step(by);
  });

/** @type {Record<string, () => void>} */
const ACTIONS = {
  n: () => document.querySelector("#add")?.focus(),
  "/": () => document.querySelector("#search")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  ArrowRight: () => onBoard("stepAcross", 1),
  ArrowLeft: () => onBoard("stepAcross", -1),
  e: () => act((task) => show({ editing: task.id })),
  c: () => (ui.selected ? select((all) => all.actOnSelected("completeMany")) : act((task) => completeTask(task))),
  x: () => withFocused((task) => select((all) => all.toggleSelected(task))),
  J: () => extend(1),
  K: () => extend(-1),
  "Shift ArrowDown": () => extend(1),
  "Shift ArrowUp": () => extend(-1),
  "]": () => sideways(1),
  "[": () => sideways(-1),
  ">": () => sideways(1), // as "]" needs AltGr on some keyboards
  "<": () => sideways(-1),
  ".": () => document.querySelector("#selection .acts :is(button, input)")?.focus(),
  Delete: () => (ui.selected ? select((all) => all.actOnSelected("deleteMany")) : act(deleteTask)),
  u: () => undo(),
  g: () => {
    show({ sidebar: true });
    setTimeout(() => document.querySelector(".sidebar a")?.focus());
  },
  b: () => show({ panel: "bell" }),
  "?": () => show({ panel: "help" }),
};

function escape() {
  const field = /** @type {HTMLElement | null} */ (document.activeElement);
  if (ui.panel || ui.sidebar) show({ panel: null, sidebar: false });
  else if (field?.matches("input, textarea, select"))
    (field.closest(".details") ?? document.querySelector("#main"))?.focus();
  else if (ui.selected) select((all) => all.endSelection());
  else if (readPlace().task) go({ task: 0 });
}

export function listen() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return escape();
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && document.querySelector("#main")) {
      event.preventDefault(); // the browser's own search
      return show({ panel: "palette" });
    }
    if (/** @type {Element} */ (event.target).matches("input, textarea, select")) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key !== "a" || !document.querySelector(".row .check")) return;
      event.preventDefault();
      select((all) => all.selectAll());
      return;
    }
    if (event.altKey) {
      if (readPlace().sort === "position" && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        event.preventDefault();
        act((task, row) => shift(task, row, event.key === "ArrowUp"));
      }
      return;
    }
    if (event.key.startsWith("Arrow") && !focused()) return; // they scroll
    const action = ACTIONS[event.shiftKey && event.key.startsWith("Arrow") ? `Shift ${event.key}` : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
