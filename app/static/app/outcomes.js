// The outcomes of writes: confirmed, refused, or in conflict with a concurrent write. Own writes that can be undone are
// kept with their revisions.
import { go, readPlace } from "./place.js";
import { queue } from "./queue.js";
import { call } from "./session.js";
import { apply, changed, confirm, drop, put, store } from "./store.js";
import { announce, complain, show, toast, ui } from "./ui.js";
/** @import { Change, Conflict, Op, OutboxHandlers, Row } from "types/client" */

/** @type {{ label: string, revision: number | Promise<number> }[]} */
const undoable = []; // latest last
/** @type {Map<string, (revision: number) => void>} */
// "task 7" -> resolves with the revision of its deletion, which only the stream contains
const deletions = new Map();
/** @type {Set<number>} */
const retagged = new Set(); // ids of tasks with own changes to come, whose revisions no response has
let newest = 0; // revision of the latest own write

/** The latest own write, once the write in progress has its response: {label, revision}, or null. */
export async function lastUndoable() {
  await queue.settled();
  if (queue.size) return null; // the latest write is not confirmed: no older one may be undone in its place
  const last = undoable.pop();
  return last ? { label: last.label, revision: await last.revision } : null;
}

/** @type {OutboxHandlers["done"]} */
function done(op, { data }) {
  const row = /** @type {Row | null} */ (data?.task ?? data);
  newest = Math.max(newest, row?.version ?? data?.revision ?? 0);
  if (op.entity === "undo") data?.changes?.forEach(apply);
  else if (op.entity === "tag") {
    undoable.length = 0; // its revision is unknown, and no older write may be undone in its place
    for (const { id } of op.overlay ?? []) retagged.add(id);
  } else if (op.entity === "trash") undoable.length = 0;
  else if (op.method === "DELETE") {
    if (op.id) {
      drop(op.entity, op.id);
      undoable.push({
        label: op.label,
        revision: new Promise((resolve) => deletions.set(`${op.entity} ${op.id}`, resolve)),
      });
    }
  } else if (row) {
    confirm(op.entity, row);
    undoable.push({ label: op.label, revision: row.version });
  }
  if (op.tell) toast(op.label, { undo: op.tell === "undo" });
  else announce(op.label);
}

/**
 * Replaces the temporary id of a created row by its real id, also in the current place.
 * @type {OutboxHandlers["made"]}
 */
function made({ entity, from, row }) {
  const to = row.id;
  confirm(entity, row);
  const place = readPlace();
  if (ui.editing === from) ui.editing = to;
  if (place.task === from) go({ task: to }, { replace: true });
  if (place.list === "project" && place.id === String(from)) go({ id: String(to) }, { replace: true });
}

/**
 * Shows a change of the stream, including own ones.
 * @param {Change} change
 */
export function showChange({ entity, entity_id: id, action, data, revision, through }) {
  const resolve = deletions.get(`${entity} ${id}`);
  if (resolve && action === "deleted") {
    resolve(revision);
    deletions.delete(`${entity} ${id}`);
  } else if (entity === "task" && through.startsWith("reminder")) toast(`Reminder: ${data.title}`);
  else if (entity === "task" && retagged.delete(id)) return;
  else if (entity === "task" && revision > newest && !queue.size) announce(`${action} elsewhere: ${data.title}`);
}

/** @type {(a: unknown, b: unknown) => boolean} */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * 412. Changes of different fields are combined; for the same field the user decides.
 * @param {Op} op
 */
async function stale(op) {
  const { entity, id } = /** @type {Op & { entity: "task" | "project" | "view" }} */ (op); // no other entity has an If-Match
  const { before = {}, body = {} } = op;
  let row;
  try {
    row = (await call("GET", `/${entity}s/${id}`)).data;
  } catch (error) {
    complain(error);
    return null;
  }
  put(entity, row);
  /** @type {Conflict["current"]} */
  const current = row;
  const mine = Object.keys(before);
  const fields = mine.filter((name) => !same(current[name], before[name]) && !same(current[name], body[name]));
  if (fields.length) {
    show({ conflict: { op, current, fields } });
    return null;
  }
  toast(`“${current.title ?? current.name}” was also changed elsewhere: both changes are kept.`);
  // another request, so another key
  return { ...op, key: `${op.key}-${current.version}`, batch: undefined, match: current.version };
}

queue.on({
  changed,
  made,
  done,
  stale,
  refused(op, problem) {
    if (problem.code !== "tag_exists") return complain(problem);
    const { name = "", body } = op;
    go({ id: name }); // back to the place of the question
    show({ taken: { name, other: String(body?.name) } });
  },
  reachable(is) {
    if (store.online === is) return;
    store.online = is;
    changed();
  },
});
