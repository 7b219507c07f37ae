// Undo of own writes: of one by its key, or of the latest. After a reload they are read from the service's changes.
import { t } from "./language.js";
import { queue } from "./queue.js";
import { call, session } from "./session.js";
import { isHeld, store } from "./store.js";
import { complain, toast } from "./ui.js";
/** @import { Change, Op } from "types/client" */

/** @typedef {{ key: string, label: string, revision: number | Promise<number> }} Written */

const LOOKED_THROUGH = 100; // revisions, for the latest write
const PASSED_MAX = 100; // even: pairs

/** @type {Written[]} */
const written = []; // latest last
/** @type {Map<string, (revision: number) => void>} */
const deletions = new Map(); // "task 7" -> resolves with the revision of its deletion, if only the stream contains it
const name = () => `todo.undone.${session.user?.id}`;

/** @returns {number[]} revisions that were undone, and those of their undoing: of this window, also after a reload */
const passed = () => JSON.parse(sessionStorage.getItem(name()) ?? "[]");

/** @type {(undone: number, by: number) => void} */
export function notePassed(undone, by) {
  if (undone === by) return; // nothing was changed
  sessionStorage.setItem(name(), JSON.stringify([...passed(), undone, by].slice(-PASSED_MAX)));
}

/**
 * Whether this window has undone a write, and not its undoing.
 * @type {(revision: number) => boolean}
 */
export const wasUndone = (revision) =>
  passed().some((one, at, all) => at % 2 === 0 && one === revision && !wasUndone(all[at + 1]));

/**
 * Keeps a write that can be undone.
 * @param {Op} op
 * @param {number} revision 0: the stream will name it
 */
export function noteWrite({ key, label, entity, id }, revision) {
  /** @type {Written} */
  const write = { key, label, revision };
  if (!revision) {
    const found = new Promise((resolve) => deletions.set(`${entity} ${id}`, resolve));
    write.revision = found.then((named) => (write.revision = named));
  }
  written.push(write);
}

/** A write whose revision is unknown: no older one may be undone in its place without asking the service. */
export function forgetWrites() {
  written.length = 0;
}

/**
 * Returns whether it is the deletion of an own write.
 * @param {Change} change
 */
export function noteDeletion({ entity, entity_id, action, revision }) {
  const resolve = action === "deleted" && deletions.get(`${entity} ${entity_id}`);
  if (!resolve) return false;
  resolve(revision);
  return deletions.delete(`${entity} ${entity_id}`);
}

/**
 * Returns the latest write of this user in any window.
 * @returns {Promise<{ label: string, revision: number } | null>}
 */
async function findLatest() {
  const since = Math.max(0, (store.revision ?? 0) - LOOKED_THROUGH);
  const { data } = await call("GET", `/changes?since=${since}&limit=1000`);
  const known = new Set(passed());
  const own = data.changes.filter(({ through, revision }) => through === "api" && !known.has(revision));
  const last = own.at(-1)?.revision;
  const changes = own.filter(({ revision }) => revision === last);
  if (!last || changes.some(({ entity, action }) => !isHeld(entity) || action === "purged")) return null;
  const { sayChange } = await import("./change_words.js");
  return { label: sayChange(changes), revision: last };
}

/** @type {(revision: number, what: string) => void} */
export function undoRevision(revision, what) {
  const at = written.findIndex((one) => one.revision === revision);
  if (at >= 0) written.splice(at, 1);
  const label = t("Undone: {label}", { label: what });
  queue.push({
    entity: "undo",
    method: "POST",
    path: `/changes/${revision}/undo`,
    undoes: revision,
    label,
    tell: "only",
  });
}

/**
 * Undoes the write of that key, or the latest: it is taken from the queue if it was not sent yet.
 * @param {string} [key]
 */
export async function undo(key) {
  const waiting = key ? null : queue.cancelLast();
  if (waiting) return toast(t("Taken back: {label}", { label: waiting.label }));
  await queue.settled();
  if (!key && queue.size) return toast(t("Not yet: the latest change is being sent."));
  try {
    const at = key ? written.findIndex((one) => one.key === key) : written.length - 1;
    const last = written.splice(at, at < 0 ? 0 : 1)[0] ?? (key ? null : await findLatest());
    if (!last) return toast(t("Nothing to undo."));
    const revision = await last.revision;
    undoRevision(revision, last.label);
  } catch (error) {
    complain(error); // offline
  }
}
