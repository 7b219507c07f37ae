// The browser's database: what this window has received, and what waits to be sent. A browser may have none (private
// windows of some), have no room, or hold the database of a newer version of this page. Then the window goes on, and
// says what it cannot keep.
import { t } from "./language.js";

const [NAME, VERSION] = ["todo", 1];
const STORES = ["chunks", "revisions", "outbox"];

/** @typedef {"none" | "full" | "newer" | "lost"} Trouble */
/** @typedef {(name: string) => IDBObjectStore} Stores */

/** @type {Record<Trouble, string>} */
export const TROUBLES = {
  none: t(
    "This browser keeps nothing for this page, as in a private window: opened again without the service, it is empty.",
  ),
  full: t("The storage of this browser is full: opened again without the service, this page is not up to date."),
  newer: t("A newer version of this page is open in this browser. Load this one again."),
  lost: t("The storage of this browser is full. Keep this window open until all changes are sent."),
};
/** @type {{ trouble: Trouble | null }} */
export const storage = { trouble: null };
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Promise<IDBDatabase> | null} */
let opened = null;

/** @param {() => void} listener */
export const onTrouble = (listener) => void listeners.add(listener);

/** @param {Trouble | null} trouble */
export function note(trouble) {
  if (storage.trouble === trouble) return;
  storage.trouble = trouble;
  for (const listener of listeners) listener();
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  const { promise, resolve, reject } = settle();
  try {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  } catch (error) {
    reject(error);
  }
  return promise.then(
    (database) => {
      database.onversionchange = (/** @type {IDBVersionChangeEvent} */ { newVersion }) => {
        database.close(); // else the newer version waits for this window
        if (newVersion) note("newer");
        else opened = null;
      };
      database.onclose = () => (opened = null); // the user has cleared the data of this page
      return database;
    },
    (error) => {
      note(error?.name === "VersionError" ? "newer" : "none");
      throw error;
    },
  );
}

/** @returns {{ promise: Promise<any>, resolve: (value?: unknown) => void, reject: (error: unknown) => void }} */
function settle() {
  /** @type {any} */
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

/**
 * Does the work in one transaction, which starts in the same task if the database is open. Resolves with what the work
 * returned, once that is written.
 * @template T
 * @param {string[]} names of the stores
 * @param {IDBTransactionMode} mode
 * @param {(stores: Stores, transaction: IDBTransaction) => T} work
 * @param {IDBTransactionDurability} [durability] strict: it has survived a loss of power
 * @returns {Promise<T>}
 */
export async function transact(names, mode, work, durability = "relaxed") {
  const database = await (opened ??= open());
  const { promise, resolve, reject } = settle();
  try {
    const transaction = database.transaction(names, mode, { durability });
    const value = work((name) => transaction.objectStore(name), transaction);
    transaction.oncomplete = () => resolve(value);
    transaction.onabort = () => reject(transaction.error);
    const done = await promise;
    if (mode === "readwrite" && storage.trouble === "full") note(null);
    return done;
  } catch (error) {
    if (error instanceof DOMException && error.name === "QuotaExceededError") note("full");
    throw error;
  }
}

/**
 * All keys that begin with these parts.
 * @param {string[]} parts
 */
export const keysOf = (...parts) => IDBKeyRange.bound(parts, [...parts, []]); // an array is after every text and number
