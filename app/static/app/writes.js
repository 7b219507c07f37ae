// Every write of the client. Each is queued with its expected result, which the screen shows at once.
import { newUid } from "./api.js";
import { newId, queue } from "./queue.js";
import { session } from "./session.js";
import { confirmed, getTask, tasks } from "./store.js";
import { toast } from "./ui.js";
import { lastUndoable } from "./outcomes.js";
/** @import { Draft, Entity, Fields, Layer, NewOp, Op, Overlay, Project, RowOp, Rows, Task, TaskFilter, View } from "types/client" */
/** @import { Known, Method, Sent } from "types/routes" */

/** @type {(title: string) => string} */
const short = (title) => (title.length > 40 ? `${title.slice(0, 39)}…` : title);
const LAST = "~"; // after every position

/**
 * Returns the row as it is shown until the write is confirmed.
 * @template {Entity} E
 * @param {E} entity
 * @param {number} id
 * @param {Overlay<E>} rest
 */
const layerOf = (entity, id, rest) => /** @type {Layer} */ (/** @type {unknown} */ ({ entity, id, ...rest }));

/** @type {Omit<Draft<"task">, "title">} */
const EMPTY_TASK = {
  description: null,
  completed: false,
  completed_at: null,
  priority: "medium",
  due_date: null,
  tags: [],
  project_id: null,
  parent_id: null,
  recurrence: null,
  recurrence_from: "due",
  series_id: null,
  reminders: [],
  remind_at: null,
  position: LAST,
  version: 0,
};

/** @type {(fields: Partial<Task> & { title: string }) => Draft<"task">} */
const draft = (fields) => {
  const now = new Date().toISOString();
  return { ...EMPTY_TASK, user_id: session.user?.id, created_at: now, updated_at: now, ...fields };
};

/**
 * @template {Entity} E
 * @template {string} P
 * @param {E} entity
 * @param {P & Known<"POST", P>} path
 * @param {Sent<"POST", P>} body
 * @param {Draft<E>} row
 * @param {string} label
 * @param {Pick<Op, "id">} [more]
 */
function create(entity, path, body, row, label, more) {
  const [id, uid] = [newId(), newUid()];
  const overlay = [layerOf(entity, id, { create: { ...row, uid } })];
  /** @type {NewOp<"POST", string>} */
  const op = {
    entity,
    method: "POST",
    path,
    body: { .../** @type {object} */ (body), uid },
    creates: id,
    label,
    overlay,
    ...more,
  };
  queue.push(op);
  return id;
}

/**
 * A write with If-Match: it fails when another client has changed the row since. `patch`: the expected result.
 * @template {Entity} E
 * @template {Method} M
 * @template {string} P
 * @param {E} entity
 * @param {Rows[E]} row
 * @param {RowOp<M, P>} op
 * @param {Partial<Rows[E]>} [patch]
 */
function write(entity, row, op, patch) {
  const overlay = [layerOf(entity, row.id, patch ? { patch } : {}), ...(op.overlay ?? [])];
  const match = confirmed(entity, row.id)?.version;
  queue.push(/** @type {NewOp<M, string>} */ ({ entity, id: row.id, match, ...op, overlay }));
}

/**
 * PATCH of the fields that differ; `before` decides whether changes of other clients conflict.
 * @template {"task" | "project"} E
 * @param {E} entity
 * @param {"/tasks/{id}" | "/projects/{id}"} path
 * @param {Rows[E]} row
 * @param {Fields<E>} fields
 * @param {string} label
 */
function change(entity, path, row, fields, label) {
  const names = /** @type {(keyof Fields<E>)[]} */ (Object.keys(fields));
  const before = Object.fromEntries(names.map((name) => [name, row[name]]));
  const changes = names.some((name) => JSON.stringify(row[name]) !== JSON.stringify(fields[name]));
  const patch = /** @type {Partial<Rows[E]>} */ (fields);
  if (changes) write(entity, row, { method: "PATCH", path, body: fields, before, label }, patch);
}

/**
 * Creates a task from the text of the quick-add line. `shown`: the fields known already.
 * @type {(text: string, shown?: Partial<Task>) => number}
 */
