// Reminders that fired and were not seen. The service does not know what was seen, so this browser keeps the reminders
// that were not, and the revision up to which changes were looked through. Each stands under a key of its own: windows of
// one browser write at the same time, and localStorage has no transactions. No text of a task is kept.
import { hasStatus } from "./api.js";
import { call, session } from "./session.js";
import { isOpen } from "./statuses.js";
import { getTask, onChange, redraw, store } from "./store.js";
/** @import { Change, Task } from "types/client" */

/**
 * `due` and `reminders` are those of the task when it fired: when they change, the task was dealt with.
 * @typedef {{ revision: number, task: number, at: string, late: boolean, due: string | null, reminders: string[] }} Fired
 */

const FIRED_MAX = 100;
const CHANGES_MAX = 5000; // after a long absence only the latest changes are looked through
const PAGE = 1000;
const HEAD_START = 3000; // milliseconds that the tasks have before it: what was missed may be long

let timer = 0; // of the look through what was missed; another one, or none, once it is to stop
let isFollowing = false; // false: changes before store.revision are still to be looked through
const prefix = () => `todo.bell.${session.user?.id}.`;
const sinceKey = () => `${prefix()}since`;
const firedKey = (/** @type {number} */ task) => `${prefix()}fired.${task}`;

/** @returns {number | null} null: this browser was never here */
const loadSince = () => JSON.parse(localStorage.getItem(sinceKey()) ?? "null");

/** @returns {Fired | null} */
const load = (/** @type {string} */ key) => JSON.parse(localStorage.getItem(key) ?? "null");

/** @returns {Fired[]} latest first */
function loadAll() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(`${prefix()}fired.`));
  return keys.flatMap((key) => load(key) ?? []).sort((one, other) => other.revision - one.revision);
}

/** A snapshot is being read: what fired before it is not in the stream. */
export function stopBell() {
  clearTimeout(timer);
  timer = 0;
  isFollowing = false;
}

/**
 * Looks through the changes since the last visit of this browser, once the tasks are shown. On the first one nothing was
 * missed. What cannot be read is tried again when the stream is.
 * @param {number} revision
 * @param {boolean} isSnapshot false: the rows were in the database, and changes after them may have been looked through
 */
export function catchUpBell(revision, isSnapshot) {
  const known = loadSince();
  if (known === null || (isSnapshot && known > revision)) localStorage.setItem(sinceKey(), String(revision));
  isFollowing ||= loadSince() === revision;
  if (isFollowing) return;
  clearTimeout(timer);
  timer = setTimeout(() => lookThrough(revision, timer).catch(() => {}), HEAD_START);
}

/**
 * @param {number} revision
 * @param {number} turn
 */
async function lookThrough(revision, turn) {
  const since = loadSince() ?? revision;
  try {
    for (let from = Math.max(since, revision - CHANGES_MAX); from < revision;) {
      const { data } = await call("GET", `/changes?since=${from}&limit=${PAGE}`);
      if (turn !== timer) return;
      data.changes.forEach(noteReminder);
      from = data.has_more ? data.next : revision;
      keepUp(Math.min(data.next, revision));
    }
  } catch (error) {
    if (turn !== timer || !hasStatus(error, 410)) throw error;
    keepUp(revision); // away for longer than changes are kept
  }
  isFollowing = true;
}

/**
 * Keeps a reminder that fired; another window may have done so already.
 * @param {Change} change
 */
export function noteReminder({ revision, entity, entity_id: task, action, at, through, data }) {
  if (entity !== "task" || action !== "reminded" || revision <= (loadSince() ?? revision)) return;
  if ((load(firedKey(task))?.revision ?? 0) > revision) return; // it came by the stream
  const { due_date: due, reminders } = /** @type {Task} */ (data);
  /** @type {Fired} */
  const fired = { revision, task, at, late: through.endsWith("late"), due, reminders };
  localStorage.setItem(firedKey(task), JSON.stringify(fired));
  for (const old of loadAll().slice(FIRED_MAX)) localStorage.removeItem(firedKey(old.task));
  redraw();
}

/** @param {number} revision */
function keepUp(revision) {
  const since = loadSince();
  if (since !== null && since < revision) localStorage.setItem(sinceKey(), String(revision));
}

onChange(() => {
  if (isFollowing && session.user && store.revision !== null) keepUp(store.revision);
});
addEventListener("storage", ({ key }) => key?.startsWith(prefix()) && redraw());

/** @param {Fired} fired */
function isWaiting({ task, due, reminders }) {
  const row = getTask(task);
  if (!row || !isOpen(row) || row.due_date !== due) return false;
  return row.reminders.every((one) => one.includes("P") || reminders.includes(one)); // else it was snoozed
}

/** The reminders that were neither seen nor dealt with, latest first. */
export const unseen = () => loadAll().filter(isWaiting);

/**
 * Marks the reminders of a task as seen, or all of them.
 * @param {number} [task]
 */
export function markSeen(task) {
  const fired = loadAll().filter((one) => task === undefined || one.task === task);
  for (const one of fired) localStorage.removeItem(firedKey(one.task));
  if (fired.length) redraw();
}
