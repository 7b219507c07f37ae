// Every write of the client. Each is queued with its expected result, which the screen shows at once.
import { newUid } from "./api.js";
import { isolate, quote } from "./bidi.js";
import { sayDayWithin, sayInstant } from "./dates.js";
import { t, tn } from "./language.js";
import { newId, queue } from "./queue.js";
import { session } from "./session.js";
import { isOpen, STATUSES } from "./statuses.js";
import { confirmed, EMPTY_TASK, getTask, LAST_POSITION, projects, projectsIn, tagColors, tasks } from "./store.js";
/** @import { Base, Channel, Comment, Draft, Entity, Fields, Layer, NewOp, Op, Overlay, Project, RowOp, Rows, Task, TaskFilter, TaskStatus, Typed, View } from "types/client" */
/** @import { Known, Method, Sent } from "types/routes" */

export const BULK_MAX = 1000; // tasks

/**
 * Returns the row as it is shown until the write is confirmed.
 * @template {Entity} E
 * @param {E} entity
 * @param {number} id
 * @param {Overlay<E>} rest
 */
export const layerOf = (entity, id, rest) => /** @type {Layer} */ (/** @type {unknown} */ ({ entity, id, ...rest }));

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
 * @param {Pick<Op, "id" | "typed" | "tell">} [more]
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
  const match = op.match ?? confirmed(entity, row.id)?.version;
  queue.push(/** @type {NewOp<M, string>} */ ({ entity, id: row.id, ...op, match, overlay }));
}

/**
 * PATCH of the fields that differ; `before` decides whether changes of other clients conflict. A text is compared with
 * what stood there when typing began.
 * @template {"task" | "project" | "view" | "channel"} E
 * @param {E} entity
 * @param {"/tasks/{id}" | "/projects/{id}" | "/views/{id}" | "/channels/{id}"} path
 * @param {Rows[E]} row
 * @param {Fields<E>} fields
 * @param {string} label
 * @param {Omit<Base, "before"> & { before?: Fields<E> }} [base]
 */
function change(entity, path, row, fields, label, { typed, match, before: base } = {}) {
  const names = /** @type {(keyof Fields<E>)[]} */ (Object.keys(fields));
  const before = Object.fromEntries(names.map((name) => [name, base ? base[name] : row[name]]));
  const changes = names.some((name) => JSON.stringify(row[name]) !== JSON.stringify(fields[name]));
  const patch = /** @type {Partial<Rows[E]>} */ (fields);
  if (changes) write(entity, row, { method: "PATCH", path, body: fields, before, label, typed, match }, patch);
}

/**
 * DELETE, which can be undone. `gone`: the layers of the rows that go with it.
 * @template {Entity} E
 * @param {E} entity
 * @param {"/tasks/{id}" | "/projects/{id}" | "/projects/{id}?subprojects=trash" | "/views/{id}" | "/channels/{id}"} path
 * @param {Rows[E]} row
 * @param {string} label
 * @param {Layer[]} [gone]
 */
function remove(entity, path, row, label, gone = []) {
  const overlay = [layerOf(entity, row.id, { remove: true }), ...gone];
  write(entity, row, { method: "DELETE", path, label, tell: "undo", overlay });
}

/**
 * Creates a task from the text of the quick-add line. `shown`: the fields known already; `typed`: the text without what
 * its list adds; `due`: the due date if the text has none.
 * @type {(text: string, shown: Partial<Task>, typed: Typed, due: string | null) => number}
 */
export const quickAdd = (text, shown, typed, due) =>
  create(
    "task",
    "/tasks/quick",
    { text, ...(due ? { due_date: due } : {}) },
    draft({ title: text, ...shown }),
    t("Added {title}", { title: quote(shown.title ?? text) }),
    {
      typed,
    },
  );

/** @type {(fields: { title: string } & Partial<Pick<Task, "parent_id" | "project_id" | "status" | "priority" | "tags">>, typed: Typed) => number} */
export const addTask = (fields, typed) =>
  create("task", "/tasks", fields, draft(fields), t("Added {title}", { title: quote(fields.title) }), { typed });

/** @type {(task: Task, fields: Fields<"task">, label?: string, base?: Omit<Base, "before"> & { before?: Fields<"task"> }) => void} */
export const changeTask = (task, fields, label = t("Changed {title}", { title: quote(task.title) }), base = {}) =>
  change("task", "/tasks/{id}", task, fields, label, base);

/**
 * Changes a field by a text that was typed.
 * @template {keyof Fields<"task">} F
 * @param {Task} task
 * @param {F} field
 * @param {(text: string) => Fields<"task">[F]} parse
 * @returns {(text: string, base: Base) => void}
 */