export const quickAdd = (text, shown) =>
  create("task", "/tasks/quick", { text }, draft({ title: text, ...shown }), `Added “${short(shown?.title ?? text)}”`);

/** @type {(fields: { title: string, parent_id?: number, project_id?: number }) => number} */
export const addTask = (fields) => create("task", "/tasks", fields, draft(fields), `Added “${short(fields.title)}”`);

/** @type {(task: Task, fields: Fields<"task">, label?: string) => void} */
export const changeTask = (task, fields, label = `Changed “${short(task.title)}”`) =>
  change("task", "/tasks/{id}", task, fields, label);

/** @param {Task} task */
export function completeTask(task, completed = !task.completed) {
  const patch = { completed, completed_at: completed ? new Date().toISOString() : null };
  const label = `${completed ? "Completed" : "Reopened"} “${short(task.title)}”`;
  const below = completed && !task.recurrence ? openBelow(task.id) : []; // the service completes its open subtasks
  const overlay = below.map((child) => layerOf("task", child.id, { patch }));
  write(
    "task",
    task,
    {
      method: "PATCH",
      path: "/tasks/{id}/complete",
      body: { completed },
      before: { completed: !completed },
      label,
      tell: "undo",
      overlay,
    },
    patch,
  );
}

/** @type {(id: number) => Task[]} */
function openBelow(id) {
  const direct = [...tasks().values()].filter((task) => task.parent_id === id && !task.completed);
  return direct.flatMap((task) => [task, ...openBelow(task.id)]);
}

/** @param {Task} task */
export function skipTask(task) {
  write("task", task, {
    method: "POST",
    path: "/tasks/{id}/skip",
    label: `Skipped “${short(task.title)}” once`,
    tell: "undo",
  });
}

/** @param {Task} task */
export function deleteTask(task) {
  const gone = [task, ...allBelow(task.id)].map(({ id }) => layerOf("task", id, { remove: true }));
  write("task", task, {
    method: "DELETE",
    path: "/tasks/{id}",
    label: `Moved “${short(task.title)}” to the trash`,
    tell: "undo",
    overlay: gone,
  });
}

/** @type {(id: number) => Task[]} */
function allBelow(id) {
  const direct = [...tasks().values()].filter((task) => task.parent_id === id);
  return direct.flatMap((task) => [task, ...allBelow(task.id)]);
}

/** @param {{ id: number, title: string }} task */
export function restoreTask(task) {
  queue.push({
    entity: "task",
    id: task.id,
    method: "POST",
    path: "/tasks/{id}/restore",
    label: `Restored “${short(task.title)}”`,
    tell: "undo",
  });
}

export function emptyTrash() {
  queue.push({ entity: "trash", method: "DELETE", path: "/tasks/trash", label: "Emptied the trash", tell: "only" });
}

/**
 * The key directly after a position is its text and "!", which sorts before 0-9a-z.
 * @param {Task} task
 * @param {{ before?: number, after?: number }} target
 */
export function moveTask(task, target) {
  const [[side, id]] = Object.entries(target);
  const neighbour = getTask(id);
  if (!neighbour) return; // deleted elsewhere while the row was dragged
  const others = [...tasks().values()]
    .filter((one) => one.id !== task.id)
    .sort((a, b) => (a.position < b.position ? -1 : 1));
  const at = others.findIndex((one) => one.id === id) - (side === "before" ? 1 : 0);
  const patch = { position: at < 0 ? "!" : `${others[at].position}!` };
  const { parent_id } = neighbour;
  const below = parent_id === task.parent_id ? {} : { parent_id };
  write(
    "task",
    task,
    {
      method: "POST",
      path: "/tasks/{id}/move",
      body: { ...target, ...below },
      label: `Moved “${short(task.title)}”`,
      tell: "undo",
    },
    { ...patch, ...below },
  );
}

/**
 * @param {Task} task
 * @param {string} body
 */
export function addComment(task, body) {
  const row = { task_id: task.id, body, created_at: new Date().toISOString(), version: 0 };
  create("comment", "/tasks/{id}/comments", { body }, row, "Added a comment", { id: task.id });
}

