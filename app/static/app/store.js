// A replica of what the service holds, by id, and on top of it the writes that it has not confirmed yet.
// Only the service's own answers and changes go into `base`; what is in the queue is laid over it when it is looked at,
// so a write that is refused takes itself back.
import { queue } from "./queue.js";

const base = { task: new Map(), project: new Map(), comment: new Map(), view: new Map() };
export const store = {
  revision: null, // the number of the last write seen; null: nothing was listed yet
  online: true,
  moreDone: null, // the page of completed tasks that was not fetched yet
  keys: new Map(), // id -> the id it had while it waited to be created: what stays the same on the screen
  absent: new Set(), // parts of the API that this service does not have
};
const listeners = new Set();
let shown = null;

export function onChange(listener) {
  listeners.add(listener);
}

let scheduled = false;
/** Everybody looks again, once for all that changes in the same breath. */
export function changed() {
  shown = null;
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    for (const listener of listeners) listener();
  });
}

export function clear() {
  for (const rows of Object.values(base)) rows.clear();
  Object.assign(store, { revision: null, moreDone: null });
  changed();
}

/**
 * What a list showed at `revision`. Whole lists replace what was there, since what is gone leaves no change behind once that
 * is pruned; but not what was written after the list was read.
 */
export function replaceAll(entity, rows, revision) {
  const later = [...base[entity].values()].filter((row) => row.version > revision);
  base[entity] = new Map([...rows, ...later].map((row) => [row.id, row]));
  changed();
}

export function put(entity, row) {
  const known = base[entity].get(row.id);
  if (!known || known.version <= row.version) base[entity].set(row.id, row);
  changed();
}

/** What a write answered. A stream that was faster may have told of its deletion already. */
export function confirm(entity, row) {
  if (!base[entity]) return;
  if (base[entity].has(row.id) || row.version > (store.revision ?? 0)) put(entity, row);
}

export function drop(entity, id) {
  base[entity]?.delete(id);
  changed();
}

/** One change of the stream or of /changes. Applying it twice does no harm. */
export function apply({ entity, entity_id, action, data }) {
  if (!base[entity]) return;
  if (action === "deleted" || action === "purged") drop(entity, entity_id);
  else put(entity, data);
}

/** The service's own word on a row, without what waits in the queue. */
export const confirmed = (entity, id) => base[entity].get(id);

/** `from` was the id while it waited to be created. */
export const rename = (from, to) => store.keys.set(to, from);

function overlaid() {
  const layers = { task: base.task, project: base.project, comment: base.comment, view: base.view };
  for (const op of queue.all()) {
    for (const { entity, id, create, patch, remove } of op.overlay ?? []) {
      if (layers[entity] === base[entity]) layers[entity] = new Map(base[entity]);
      const rows = layers[entity];
      if (remove) rows.delete(id);
      else if (create) rows.set(id, { ...create, id, waiting: true });
      else if (rows.has(id)) rows.set(id, { ...rows.get(id), ...patch, waiting: true });
    }
  }
  return layers;
}

const layers = () => (shown ??= overlaid());
export const tasks = () => layers().task;
export const getTask = (id) => layers().task.get(id);
export const keyOf = (id) => store.keys.get(id) ?? id;
const placed = (a, b) => (a.position < b.position ? -1 : 1); // positions sort by their bytes
export const projects = () => [...layers().project.values()].filter((one) => !one.archived_at).sort(placed);
export const archived = () => [...layers().project.values()].filter((one) => one.archived_at).sort(placed);
export const projectName = (id) => layers().project.get(id)?.name;
export const comments = (taskId) =>
  [...layers().comment.values()].filter((row) => row.task_id === taskId).sort((a, b) => a.id - b.id);
export const views = () => [...layers().view.values()].sort((a, b) => a.name.localeCompare(b.name));

/** Names of tags with the number of open tasks that carry them. */
export function tags() {
  const counts = new Map();
  for (const task of tasks().values()) {
    if (!task.completed) for (const tag of task.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
}