export const changeTyped =
  (task, field, parse) =>
  (text, { before, ...base }) =>
    changeTask(task, { [field]: parse(text) }, undefined, {
      ...base,
      before: before === undefined ? undefined : { [field]: parse(before) },
    });

/**
 * Copies a task directly after it. Its subtasks are copied as well, by the service.
 * @param {Task} task
 */
export function duplicateTask(task) {
  const { description, priority, due_date, tags, project_id, parent_id, recurrence, recurrence_from } = task;
  const { title, reminders, remind_channels } = task;
  const kept = { description, priority, due_date, tags, project_id, parent_id, recurrence, recurrence_from };
  const row = draft({ title, ...kept, reminders, remind_channels, position: `${task.position}!` });
  const label = t("Duplicated {title}", { title: quote(title) });
  return create("task", "/tasks/{id}/duplicate", {}, row, label, { id: task.id, tell: "undo" });
}

/** @param {Task} task */
export function completeTask(task, completed = !task.completed) {
  /** @type {Partial<Task>} */
  const patch = completed
    ? { completed, status: "completed", completed_at: new Date().toISOString() }
    : { completed, status: "pending", completed_at: null };
  const title = quote(task.title);
  const label = completed ? t("Completed {title}", { title }) : t("Reopened {title}", { title });
  const below = completed && !task.recurrence ? findBelow([task], isOpen) : []; // the service completes its open subtasks
  const overlay = below.map((child) => layerOf("task", child.id, { patch }));
  write(
    "task",
    task,
    {
      method: "PATCH",
      path: "/tasks/{id}/complete",
      body: { completed },
      before: { completed: !completed },
      ...(task.recurrence ? { occurrence: task.due_date } : {}),
      label,
      tell: "undo",
      overlay,
    },
    patch,
  );
}

/**
 * Sets a status; a cancelled task is cancelled with its open subtasks.
 * @param {Task} task
 * @param {TaskStatus} status
 */
export function setStatus(task, status) {
  if (status === "completed") return completeTask(task, true);
  const patch = { status, completed: false, completed_at: null };
  const below = status === "cancelled" ? findBelow([task], isOpen) : [];
  write(
    "task",
    task,
    {
      method: "PATCH",
      path: "/tasks/{id}",
      body: { status },
      before: { status: task.status },
      label: t("{title}: {status}", { title: quote(task.title), status: STATUSES[status] }),
      tell: "undo",
      overlay: below.map((child) => layerOf("task", child.id, { patch: { status } })),
    },
    patch,
  );
}

/**
 * All tasks below these, at any depth.
 * @param {Task[]} rows
 * @param {(task: Task) => boolean} fits
 */
export function findBelow(rows, fits = () => true) {
  /** @type {Map<number, Task[]>} */
  const inside = new Map();
  for (const task of tasks().values()) {
    if (task.parent_id !== null && fits(task))
      inside.set(task.parent_id, [...(inside.get(task.parent_id) ?? []), task]);
  }
  /** @type {(task: Task) => Task[]} */
  const below = ({ id }) => (inside.get(id) ?? []).flatMap((task) => [task, ...below(task)]);
  const own = new Set(rows.map(({ id }) => id));
  return rows.flatMap(below).filter(({ id }) => !own.has(id));
}

/** @param {Task} task */
export function skipTask(task) {
  write("task", task, {
    method: "POST",
    path: "/tasks/{id}/skip",
    occurrence: task.due_date,
    label: t("Skipped {title} once", { title: quote(task.title) }),
    tell: "undo",
  });
}

/**
 * Sets one more reminder. The instant is that of the click, also when the write has to wait.
 * @param {Task} task
 * @param {Date} until
 */
export function snoozeTask(task, until) {
  const at = until.toISOString().replace(/\.\d+/, "");
  const label = t("Snoozed {title} until {at}", { title: quote(task.title), at: sayInstant(at) });
  write(
    "task",
    task,
    { method: "POST", path: "/tasks/{id}/snooze", body: { until: at }, label, tell: "undo" },
    { reminders: [...task.reminders, at], remind_at: at },
  );
}

/** @param {Task} task */
export function deleteTask(task) {
  const gone = findBelow([task]).map(({ id }) => layerOf("task", id, { remove: true }));
  remove("task", "/tasks/{id}", task, t("Moved {title} to the trash", { title: quote(task.title) }), gone);
}

/**
 * One write of many tasks, which one undo reverts.
 * @param {Task[]} rows
 * @param {{ action: "complete" | "reopen" | "update" | "move" | "delete", change?: Record<string, unknown> }} what
 * @param {Partial<Task> | ((task: Task) => Partial<Task>) | null} patch of each; null: they leave
 * @param {string} label
 * @param {Layer[]} below of tasks that change with them
 */