/** @type {(name: string, color: string) => number} */
export const addProject = (name, color) =>
  create(
    "project",
    "/projects",
    { name, color },
    { name, color, position: LAST, archived_at: null, version: 0 },
    `Made the project “${short(name)}”`,
  );

/** @type {(project: Project, fields: Fields<"project">) => void} */
export const changeProject = (project, fields) =>
  change("project", "/projects/{id}", project, fields, `Changed the project “${short(project.name)}”`);

/**
 * Archives the project, which keeps its tasks, or restores it.
 * @param {Project} project
 * @param {boolean} archived
 */
export function archiveProject(project, archived) {
  const label = `${archived ? "Archived" : "Brought back"} the project “${short(project.name)}”`;
  const patch = { archived_at: archived ? new Date().toISOString() : null };
  write(
    "project",
    project,
    { method: "PATCH", path: "/projects/{id}", body: { archived }, label, tell: "undo" },
    patch,
  );
}

/**
 * Deletes a project with its tasks; undo restores both.
 * @param {Project} project
 */
export function deleteProject(project) {
  const gone = [...tasks().values()]
    .filter((task) => task.project_id === project.id)
    .map(({ id }) => layerOf("task", id, { remove: true }));
  const overlay = [layerOf("project", project.id, { remove: true }), ...gone];
  write("project", project, {
    method: "DELETE",
    path: "/projects/{id}",
    label: `Deleted the project “${short(project.name)}”`,
    tell: "undo",
    overlay,
  });
}

/** @type {(name: string) => `/tags/${string}`} */
const tagPath = (name) => `/tags/${encodeURIComponent(name)}`;

/**
 * Changes the tags of each task that has this one, by `edit`.
 * @param {string} name
 * @param {(tags: string[]) => string[]} edit
 */
function retagged(name, edit) {
  const carrying = [...tasks().values()].filter((task) => task.tags.includes(name));
  return carrying.map((task) => layerOf("task", task.id, { patch: { tags: edit(task.tags) } }));
}

/**
 * `merge`: the new name is in use; both tags become one.
 * @param {string} name
 * @param {string} to
 * @param {boolean} merge
 */
export function renameTag(name, to, merge) {
  const overlay = retagged(name, (tags) => [...new Set(tags.map((tag) => (tag === name ? to : tag)))]);
  const label = `${merge ? "Merged" : "Renamed"} @${short(name)} ${merge ? "into" : "to"} @${short(to)}`;
  queue.push({
    entity: "tag",
    name,
    method: "PATCH",
    path: tagPath(name),
    body: { name: to, merge },
    label,
    tell: "only",
    overlay,
  });
}

/** @param {string} name */
export function deleteTag(name) {
  const overlay = retagged(name, (tags) => tags.filter((tag) => tag !== name));
  queue.push({
    entity: "tag",
    method: "DELETE",
    path: tagPath(name),
    label: `Took @${short(name)} from all tasks`,
    tell: "only",
    overlay,
  });
}

/** @type {(name: string, parameters: TaskFilter) => number} */
export const addView = (name, parameters) =>
  create("view", "/views", { name, parameters }, { name, parameters, version: 0 }, `Kept the view “${short(name)}”`);

/** @param {View} view */
export function deleteView(view) {
  const overlay = [layerOf("view", view.id, { remove: true })];
  write("view", view, {
    method: "DELETE",
    path: "/views/{id}",
    label: `Deleted the view “${short(view.name)}”`,
    tell: "undo",
    overlay,
  });
}

/** Reverts the latest write: from the queue when it was not sent yet, else by a new write of the service. */
export async function undo() {
  const waiting = queue.cancelLast();
  const last = waiting ? null : await lastUndoable();
  if (waiting) toast(`Taken back: ${waiting.label}`);
  else if (last)
    queue.push({
      entity: "undo",
      method: "POST",
      path: `/changes/${last.revision}/undo`,
      label: `Undone: ${last.label}`,
      tell: "only",
    });
  else toast(queue.size ? "Not yet: the latest change is being sent." : "Nothing to undo.");
}
