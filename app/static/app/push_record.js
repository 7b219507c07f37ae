// The channel of this browser, and whose it is. In IndexedDB, because the service worker reads it also; without it the
// service worker shows nothing. It is no secret: it authorizes nothing.

/** @typedef {{ snooze: string, complete: string, failed: string }} NotificationTexts in the language of the page */
/**
 * @typedef {object} PushRecord
 * @property {string} user
 * @property {number} channel
 * @property {string} key
 * @property {string} endpoint
 * @property {NotificationTexts} [texts] a record of an earlier version has none
 */

export const SNOOZE_MINUTES = 10; // by a click on a notification

const [DATABASE, STORE, KEY] = ["todo.push", "records", "browser"];

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const settled = (request) =>
  new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(records: IDBObjectStore) => IDBRequest<T>} work
 */
async function transact(mode, work) {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await settled(opening);
  try {
    return await settled(work(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

/** @returns {Promise<PushRecord | null>} */
export const readRecord = async () => (await transact("readonly", (records) => records.get(KEY))) ?? null;

/** @param {PushRecord} record */
export const writeRecord = (record) => transact("readwrite", (records) => records.put(record, KEY));

export const deleteRecord = () => transact("readwrite", (records) => records.delete(KEY));
