// Reordering with mouse, pen or finger: the row follows the pointer, a line shows its new position.
import { getTask } from "./store.js";
import { pin } from "./views/windowed.js";
import { moveTask } from "./writes.js";
/** @import { On, Task } from "types/client" */

/** @typedef {{ row: HTMLElement, side: "before" | "after" }} Target */

const EDGE = 60; // pixels from the border of the window where it scrolls

/** @param {On<HTMLElement, PointerEvent>} event */
export function startDrag(event) {
  const row = event.target.closest(".row");
  const list = row?.parentElement;
  if (!row || !list) return;
  const from = event.clientY + scrollY;
  pin(Number(row.dataset.id));
  /** @type {Target | null} */
  let target = null;
  row.classList.add("dragged");
  list.classList.add("dragging");

  /** @type {(next: Target | null) => void} */
  const mark = (next) => {
    target?.row.classList.remove("drop-before", "drop-after");
    target = next;
    target?.row.classList.add(`drop-${target.side}`);
  };
  /** @type {(event: PointerEvent) => void} */
  const move = ({ clientY, clientX }) => {
    row.style.setProperty("transform", `translateY(${clientY + scrollY - from}px)`);
    if (clientY < EDGE) scrollBy(0, -12);
    if (clientY > innerHeight - EDGE) scrollBy(0, 12);
    const over = document
      .elementsFromPoint(Math.max(clientX, list.getBoundingClientRect().left + 40), clientY)
      .map((one) => one.closest(".row"));
    const other = over.find((one) => one && one !== row && one.parentElement === list);
    if (!other) return;
    const { top, height } = other.getBoundingClientRect();
    mark({ row: other, side: clientY < top + height / 2 ? "before" : "after" });
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
    row.classList.remove("dragged");
    row.style.removeProperty("transform");
    list.classList.remove("dragging");
    const task = getTask(Number(row.dataset.id));
    if (finished && chosen && task && !isBelow(getTask(Number(chosen.row.dataset.id)), task)) {
      moveTask(task, { [chosen.side]: Number(chosen.row.dataset.id) });
    }
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
