// The rows and their revision in the database, so that the page shows them at once and without the service. A chunk holds
// the rows of 256 ids as JSON: 10,000 tasks are 40 records, not 10,000.
//
// Windows write to the same replica. It only ever goes forward: a window that is behind leaves it alone, and keeps in
// mind what it has to write. So each chunk has at least all changes up to the revision; rows may be newer, since
// what follows is applied again.
import { keysOf, storage, transact } from "./database.js";
import { session } from "./session.js";
import { EMPTY_TASK, ENTITIES, fill, isHeld, onChange, rowsOf, store, unsaved } from "./store.js";
import { isOpen } from "./statuses.js";
/** @import { Entity, Row, Task } from "types/client" */

const STORES = ["chunks", "revisions"];
const CHUNK = 256; // ids
const SAVE_AFTER = 1000; // milliseconds
const TRY_AFTER = 60_000; // while the database takes nothing
const DONE_MAX = 100; // tasks that are not open: the service lists them, a page of as many at a time
/** The rows of another version of the service may lack a field, and are replaced by a snapshot. */
const SERVICE_VERSION = document.querySelector("meta[name=version]")?.getAttribute("content") ?? "";

/** @typedef {{ entity: string, rows: string }} Chunk */
/** @typedef {{ revision: number, service: string }} Saved */

let timer = 0;
let saved = -1; // the revision that this window has written or read

/**
 * Shows what the database has of the user.
 * @param {string} user
 */
export async function loadReplica(user) {
  saved = -1;
  const read = await transact(STORES, "readonly", (stores) => ({
    saved: stores("revisions").get(user),
    chunks: stores("chunks").getAll(keysOf(user)),
  }));
  const found = /** @type {Saved | undefined} */ (read.saved.result);
  if (!found || session.user?.id !== user || store.revision !== null) return;
  store.outdated = found.service !== SERVICE_VERSION;
  for (const { entity, rows } of /** @type {Chunk[]} */ (read.chunks.result)) {
    if (isHeld(entity)) fill(entity, store.outdated && entity === "task" ? completed(rows) : JSON.parse(rows));
  }
  forgetDone();
  store.revision = saved = found.revision;
}

/**
 * Returns tasks of another version of the service with the fields that they may lack.
 * @type {(rows: string) => Task[]}
 */
const completed = (rows) => JSON.parse(rows).map((/** @type {Task} */ row) => ({ ...EMPTY_TASK, ...row }));

/** Keeps the latest of the tasks that are done. */
function forgetDone() {
  const closed = [...rowsOf("task").values()].filter((task) => !isOpen(task));
  const time = (/** @type {Task} */ task) => task.completed_at ?? task.updated_at;
  const later = (/** @type {Task} */ one, /** @type {Task} */ other) =>
    time(one) === time(other) ? one.id > other.id : time(one) > time(other); // as the service lists them
  closed.sort((one, other) => (later(one, other) ? -1 : 1));
  for (const { id } of closed.slice(DONE_MAX)) {
    rowsOf("task").delete(id);
    unsaved.rows.add(`task ${id}`);
  }
}

/**
 * Removes what is not this user's. null: nobody is logged in.
 * @param {string | null} user
 */
export async function keepOnly(user) {
  clearTimeout(timer);
  timer = 0;
  await transact(STORES, "readwrite", (stores) => {
    if (user === null) for (const name of STORES) stores(name).clear();
    else {
      const users = stores("revisions").getAllKeys();
      users.onsuccess = () => {
        for (const other of /** @type {string[]} */ (users.result).filter((one) => one !== user)) {
          stores("chunks").delete(keysOf(other));
          stores("revisions").delete(other);
        }
      };
    }
  });
}

const isCurrent = (/** @type {string} */ user) => JSON.parse(localStorage.getItem("todo.user") ?? "null")?.id === user; // no other window has logged out

async function save() {
  timer = 0;
  const { revision, outdated } = store;
  const user = session.user?.id;
  if (!user || revision === null || outdated || !isCurrent(user)) return;
  const whole = unsaved.whole;
  const chunks = chunksOf(whole ? null : unsaved.rows);
  const rows = new Set(unsaved.rows);
  Object.assign(unsaved, { whole: false });
  unsaved.rows.clear();
  try {
    const isWritten = await write(user, revision, whole, chunks);
    if (isWritten) return void (saved = revision);
  } catch {
    // said by the database; the next change tries again
  }
  unsaved.whole ||= whole;
  for (const row of rows) unsaved.rows.add(row);
}

/**
 * Returns whether it was written: not if another window is ahead.
 * @param {string} user
 * @param {number} revision
 * @param {boolean} whole
 * @param {Map<string, { entity: Entity, at: number, rows: Row[] }>} chunks
 */
async function write(user, revision, whole, chunks) {
  const texts = [...chunks.values()].map(({ rows, ...chunk }) => ({
    ...chunk,
    rows: JSON.stringify(rows),
    count: rows.length,
  }));
  let isWritten = false;
  await transact(STORES, "readwrite", (stores) => {
    const known = stores("revisions").get(user);
    known.onsuccess = () => {
      if (known.result?.revision > revision) return;
      isWritten = true;
      if (whole) stores("chunks").delete(keysOf(user));
      for (const { entity, at, rows, count } of texts) {
        if (count) stores("chunks").put({ entity, rows }, [user, entity, at]);
        else stores("chunks").delete([user, entity, at]);
      }
      stores("revisions").put({ revision, service: SERVICE_VERSION }, user);
    };
  });
  return isWritten;
}

/**
 * Returns the chunks of the rows, or of all, as they are now.
 * @param {Set<string> | null} changed
 */
function chunksOf(changed) {
  /** @type {Map<string, { entity: Entity, at: number, rows: Row[] }>} */
  const chunks = new Map();
  const key = (/** @type {string} */ entity, /** @type {number} */ id) => `${entity} ${Math.floor(id / CHUNK)}`;
  for (const row of changed ?? []) {
    const [entity, id] = row.split(" ");
    const at = Math.floor(Number(id) / CHUNK);
    chunks.set(key(entity, Number(id)), { entity: /** @type {Entity} */ (entity), at, rows: [] });
  }
  for (const entity of ENTITIES) {
    for (const [id, row] of rowsOf(entity)) {
      const name = key(entity, id);
      if (!changed && !chunks.has(name)) chunks.set(name, { entity, at: Math.floor(id / CHUNK), rows: [] });
      chunks.get(name)?.rows.push(row);
    }
  }
  return chunks;
}

onChange(() => {
  const isNew = unsaved.whole || unsaved.rows.size || store.revision !== saved;
  if (isNew && store.revision !== null) timer ||= setTimeout(save, storage.trouble ? TRY_AFTER : SAVE_AFTER);
});
