// How the writes of the outbox are named in a batch: by the operation of their route, and new rows by their uid.
/** @import { Op } from "types/client" */

/** @type {Record<string, string>} */
const OPERATIONS = {
  "POST /tasks": "create_task",
  "POST /tasks/quick": "quick_add_task",
  "PATCH /tasks/{id}": "update_task",
  "DELETE /tasks/{id}": "delete_task",
  "PATCH /tasks/{id}/complete": "complete_task",
  "POST /tasks/{id}/skip": "skip_task",
  "POST /tasks/{id}/snooze": "snooze_task",
  "POST /tasks/{id}/restore": "restore_task",
  "POST /tasks/{id}/move": "move_task",
  "POST /tasks/{id}/duplicate": "duplicate_task",
  "POST /tasks/{id}/comments": "create_comment",
  "POST /projects": "create_project",
  "PATCH /projects/{id}": "update_project",
  "DELETE /projects/{id}": "delete_project",
  "POST /projects/{id}/duplicate": "duplicate_project",
  "POST /views": "create_view",
  "PATCH /views/{id}": "update_view",
  "DELETE /views/{id}": "delete_view",
};

/**
 * undefined: the write is a request of its own.
 * @type {(op: { method: string, path: string }) => string | undefined}
 */
export const operationOf = ({ method, path }) => OPERATIONS[`${method} ${path}`];

/**
 * Returns the operations of a batch. A row that one of them creates has no id yet: the others name it by its uid.
 * @param {Op[]} ops
 */
export function operationsOf(ops) {
  const uids = new Map(ops.map((op) => [op.creates, op.body?.uid]));
  /** @type {(fields: object) => object} */
  const named = (fields) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => {
        const uid = value === undefined ? undefined : uids.get(value);
        if (uid !== undefined) return [name.replace(/_id$|$/, "_uid"), uid];
        const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
        return [name, isObject ? named(value) : value];
      }),
    );
  return ops.map(({ operation, id, path, match, body }) => {
    const noun = /^\/(\w+)s\/\{id\}/.exec(path)?.[1];
    const target = noun ? { [`${noun}_id`]: id } : {};
    return { operation, arguments: named({ ...target, ...body }), ...(match ? { if_match: match } : {}) };
  });
}