export function writeTasks(rows, what, patch, label, below = []) {
  /** @type {(task: Task) => Layer} */
  const layer = (task) =>
    layerOf("task", task.id, patch ? { patch: patch instanceof Function ? patch(task) : patch } : { remove: true });
  for (let first = 0; first < rows.length; first += BULK_MAX) {
    const some = rows.slice(first, first + BULK_MAX);
    queue.push({
      entity: "task",
      method: "POST",
      path: "/tasks/bulk",
      body: { ...what, uids: some.map(({ uid }) => uid) },
      label,
      tell: "undo",
      overlay: [...some.map(layer), ...below],
    });
  }
}

/**
 * Gives many tasks another day; those that are due at a time keep none.
 * @param {Task[]} rows
 * @param {string} day
 */
export function reschedule(rows, day) {
  const what = rows.length === 1 ? quote(rows[0].title) : tn("{count} task", "{count} tasks", rows.length);
  const label = t("Moved {what} to {day}", { what, day: sayDayWithin(day) });
  writeTasks(rows, { action: "update", change: { due_date: day } }, { due_date: day }, label);
}

/** @param {{ id: number, title: string }} task */
export function restoreTask(task) {
  queue.push({
    entity: "task",
    id: task.id,
    method: "POST",
    path: "/tasks/{id}/restore",
    label: t("Restored {title}", { title: quote(task.title) }),
    tell: "undo",
  });
}

export function emptyTrash() {
  queue.push({ entity: "trash", method: "DELETE", path: "/tasks/trash", label: t("Emptied the trash"), tell: "only" });
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
      label: t("Moved {title}", { title: quote(task.title) }),
      tell: "undo",
    },
    { ...patch, ...below },
  );
}

/**
 * @param {Task} task
 * @param {string} body
 * @param {Typed} typed
 */
export function addComment(task, body, typed) {
  const row = { task_id: task.id, body, created_at: new Date().toISOString(), version: 0 };
  create("comment", "/tasks/{id}/comments", { body }, row, t("Added a comment"), { id: task.id, typed });
}

/**
 * @param {Comment} comment
 * @param {string} body
 * @param {Base} base
 */
export function changeComment(comment, body, { typed, match, before = comment.body }) {
  if (body === comment.body) return;
  write(
    "comment",
    comment,
    {
      method: "PATCH",
      path: `/tasks/${comment.task_id}/comments/{id}`,
      body: { body },
      before: { body: before },
      label: t("Changed a comment"),
      typed,
      match,
    },
    { body },
  );
}

/** @param {Comment} comment */
export function deleteComment(comment) {
  const overlay = [layerOf("comment", comment.id, { remove: true })];
  write("comment", comment, {
    method: "DELETE",
    path: `/tasks/${comment.task_id}/comments/{id}`,
    label: t("Deleted a comment"),
    tell: "undo",
    overlay,
  });
}

/** @type {(name: string, color: string, typed: Typed) => number} */
export const addProject = (name, color, typed) =>
  create(
    "project",
    "/projects",
    { name, color },
    { name, color, favorite: false, parent_id: null, position: LAST_POSITION, archived_at: null, version: 0 },
    t("Made the project {name}", { name: quote(name) }),
    { typed },
  );

/**
 * Copies a project directly after it, with its tasks and what is inside of it, by the service. Returns the copy's id.
 * @param {Project} project
 */
export function duplicateProject({ id, name, color, favorite, parent_id, position }) {
  const row = {
    name: `${name} (copy)`,
    color,
    favorite,
    parent_id,
    position: `${position}!`,
    archived_at: null,
    version: 0,
  };
  const label = t("Duplicated the project {name}", { name: quote(name) });
  return create("project", "/projects/{id}/duplicate", {}, row, label, { id, tell: "undo" });
}

/** @type {(project: Project, fields: Fields<"project">, typed?: Typed) => void} */
export const changeProject = (project, fields, typed) =>
  change("project", "/projects/{id}", project, fields, t("Changed the project {name}", { name: quote(project.name) }), {
    typed,
  });

/**
 * Moves a project before the one above it, or after the one below it, among those that are inside of the same one.
 * @param {Project} project
 * @param {boolean} up
 */
export function moveProject(project, up) {
  const siblings = projects().filter((one) => one.parent_id === project.parent_id);
  const at = siblings.indexOf(project);
  const other = siblings[up ? at - 1 : at + 1];
  if (at < 0 || !other) return;
  const before = up ? siblings[at - 2] : other; // the one that it follows then
  const patch = { position: before ? `${before.position}!` : "!" };
  queue.push({
    entity: "project",
    id: project.id,
    method: "POST",
    path: "/projects/{id}/move",
    body: up ? { before: other.id } : { after: other.id },
    label: t("Moved the project {name}", { name: quote(project.name) }),
    tell: "undo",
    overlay: [layerOf("project", project.id, { patch })],
  });
}

