// What waits to be sent, in the database: an outbox for each user and window, which one window writes. Earlier versions
// kept them in localStorage.
import { keysOf, note, transact } from "./database.js";
/** @import { Op } from "types/client" */

/** The name of the lock that a window holds while it is open, and of its outbox in earlier versions. */
export const lockOf = (/** @type {string} */ user, /** @type {string} */ owner) => `todo.queue.${user}.${owner}`;

/**
 * Keeps the outbox of a window. It is committed at once: a reload or a crash directly after it loses nothing. Without the
 * database it is in localStorage.
 * @param {string} user
 * @param {string} owner
 * @param {Op[]} ops
 */
export async function keepOps(user, owner, ops) {
  const key = lockOf(user, owner);
  try {
    await transact(
      ["outbox"],
      "readwrite",
      (stores, transaction) => {
        putOps(stores("outbox"), [user, owner], ops);
        transaction.commit();
      },
      "strict",
    );
    localStorage.removeItem(key);
  } catch {
    keepWithout(key, ops);
  }
}

/** @type {(key: string, ops: Op[]) => void} */
function keepWithout(key, ops) {
  try {
    if (ops.length) localStorage.setItem(key, JSON.stringify(ops));
    else localStorage.removeItem(key);
  } catch {
    note("lost");
  }
}

/** @type {(outbox: IDBObjectStore, key: string[], ops: Op[]) => void} */
const putOps = (outbox, key, ops) => void (ops.length ? outbox.put(ops, key) : outbox.delete(key));

/**
 * Returns the windows that have an outbox of this user.
 * @param {string} user
 * @returns {Promise<string[]>}
 */
export async function ownersOf(user) {
  const prefix = lockOf(user, "");
  const earlier = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  const request = await transact(["outbox"], "readonly", (stores) => stores("outbox").getAllKeys(keysOf(user))).catch(
    () => null,
  );
  const keys = /** @type {string[][]} */ (request?.result ?? []);
  return [...new Set([...keys.map(([, owner]) => owner), ...earlier.map((key) => key.slice(prefix.length))])];
}

/**
 * Moves the outbox of another window into that of this one, in one transaction.
 * @param {string} user
 * @param {string} from
 * @param {string} owner
 * @param {(left: Op[]) => Op[] | null} merge returns the whole outbox of this window; null: nothing is moved
 */
export async function moveOps(user, from, owner, merge) {
  const key = lockOf(user, from);
  const earlier = localStorage.getItem(key);
  if (earlier) {
    const whole = merge(JSON.parse(earlier));
    if (whole) await keepOps(user, owner, whole);
    if (whole && from !== owner) localStorage.removeItem(key);
  }
  await transact(
    ["outbox"],
    "readwrite",
    (stores) => {
      const outbox = stores("outbox");
      const left = outbox.get([user, from]);
      left.onsuccess = () => {
        const whole = left.result && merge(left.result);
        if (!whole) return; // another window was first
        outbox.delete([user, from]);
        putOps(outbox, [user, owner], whole);
      };
    },
    "strict",
  ).catch(() => {});
}
