// A replica of the service's rows, by id, and on top of it the writes that are not confirmed yet. Only the service's
// responses and changes go into `base`; queued writes are overlaid when rows are read, so a refused write reverts
// itself.
import { queue } from "./queue.js";
import { isOpen } from "./statuses.js";
/** @import { Change, Comment, Draft, Entity, Layer, Project, Replica, Row, Rows, Task } from "types/client" */

/** @type {Replica} */
const base = {
  task: new Map(),
  project: new Map(),
  comment: new Map(),
  view: new Map(),
  channel: new Map(),
  tag: new Map(),
};
export const LAST_POSITION = "~"; // after every position
/**
 * What a new task has. One of another version of the service may lack some of it.
 * @type {Omit<Draft<"task">, "title">}
 */
export const EMPTY_TASK = {
  description: null,
  completed: false,
  status: "pending",
  completed_at: null,
  priority: "medium",
  due_date: null,
  start_date: null,
  deadline: null,
  estimate_minutes: null,
  favorite: false,
  tags: [],
  project_id: null,
  parent_id: null,
  recurrence: null,
  recurrence_from: "due",
  series_id: null,
  reminders: [],
  remind_channels: null,
  remind_at: null,
  position: LAST_POSITION,
  version: 0,
};
export const ENTITIES = /** @type {Entity[]} */ (Object.keys(base));
export const store = {
  /** @type {number | null} */
  revision: null, // the revision of the latest write received; null: nothing was listed yet
  outdated: false, // the rows are of another version of the service: a snapshot replaces them
  online: true,
  /** @type {Set<string>} */
  absent: new Set(), // parts of the API that this service does not have
};
/** What the database does not have: rows as "task 7", or all of them. */
export const unsaved = { rows: /** @type {Set<string>} */ (new Set()), whole: false };
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Replica | null} */
let shown = null;

/**
 * @param {string} entity
 * @returns {entity is Entity}
 */
export const isHeld = (entity) => entity in base;

/** @param {() => void} listener */
export function onChange(listener) {
  listeners.add(listener);
}

let scheduled = false;
/** Notifies all listeners, once for all changes of the same turn, that a row has changed. */
export function changed() {
  shown = null;
  redraw();
}

/** Notifies all listeners that something else than a row has changed. */
export function redraw() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    for (const listener of listeners) listener();
  });
}

export function clear() {
  for (const rows of Object.values(base)) rows.clear();
  unsaved.rows.clear();
  Object.assign(unsaved, { whole: false });
  Object.assign(store, { revision: null, outdated: false });
  changed();
}

/**
 * Forgets the rows that a snapshot of `revision` replaces: those that it lacks were deleted. Rows that were written after
 * it stay.
 * @param {number} revision
 */
export function startOver(revision) {
  for (const rows of Object.values(base)) {
    for (const [id, row] of rows) if (row.version <= revision) rows.delete(id);
  }
  Object.assign(unsaved, { whole: true });
  changed();
}

/**
 * @template {Entity} E
 * @param {E} entity
 * @param {Rows[E]} row
 */
export function put(entity, row) {
  const known = base[entity].get(row.id);
  if (!known || known.version <= row.version) {
    base[entity].set(row.id, row);
    unsaved.rows.add(`${entity} ${row.id}`);
  }
  changed();
}

/**
 * The rows of the service, without queued writes.
 * @template {Entity} E
 * @param {E} entity
 * @returns {Replica[E]}
 */
export const rowsOf = (entity) => base[entity];

/**
 * Adds rows that the database has.
 * @template {Entity} E
 * @param {E} entity
 * @param {Rows[E][]} rows
 */
export function fill(entity, rows) {
  for (const row of rows) {
    const known = base[entity].get(row.id); // by the response to a write that waited
    if (!known || known.version < row.version) base[entity].set(row.id, row);
  }
}

/**
 * Applies the response to a write. The stream may have delivered its deletion already.
 * @param {string} entity
 * @param {Row} row
 */
export function confirm(entity, row) {
  if (!isHeld(entity)) return;
  if (base[entity].has(row.id) || row.version > (store.revision ?? 0)) put(entity, row);
}

/**
 * @param {string} entity
 * @param {number} id
 */
export function drop(entity, id) {
  if (isHeld(entity) && base[entity].delete(id)) unsaved.rows.add(`${entity} ${id}`);
  changed();
}

/**
 * Applies one change of the stream or of /changes. Applying it twice is harmless.
 * @param {Change} change
 */
