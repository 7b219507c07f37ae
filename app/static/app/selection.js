// The selected tasks of the lists on the screen, by their keys: one, a range, or all.
import { tn } from "./language.js";
import { keyOf } from "./store.js";
import { announce, complain, show, ui } from "./ui.js";
import { rowsShown } from "./views/list.js";
/** @import { Task } from "types/client" */

/** @typedef {string | number} Key */

/** @type {{ anchor: Key, head: Key, before: Set<Key> } | null} */
let range = null; // the one that Shift extends, and what was selected before it

/** All tasks on the screen, in their order; one that stands in several columns of a board once. */
export const shownTasks = () => [
  ...new Map([...rowsShown.values()].flatMap((rows) => rows.map(({ task }) => [keyOf(task), task]))).values(),
];

/** @param {Iterable<Key>} keys */
function select(keys) {
  const selected = new Set(keys);
  show({ selected: selected.size ? selected : null });
  announce(tn("{count} task selected", "{count} tasks selected", selected.size));
}

/** Begins with none: each tap on a row selects it. */
export function beginSelection() {
  range = null;
  show({ selected: new Set() });
}

export function endSelection() {
  range = null;
  if (ui.selected) show({ selected: null });
}

/** @param {Task} task */
export function toggleSelected(task) {
  const [key, selected] = [keyOf(task), new Set(ui.selected)];
  if (!selected.delete(key)) selected.add(key);
  range = { anchor: key, head: key, before: new Set(selected) };
  select(selected);
}

/**
 * Selects everything from where the selection began to this task.
 * @param {Task} task
 */
export function selectTo(task) {
  const keys = shownTasks().map(keyOf);
  const head = keyOf(task);
  range = { anchor: head, before: new Set(ui.selected), ...range, head };
  const [from, to] = [keys.indexOf(range.anchor), keys.indexOf(head)].sort((one, other) => one - other);
  select([...range.before, ...(from < 0 ? [head] : keys.slice(from, to + 1))]);
}

/**
 * Extends the selection from the task that has the focus to the one before or after it.
 * @param {Task} task
 * @param {number} by
 */
export function extendSelection(task, by) {
  const [key, all] = [keyOf(task), shownTasks()];
  const next = all[all.findIndex((one) => keyOf(one) === key) + by] ?? task;
  if (range?.head !== key) range = { anchor: key, head: key, before: new Set(ui.selected) };
  selectTo(next);
}

export const selectAll = () => select(shownTasks().map(keyOf));

/**
 * Selects a task with a finger that rests on it.
 * @param {Task} task
 */
export function holdSelected(task) {
  if (!ui.selected?.has(keyOf(task))) toggleSelected(task);
}

/**
 * Completes or deletes what is selected, by a key.
 * @param {"completeMany" | "deleteMany"} act
 */
export function actOnSelected(act) {
  const chosen = shownTasks().filter((task) => ui.selected?.has(keyOf(task)));
  import("./bulk.js").then((bulk) => {
    if (!bulk.canWrite(chosen)) return;
    endSelection();
    bulk[act](chosen);
  }, complain);
}
