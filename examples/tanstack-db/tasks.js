// Tasks as a TanStack DB collection that works offline, in any number of windows. Rows are found by uid, which the
// client chooses. IndexedDB holds the rows, their revision and the outbox; each window shows what is in it.
import { createCollection, createTransaction } from "@tanstack/react-db";
import { openDB } from "idb";
import { batch, follow } from "../sync.mjs";

const BATCH_MAX = 100; // operations in a request; the service takes 500 of them, and 1 MB
const RETRY_DELAY = 3000; // milliseconds
const here = crypto.randomUUID(); // this window
const isUnavailable = ({ status }) => status === 429 || status >= 500;
const isGone = ({ action }) => action === "deleted" || action === "purged";
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// `name` is the database of one user, `call` a client of ../sync.mjs. `onRefused` gets the writes that the service has
// refused, each with its problem; `decide` ends one.
export async function openTasks({ name, call, onRefused }) {
  const db = await openDB(name, 1, {
    upgrade(made) {
      made.createObjectStore("rows", { keyPath: "uid" });
      made.createObjectStore("outbox", { keyPath: "id", autoIncrement: true });
      made.createObjectStore("state"); // revision of the rows, batch that is being sent, revision of the last one sent
    },
  });
  const others = new BroadcastChannel(name); // the other windows
  const shown = new Map(); // id in the outbox -> its transaction, and how to end it
  let position = -1; // revision that this window shows
  const waiting = []; // called when it changes
  let timer;

  // ---- Pull: the stored rows, then a snapshot or the changes since, then each write as it happens.
  async function sync({ begin, write, commit, truncate, markReady }) {
    const apply = (changes, reset) => {
      begin();
      if (reset) truncate();
      for (const change of changes)
        write(isGone(change) ? { type: "delete", key: change.data.uid } : { type: "update", value: change.data });
      commit();
    };
    const revision = (await db.get("state", "revision")) ?? null;
    if (revision !== null) {
      apply((await db.getAll("rows")).map((data) => ({ data })));
      markReady();
    }
    await refresh();
    flush();
    for await (const { changes, reset, revision: reached } of follow(call, revision)) {
      const tasks = changes.filter(({ entity }) => entity === "task");
      const stored = db.transaction(["rows", "state"], "readwrite");
      const [rows, state] = [stored.objectStore("rows"), stored.objectStore("state")];
      const isStored = (await state.get("revision")) >= reached; // by another window
      if (!isStored) {
        if (reset) rows.clear();
        for (const change of tasks) isGone(change) ? rows.delete(change.data.uid) : rows.put(change.data);
        state.put(reached, "revision");
      }
      await stored.done;
      apply(tasks, reset);
      markReady();
      position = reached;
      for (const wake of waiting.splice(0)) wake();
    }
  }

  // ---- Push: each mutation goes to the outbox. Its handler ends when it was sent and its row has come back.
  const handler =
    (describe) =>
    async ({ transaction }) => {
      const ids = await Promise.all(
        transaction.mutations.map((mutation) => db.add("outbox", { from: here, ...describe(mutation) })),
      );
      const outcomes = ids.map((id) => track(id, transaction));
      others.postMessage("queued");
      flush();
      await Promise.all(outcomes);
    };
  const collection = createCollection({
    id: name,
    getKey: (task) => task.uid,
    sync: { sync: (api) => void sync(api).catch(api.markError), rowUpdateMode: "full" },
    gcTime: 0, // never
    onInsert: handler(({ key, modified }) => ({ uid: key, operation: "create_task", fields: modified, saw: {} })),
    onUpdate: handler(({ key, changes, original, metadata }) => {
      const base = metadata?.base ?? original; // the task as it was when the user began to type
      const saw = Object.fromEntries(Object.keys(changes).map((field) => [field, base[field]]));
      return { uid: key, operation: "update_task", fields: changes, base_version: base.version, saw };
    }),
    onDelete: handler(({ key }) => ({ uid: key, operation: "delete_task", fields: {}, saw: {} })),
  });
  const request = ({ uid, operation, fields, base_version }) => ({
    operation,
    arguments: operation === "create_task" ? fields : { task_id: `uid:${uid}`, ...fields, base_version },
  });

  // Sends the outbox, one window at a time. A batch is sent again unchanged, with its key, until there is a response.
  async function flush() {
    clearTimeout(timer);
    try {
      await navigator.locks.request(name, async () => {
        for (let unsent; (unsent = await nextBatch()); await refresh()) {
          const outcome = await batch(call, unsent.entries.map(request), unsent.key);
          await settle(unsent.entries, outcome);
          others.postMessage("sent");
          if (outcome.results.some(isUnavailable)) throw new Error("the service is unavailable");
        }
      });
    } catch (error) {
      console.warn(`not sent yet: ${error}`);
      timer = setTimeout(flush, RETRY_DELAY);
    }
  }

  // Returns the batch that has no response yet, or a new one: of each task its oldest write.
  async function nextBatch() {
    const stored = db.transaction(["outbox", "state"], "readwrite");
    const writes = (await stored.objectStore("outbox").getAll()).filter(({ problem }) => !problem);
    let sending = await stored.objectStore("state").get("batch");
    if (!sending && writes.length) {
      const oldest = writes.filter(({ uid }, at) => at === writes.findIndex((entry) => entry.uid === uid));
      sending = { key: crypto.randomUUID(), ids: oldest.slice(0, BATCH_MAX).map(({ id }) => id) };
      stored.objectStore("state").put(sending, "batch");
    }
    await stored.done;
    return sending && { key: sending.key, entries: writes.filter(({ id }) => sending.ids.includes(id)) };
  }

  async function settle(entries, { results, revision }) {
    const stored = db.transaction(["outbox", "state"], "readwrite");
    const outbox = stored.objectStore("outbox");
    const all = await outbox.getAll();
    for (const [at, result] of results.entries()) {
      const { id, uid, operation, fields } = entries[at];
      const { status, body, problem } = result;
      if (status < 300 || (operation === "delete_task" && status === 404) || problem.code === "uid_taken")
        outbox.delete(id);
      else if (!isUnavailable(result)) outbox.put({ ...entries[at], problem });
      // The task's next write was made on top of this one, unless others have changed fields of it that this one left.
      const next = all.find((entry) => entry.uid === uid && entry.id > id);
      const isSeen = ([field, value]) => operation === "create_task" || field in fields || same(body[field], value);
      if (next && body && Object.entries(next.saw).every(isSeen)) outbox.put({ ...next, base_version: body.version });
    }
    stored.objectStore("state").delete("batch");
    if (revision !== null) stored.objectStore("state").put(revision, "sent");
    await stored.done;
  }

  // ---- Show the outbox: unsent writes as optimistic rows, refused ones to the user.
  function track(id, transaction) {
    const outcome = new Promise((resolve, reject) => shown.set(id, { transaction, resolve, reject }));
    outcome.catch(() => {}); // onRefused gets it
    return outcome;
  }

  async function refresh() {
    const stored = db.transaction(["outbox", "state"]);
    const entries = await stored.objectStore("outbox").getAll();
    const sent = (await stored.objectStore("state").get("sent")) ?? -1;
    for (const [id, { resolve, reject }] of shown) {
      const entry = entries.find((one) => one.id === id);
      if (!entry) reach(sent).then(resolve);
      else if (entry.problem) reject(new Error(entry.problem.detail));
      if (!entry || entry.problem) shown.delete(id);
    }
    for (const { id, uid, from, operation, fields, problem } of entries) {
      const isShown = shown.has(id) ? shown.get(id).transaction.state !== "failed" : from === here;
      if (problem || isShown) continue;
      const transaction = createTransaction({ mutationFn: () => outcome });
      const outcome = track(id, transaction);
      transaction.mutate(() => {
        const isThere = collection.has(uid); // else deleted elsewhere
        if (operation === "create_task") isThere || collection.insert(fields);
        else if (operation === "update_task")
          isThere && collection.update(uid, (draft) => void Object.assign(draft, fields));
        else isThere && collection.delete(uid);
      });
    }
    onRefused(entries.filter(({ problem }) => problem));
  }
  const reach = async (revision) => {
    while (position < revision) await new Promise((wake) => waiting.push(wake));
  };
  others.onmessage = () => refresh().then(flush);
  addEventListener("online", flush);

  // Sends `mine` again on top of the row as it is now, or gives up the fields in conflict.
  async function decide({ id, uid, fields, problem }, mine) {
    const lost = mine ? [] : (problem.conflicts?.map(({ field }) => field) ?? Object.keys(fields));
    const kept = Object.entries(fields).filter(([field]) => !lost.includes(field));
    await db.delete("outbox", id);
    if (kept.length && collection.has(uid))
      collection.update(uid, (draft) => void Object.assign(draft, Object.fromEntries(kept)));
    others.postMessage("decided");
    await refresh();
  }

  return { collection, decide };
}