export function apply({ entity, entity_id, action, data }) {
  if (!isHeld(entity)) return;
  if (action === "deleted" || action === "purged") drop(entity, entity_id);
  else put(entity, /** @type {Row} */ (data));
}

/**
 * The service's version of a row, without queued writes.
 * @type {(entity: Entity, id: number) => Row | undefined}
 */
export const confirmed = (entity, id) => base[entity].get(id);

function overlaid() {
  /** @type {Replica} */
  const layers = { ...base };
  for (const op of queue.all()) {
    for (const layer of op.overlay ?? []) lay(layers, layer);
  }
  return layers;
}

/**
 * @template {Entity} E
 * @param {Replica<E>} layers
 * @param {Layer<E>} layer
 */
function lay(layers, { entity, id, create, patch, remove }) {
  if (layers[entity] === base[entity]) layers[entity] = new Map(base[entity]);
  const rows = layers[entity];
  const row = create ?? rows.get(id);
  if (remove) rows.delete(id);
  else if (row) rows.set(id, /** @type {Rows[E]} */ ({ ...row, ...patch, id, waiting: true }));
}

const layers = () => (shown ??= overlaid());

/**
 * Returns a function whose result is kept until a row changes, or it is called with other arguments.
 * @template T
 * @template {unknown[]} A
 * @param {(...given: A) => T} compute
 * @returns {(...given: A) => T}
 */
export function derived(compute) {
  /** @type {{ from: Replica, given: A, value: T } | null} */
  let kept = null;
  return (...given) => {
    const from = layers();
    if (kept?.from !== from || given.some((one, at) => one !== kept?.given[at]))
      kept = { from, given, value: compute(...given) };
    return kept.value;
  };
}

export const tasks = () => layers().task;
/** @type {(id: number | null) => Task | undefined} */
export const getTask = (id) => (id === null ? undefined : layers().task.get(id));
/**
 * The key of a row on the screen: the id of a new one changes when the service confirms it. A change that was written
 * before version 0.2 has no uid.
 * @type {(row: Row) => string | number}
 */
export const keyOf = (row) => ("uid" in row && row.uid) || row.id;
/** @type {(a: { position: string }, b: { position: string }) => number} */
const placed = (a, b) => (a.position < b.position ? -1 : 1); // positions sort by their bytes
/**
 * The projects that are not archived, each after the one that contains it, with the number of those around it.
 * @returns {{ project: Project, level: number }[]}
 */
export const projectTree = derived(() => {
  const rows = [...layers().project.values()].filter((one) => !one.archived_at).sort(placed);
  const here = new Set(rows.map(({ id }) => id));
  /** @type {(parent: number | null, level: number) => { project: Project, level: number }[]} */
  const inside = (parent, level) =>
    rows
      .filter(({ parent_id: above }) => (above && here.has(above) ? above : null) === parent)
      .flatMap((project) => [{ project, level }, ...inside(project.id, level + 1)]);
  return inside(null, 0);
});
export const projects = () => projectTree().map(({ project }) => project);
/**
 * All that are inside of a project, at any depth.
 * @type {(id: number) => Project[]}
 */
export const projectsIn = (id) => {
  const direct = [...layers().project.values()].filter((one) => one.parent_id === id);
  return direct.flatMap((one) => [one, ...projectsIn(one.id)]);
};
export const archived = () => [...layers().project.values()].filter((one) => one.archived_at).sort(placed);
/** @type {(id: number) => string | undefined} */
export const projectName = (id) => layers().project.get(id)?.name;
export const allComments = () => layers().comment.values();
/** @type {(taskId: number) => Comment[]} */
export const comments = (taskId) =>
  [...allComments()].filter((row) => row.task_id === taskId).sort((a, b) => a.id - b.id);
export const channels = () => [...layers().channel.values()].sort((a, b) => a.name.localeCompare(b.name));
export const views = () => [...layers().view.values()].sort((a, b) => a.name.localeCompare(b.name));

/** The rows of the tags that have a colour, by name. */
export const tagColors = derived(() => new Map([...layers().tag.values()].map((row) => [row.name, row])));

/** Names of tags with the number of open tasks that have them. */
export const tags = derived(() => {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const task of tasks().values()) {
    if (isOpen(task)) for (const tag of task.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
});

/** How many subtasks of each task are done, and how many it has. */
export const steps = derived(() => {
  /** @type {Map<number, [done: number, all: number]>} */
  const children = new Map();
  for (const { parent_id: parent, completed } of tasks().values()) {
    if (parent === null) continue;
    const [done, all] = children.get(parent) ?? [0, 0];
    children.set(parent, [done + Number(completed), all + 1]);
  }
  return children;
});
