// Changes of many tasks: each is one write, which one undo reverts.
import { isolate, quote } from "./bidi.js";
import { isInstant, sayDay } from "./dates.js";
import { t, tn } from "./language.js";
import { isOpen, PRIORITY_NAMES, STATUSES } from "./statuses.js";
import { getTask, projectName, store } from "./store.js";
import { toast } from "./ui.js";
import { BULK_MAX, completeTask, findBelow, layerOf, writeTasks } from "./writes.js";
/** @import { Layer, Priority, Task, TaskStatus } from "types/client" */

/** @type {(rows: Task[]) => string} */
const say = (rows) => (rows.length === 1 ? quote(rows[0].title) : tn("{count} task", "{count} tasks", rows.length));

/**
 * Returns whether one write takes so many; else says so.
 * @param {Task[]} rows
 */
export function canWrite(rows) {
  const count = rows.length;
  if (count > BULK_MAX) toast(t("At most {max} tasks can be changed at once.", { max: BULK_MAX }), { failed: true });
  return count > 0 && count <= BULK_MAX;
}

/**
 * Those that are not below another of them.
 * @param {Task[]} rows
 */
function topmost(rows) {
  const chosen = new Set(rows.map(({ id }) => id));
  /** @type {(task: Task | undefined) => boolean} */
  const isInside = (task) => Boolean(task && (chosen.has(task.parent_id ?? 0) || isInside(getTask(task.parent_id))));
  return rows.filter((task) => !isInside(task));
}

/** @type {(rows: Task[], patch: Partial<Task>) => Layer[]} */
const layersOf = (rows, patch) => rows.map(({ id }) => layerOf("task", id, { patch }));

/**
 * Completes tasks by one write. Offline each series has one of its own, which names the occurrence: one that is completed
 * elsewhere meanwhile is not completed twice.
 * @param {Task[]} rows
 */
export function completeMany(rows) {
  const alone = rows.length === 1 ? rows : store.online ? [] : rows.filter((task) => task.recurrence);
  for (const task of alone) completeTask(task, true);
  const others = rows.filter((task) => !alone.includes(task));
  if (!others.length) return;
  /** @type {Partial<Task>} */
  const patch = { completed: true, status: "completed", completed_at: new Date().toISOString() };
  const below = findBelow(
    others.filter((task) => !task.recurrence),
    isOpen,
  );
  const label = t("Completed {tasks}", { tasks: say(others) });
  writeTasks(others, { action: "complete" }, patch, label, layersOf(below, patch));
}

/** @param {Task[]} rows */
export function reopenMany(rows) {
  /** @type {Partial<Task>} */
  const patch = { completed: false, status: "pending", completed_at: null };
  writeTasks(rows, { action: "reopen" }, patch, t("Reopened {tasks}", { tasks: say(rows) }));
}

/** @param {Task[]} rows */
export function deleteMany(rows) {
  const below = findBelow(rows).map(({ id }) => layerOf("task", id, { remove: true }));
  writeTasks(rows, { action: "delete" }, null, t("Moved {tasks} to the trash", { tasks: say(rows) }), below);
}

/**
 * Gives tasks another day. A single one keeps its time of day.
 * @param {Task[]} rows
 * @param {string | null} day
 */
export function moveToDay(rows, day) {
  const time = rows.length === 1 && day && isInstant(rows[0].due_date ?? "") ? new Date(rows[0].due_date ?? "") : null;
  const at = day && time ? new Date(`${day}T12:00`) : null;
  at?.setHours(time?.getHours() ?? 0, time?.getMinutes(), 0, 0);
  const due_date = at ? at.toISOString() : day;
  const loses = rows.length > 1 && rows.some((task) => isInstant(task.due_date ?? ""));
  const values = { tasks: say(rows), day: day ? sayDay(day) : "" };
  const label = !day
    ? t("{tasks}: without a date", values)
    : loses
      ? t("{tasks}: {day}, without their times", values)
      : t("{tasks}: {day}", values);
  writeTasks(rows, { action: "update", change: { due_date } }, { due_date }, label);
}

/** @type {(rows: Task[], priority: Priority) => void} */
export const setPriority = (rows, priority) =>
  writeTasks(
    rows,
    { action: "update", change: { priority } },
    { priority },
    t("{tasks}: priority {priority}", { tasks: say(rows), priority: PRIORITY_NAMES[priority] }),
  );

/**
 * Sets an open status, or cancels.
 * @param {Task[]} rows
 * @param {TaskStatus} status
 */
export function setStatusOf(rows, status) {
  if (status === "completed") return completeMany(rows);
  /** @type {Partial<Task>} */
  const patch = { status, completed: false, completed_at: null };
  const below = status === "cancelled" ? layersOf(findBelow(rows, isOpen), { status }) : [];
  const label = t("{tasks}: {status}", { tasks: say(rows), status: STATUSES[status] });
  writeTasks(rows, { action: "update", change: { status } }, patch, label, below);
}

/**
 * Moves tasks, with all below them, into a project or the inbox. A subtask leaves its parent, unless that moves also.
 * @param {Task[]} rows
 * @param {number | null} project_id
 */
export function moveToProject(rows, project_id) {
  const moved = rows.filter((task) => task.project_id !== project_id);
  if (!moved.length) return toast(t("Nothing changed."));
  const below = findBelow(moved);
  const inside = new Set([...moved, ...below].map(({ id }) => id));
  const where = project_id === null ? t("Inbox") : isolate(projectName(project_id) ?? t("Project"));
  writeTasks(
    moved,
    { action: "update", change: { project_id } },
    ({ parent_id }) => ({ project_id, parent_id: inside.has(parent_id ?? 0) ? parent_id : null }),
    t("Moved {tasks} to {place}", { tasks: say(moved), place: where }),
    layersOf(below, { project_id }),
  );
}

/**
 * Makes tasks subtasks of another, after those that it has. What is below one of them stays there.
 * @param {Task[]} chosen
 * @param {number} parent_id
 */
export function moveBelow(chosen, parent_id) {
  const rows = topmost(chosen);
  const parent = getTask(parent_id);
  if (!parent) return; // deleted elsewhere while the row was dragged
  const { project_id, title } = parent;
  const label = t("Moved {tasks} below {parent}", { tasks: say(rows), parent: quote(title) });
  const below = layersOf(findBelow(rows), { project_id });
  writeTasks(rows, { action: "move", change: { parent_id } }, { parent_id, project_id }, label, below);
}

/** @type {(rows: Task[], tag: string) => void} */
export const addTag = (rows, tag) =>
  writeTasks(
    rows,
    { action: "update", change: { add_tags: [tag] } },
    ({ tags }) => ({ tags: [...new Set([...tags, tag])] }),
    t("{tasks}: added @{tag}", { tasks: say(rows), tag: isolate(tag) }),
  );

/** @type {(rows: Task[], from: string, to: string) => void} */
export const swapTag = (rows, from, to) =>
  writeTasks(
    rows,
    { action: "update", change: { add_tags: [to], remove_tags: [from] } },
    ({ tags }) => ({ tags: [...new Set([...tags.filter((one) => one !== from), to])] }),
    t("{tasks}: @{to} instead of @{from}", { tasks: say(rows), to: isolate(to), from: isolate(from) }),
  );

/** @type {(rows: Task[], tag: string) => void} */
export const removeTag = (rows, tag) =>
  writeTasks(
    rows,
    { action: "update", change: { remove_tags: [tag] } },
    ({ tags }) => ({ tags: tags.filter((one) => one !== tag) }),
    t("{tasks}: took @{tag}", { tasks: say(rows), tag: isolate(tag) }),
  );