/**
 * Archives the project, which keeps its tasks, or restores it.
 * @param {Project} project
 * @param {boolean} archived
 */
export function archiveProject(project, archived) {
  const label = archived
    ? t("Archived the project {name}", { name: quote(project.name) })
    : t("Brought back the project {name}", { name: quote(project.name) });
  const patch = { archived_at: archived ? new Date().toISOString() : null };
  const together = projectsIn(project.id).filter((one) => one.archived_at === project.archived_at); // with it, or none
  const overlay = together.map(({ id }) => layerOf("project", id, { patch }));
  write(
    "project",
    project,
    { method: "PATCH", path: "/projects/{id}", body: { archived }, label, tell: "undo", overlay },
    patch,
  );
}

/**
 * Deletes a project with its tasks; those inside of it take its place, or go with it. Undo restores all.
 * @param {Project} project
 * @param {boolean} [isWhole] with the projects inside of it
 */
export function deleteProject(project, isWhole = false) {
  const below = projectsIn(project.id);
  const ids = new Set([project, ...(isWhole ? below : [])].map(({ id }) => id));
  const gone = [...tasks().values()]
    .filter((task) => task.project_id && ids.has(task.project_id))
    .map(({ id }) => layerOf("task", id, { remove: true }));
  for (const one of below) {
    if (isWhole) gone.push(layerOf("project", one.id, { remove: true }));
    else if (one.parent_id === project.id)
      gone.push(layerOf("project", one.id, { patch: { parent_id: project.parent_id } }));
  }
  const path = isWhole ? "/projects/{id}?subprojects=trash" : "/projects/{id}";
  remove("project", path, project, t("Deleted the project {name}", { name: quote(project.name) }), gone);
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
 * @param {Typed} [typed]
 */
export function renameTag(name, to, merge, typed) {
  const overlay = retagged(name, (tags) => [...new Set(tags.map((tag) => (tag === name ? to : tag)))]);
  const colors = tagColors();
  const [row, other] = [colors.get(name), colors.get(to)];
  if (row) overlay.push(layerOf("tag", row.id, other ? { remove: true } : { patch: { name: to } }));
  const names = { name: isolate(name), other: isolate(to) };
  const label = merge ? t("Merged @{name} into @{other}", names) : t("Renamed @{name} to @{other}", names);
  queue.push({
    entity: "tag",
    name,
    method: "PATCH",
    path: tagPath(name),
    body: { name: to, merge },
    label,
    typed,
    tell: "only",
    overlay,
  });
}

/** @type {(name: string, color: string | null) => void} */
export function paintTag(name, color) {
  const row = tagColors().get(name);
  if ((row?.color ?? null) === color) return;
  const layer = !color ? { remove: true } : row ? { patch: { color } } : { create: { name, color, version: 0 } };
  queue.push({
    entity: "tag",
    name,
    method: "PATCH",
    path: tagPath(name),
    body: { color },
    label: color
      ? t("Coloured @{name}", { name: isolate(name) })
      : t("Took the colour from @{name}", { name: isolate(name) }),
    tell: "only",
    overlay: [layerOf("tag", row?.id ?? newId(), layer)],
  });
}

/** @param {string} name */
export function deleteTag(name) {
  const overlay = retagged(name, (tags) => tags.filter((tag) => tag !== name));
  const row = tagColors().get(name);
  if (row) overlay.push(layerOf("tag", row.id, { remove: true }));
  queue.push({
    entity: "tag",
    method: "DELETE",
    path: tagPath(name),
    label: t("Took @{name} from all tasks", { name: isolate(name) }),
    tell: "only",
    overlay,
  });
}

/** @type {(name: string, parameters: TaskFilter) => number} */
export const addView = (name, parameters) =>
  create(
    "view",
    "/views",
    { name, parameters },
    { name, parameters, version: 0 },
    t("Kept the view {name}", { name: quote(name) }),
  );

/** @type {(view: View, name: string, typed?: Typed) => void} */
export const renameView = (view, name, typed) =>
  change("view", "/views/{id}", view, { name }, t("Renamed the view {name}", { name: quote(view.name) }), { typed });

/** @param {View} view */
export const deleteView = (view) =>
  remove("view", "/views/{id}", view, t("Deleted the view {name}", { name: quote(view.name) }));

/**
 * Secrets are never among the fields: the outbox is in the browser's database.
 * @type {(channel: Channel, fields: Fields<"channel">, label: string) => void}
 */
export const changeChannel = (channel, fields, label) => change("channel", "/channels/{id}", channel, fields, label);

/** @param {Channel} channel */
export const deleteChannel = (channel) =>
  remove("channel", "/channels/{id}", channel, t("Deleted the channel {name}", { name: quote(channel.name) }));
