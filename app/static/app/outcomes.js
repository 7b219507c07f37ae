// The outcomes of writes: confirmed, refused, or in conflict with a concurrent write.
import { hasStatus } from "./api.js";
import { noteReminder } from "./bell.js";
import { isolate, quote } from "./bidi.js";
import { restoreDraft } from "./drafts.js";
import { t } from "./language.js";
import { go, hrefTo, listed, readPlace } from "./place.js";
import { sayProblem } from "./problems.js";
import { queue } from "./queue.js";
import { call } from "./session.js";
import { sayAction } from "./statuses.js";
import { apply, changed, confirm, confirmed, drop, isHeld, projectName, put, redraw, store } from "./store.js";
import { announce, complain, show, toast, ui } from "./ui.js";
import { forgetWrites, noteDeletion, notePassed, noteWrite } from "./undo.js";
/** @import { Problem } from "./api.js" */
/** @import { Change, Conflict, Op, OutboxHandlers, Row, Success, Task } from "types/client" */

/** @type {Set<number>} */
const retagged = new Set(); // ids of tasks with own changes to come, whose revisions no response has
let newest = 0; // revision of the latest own write

/** @type {OutboxHandlers["done"]} */
function done(op, { data, revision = 0 }) {
  const row = /** @type {Row | null} */ (data?.task ?? data);
  newest = Math.max(newest, row?.version ?? data?.revision ?? revision);
  if (op.entity === "undo") {
    data?.changes?.forEach(apply);
    notePassed(op.undoes ?? 0, data?.revision ?? 0);
  } else if (op.entity === "tag" || op.entity === "trash") {
    forgetWrites();
    for (const { entity, id } of op.overlay ?? []) if (entity === "task") retagged.add(id);
  } else if (data?.results) {
    if (!revision) return toast(t("Nothing changed."));
    confirmMany(op, data.results, revision);
    noteWrite(op, revision);
  } else if (op.method === "DELETE") {
    if (op.id) {
      drop(op.entity, op.id);
      noteWrite(op, revision);
    }
  } else if (row) {
    confirm(op.entity, row);
    noteWrite(op, row.version);
    if (op.path === "/tasks/quick" && sayAdded(/** @type {Task} */ (row))) return;
  }
  if (op.tell) toast(op.label, { undo: op.tell === "undo" ? op.key : null });
  else announce(op.label);
}

/**
 * Shows the tasks of one write as they are now, until the stream brings them.
 * @param {Op} op
 * @param {NonNullable<NonNullable<Success["data"]>["results"]>} results
 * @param {number} revision
 */
function confirmMany({ overlay = [] }, results, revision) {
  const other = new Set(
    results.filter(({ status }) => ["unchanged", "not_found"].includes(status)).map(({ id }) => id),
  );
  for (const { entity, id, patch, remove } of overlay) {
    const row = confirmed(entity, id);
    const { completed } = /** @type {Partial<Task>} */ (patch ?? {});
    if (completed && row && "recurrence" in row && row.recurrence) continue; // the stream brings its next date
    if (remove) drop(entity, id);
    else if (row && patch && !other.has(id) && row.version < revision)
      put(entity, /** @type {any} */ ({ ...row, ...patch, version: revision }));
  }
}

/**
 * Tells where a new task is, unless the list on the screen shows it.
 * @param {Task} row
 */
export function sayAdded(row) {
  const place = readPlace();
  if (listed(new Map([[row.id, row]]), place, ui.found).length) return false;
  const { project_id: project } = row;
  const list = project ? { list: "project", id: String(project) } : { list: "inbox" };
  const where = (project && projectName(project)) || t("Inbox");
  toast(t("Added {title} to {where}", { title: quote(row.title), where: isolate(where) }), {
    href: hrefTo({ ...list, task: row.id }),
  });
  return true;
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
export function showChange(change) {
  const { entity, entity_id: id, action, data, revision, through } = change;
  noteReminder(change);
  if (noteDeletion(change)) return;
  if (entity === "task" && through.startsWith("reminder"))
    toast(t("Reminder: {title}", { title: isolate(data.title) }));
  else if (entity === "task" && retagged.delete(id)) return;
  else if (entity === "task" && revision > newest && !queue.size)
    announce(t("{action} elsewhere: {title}", { action: sayAction(action), title: isolate(data.title) }));
}

/** @type {(a: unknown, b: unknown) => boolean} */
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * 412. Changes of different fields are combined; for the same field the user decides.
 * @param {Op} op
 */
async function stale(op) {
  const { entity, id } = /** @type {Op & { entity: "task" | "project" | "view" | "channel" }} */ (op); // comments by their path
  const { before = {}, body = {} } = op;
  let row;
  try {
    /** @type {string} */
    const path = op.entity === "comment" ? op.path.replace("{id}", String(id)) : `/${entity}s/${id}`;
    row = /** @type {Row & Conflict["current"]} */ ((await call("GET", path)).data);
  } catch (error) {
    complain(error);
    if (op.typed && hasStatus(error, 404)) restoreDraft(op.typed, t("It was deleted elsewhere."));
    return null;
  }
  put(entity, /** @type {any} */ (row));
  /** @type {Conflict["current"]} */
  const current = row;
  const mine = Object.keys(before);
  const fields = mine.filter((name) => !same(current[name], before[name]) && !same(current[name], body[name]));
  const title = current.title ?? current.name ?? t("A comment");
  if (op.occurrence !== undefined && !same(current.due_date, op.occurrence)) {
    toast(
      t("{title} has moved to its next date elsewhere: it was not completed or skipped twice.", {
        title: quote(title),
      }),
    );
    return null;
  }
  if (fields.length) {
    if (op.typed) restoreDraft(op.typed, t("It was also changed elsewhere."));
    show({ conflicts: [...ui.conflicts, { op, current, fields }] });
    return null;
  }
  toast(t("{title} was also changed elsewhere: both changes are kept.", { title: quote(title) }));
  // another request, so another key
  return { ...op, key: `${op.key}-${current.version}`, batch: undefined, match: current.version };
}

/**
 * Returns what was typed to its field; where its row is gone, to the line for new tasks.
 * @param {Op} op
 * @param {Problem} problem
 */
function giveBack({ entity, id, path, body, typed }, problem) {
  if (!typed) return;
  const parent = /** @type {number | undefined} */ (body?.parent_id);
  const about = path.startsWith("/tasks") ? (id ?? parent) : id;
  const row = path.startsWith("/tasks") ? "task" : entity;
  const isGone = about !== undefined && (problem.status === 404 || !isHeld(row) || !confirmed(row, about));
  restoreDraft(isGone ? { name: "add", text: typed.text } : typed, sayProblem(problem));
}

queue.on({
  changed,
  made,
  done,
  stale,
  refused(op, problem) {
    giveBack(op, problem);
    if (problem.code !== "tag_exists") return complain(problem);
    const { name = "", body } = op;
    go({ id: name }); // back to the place of the question
    show({ taken: { name, other: String(body?.name) } });
  },
  reachable(is) {
    if (store.online === is) return;
    store.online = is;
    redraw();
  },
});
