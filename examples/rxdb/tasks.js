// Tasks as an RxDB collection that works offline, in any number of windows. Documents are found by uid, which the
// client chooses. RxDB keeps them in IndexedDB, and lets one window replicate until it is closed.
import { createRxDatabase } from "rxdb/plugins/core";
import { replicateRxCollection } from "rxdb/plugins/replication";
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie";
import { Observable } from "rxjs";
import { batch, events, json, snapshot } from "../sync.mjs";

const RETRY_DELAY = 3000; // milliseconds
const ID_MAX = 500; // characters; a uid has up to 255
const BATCH_MAX = 100; // documents in a request; the service takes 500
const FIELDS = ["title", "description", "completed", "due_date"]; // what users change here
const CHANGED_TEXT = "It was changed elsewhere.";
const DELETED_TEXT = "It was deleted elsewhere.";
const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
const pick = (from, fields) => Object.fromEntries(fields.map((field) => [field, from[field] ?? null]));
const toDocument = (task, _deleted) => ({ ...pick(task, ["uid", "version", ...FIELDS]), _deleted });
const toDocuments = (changes) =>
  changes
    .filter(({ entity }) => entity === "task")
    .map(({ action, data }) => toDocument(data, action === "deleted" || action === "purged"));
const schema = (primaryKey, ...fields) => ({
  version: 0,
  primaryKey,
  type: "object",
  properties: {
    [primaryKey]: { type: "string", maxLength: ID_MAX },
    ...Object.fromEntries(fields.map((field) => [field, {}])),
  },
});

// `name` is the database of one user, `call` a client of ../sync.mjs. Returns two collections: `tasks`, and `refused`,
// writes that the service has refused and that only the user can decide about.
export async function openTasks({ name, call }) {
  const database = await createRxDatabase({ name, storage: getRxStorageDexie() });
  const { tasks, refused } = await database.addCollections({
    tasks: { schema: schema("uid", "version", ...FIELDS), conflictHandler: { isEqual, resolve } },
    refused: { schema: schema("id", "uid", "detail", "conflicts", "mine") },
  });
  let position = -1; // the latest revision pulled
  const sent = new Set(); // uids of documents that were sent while a snapshot was read
  const problems = new Map(); // uid -> why the service refused the write, other than for a conflict

  // ---- Pull: a snapshot without a checkpoint, or where it is too old; else what has changed since.
  async function pull(checkpoint) {
    for (let since = checkpoint?.revision; since !== undefined;) {
      const response = await call(`/changes?since=${since}&limit=1000`);
      if (response.status === 410) break;
      const page = await json(response);
      const documents = toDocuments(page.changes);
      position = since = page.next;
      if (documents.length || !page.has_more) return { documents, checkpoint: { revision: since } };
    }
    sent.clear();
    const before = await tasks.find().exec();
    const { changes, revision } = await snapshot(call);
    const documents = toDocuments(changes);
    const there = new Set([...documents.map(({ uid }) => uid), ...sent]);
    const gone = before.filter(({ uid }) => !there.has(uid)); // RxDB keeps unsent writes
    position = revision;
    return { documents: [...documents, ...gone.map((task) => toDocument(task, true))], checkpoint: { revision } };
  }

  const stream$ = new Observable((subscriber) => {
    const closed = new AbortController();
    const read = async () => {
      while (!closed.signal.aborted)
        for await (const { changes, revision } of events(call, null, closed.signal)) {
          if (!changes.length)
            subscriber.next("RESYNC"); // connected again
          else if (revision > position) subscriber.next({ documents: toDocuments(changes), checkpoint: { revision } });
        }
    };
    read().catch((error) => subscriber.error(error));
    return () => closed.abort();
  });

  function operationOf({ newDocumentState: mine, assumedMasterState: base }) {
    if (!base) return mine._deleted ? null : { operation: "create_task", arguments: pick(mine, ["uid", ...FIELDS]) };
    const [task_id, if_match, fields] = [`uid:${mine.uid}`, base.version, changed(mine, base)];
    if (mine._deleted) return base._deleted ? null : { operation: "delete_task", arguments: { task_id }, if_match };
    return fields.length ? { operation: "update_task", arguments: { task_id, ...pick(mine, fields) }, if_match } : null;
  }

  // ---- Push: each write names the version it was made on, so that repeating it changes nothing.
  async function push(rows) {
    const writes = rows.map((row) => ({ ...row, operation: operationOf(row) })).filter(({ operation }) => operation);
    if (!writes.length) return [];
    const operations = writes.map(({ operation }) => operation);
    const { results } = await batch(call, operations);
    const conflicting = [];
    for (const [at, { status, problem }] of results.entries()) {
      const { newDocumentState: mine, assumedMasterState: base } = writes[at];
      sent.add(mine.uid);
      if (status < 300) continue;
      if (status === 429 || status >= 500) throw new Error(problem.detail); // all of them again
      if (![404, 409, 412].includes(status)) problems.set(mine.uid, problem.detail);
      const response = await call(`/tasks/uid:${mine.uid}`);
      const isGone = response.status === 404;
      conflicting.push(isGone ? { ...(base ?? mine), _deleted: true } : toDocument(await json(response), false));
    }
    return conflicting;
  }

  // ---- Conflicts: fields that one side has changed are merged. Others are the server's until the user decides.
  function isEqual(one, other) {
    return one._deleted === other._deleted && one.version === other.version && !changed(one, other).length;
  }

  async function resolve({ newDocumentState: mine, assumedMasterState: base = {}, realMasterState: theirs }) {
    const detail = problems.get(mine.uid) ?? (theirs._deleted ? DELETED_TEXT : CHANGED_TEXT);
    const isLost = problems.delete(mine.uid) || theirs._deleted;
    const edited = changed(mine, base);
    const lost = edited.filter((field) => !same(theirs[field], mine[field]) && !same(theirs[field], base[field]));
    const conflicts = (isLost ? [] : lost).map((field) => ({
      field,
      base: base[field],
      theirs: theirs[field],
      yours: mine[field],
    }));
    if (isLost && edited.length && !mine._deleted) await refuse(mine.uid, { detail, mine: pick(mine, edited) });
    if (conflicts.length && !mine._deleted) await refuse(mine.uid, { detail, conflicts });
    if (isLost) return theirs;
    const kept = edited.filter((field) => !lost.includes(field));
    return { ...theirs, ...pick(mine, kept), _deleted: mine._deleted };
  }
  const refuse = (uid, entry) =>
    refused.upsert({ id: `${uid} ${JSON.stringify(entry)}`.slice(0, ID_MAX), uid, ...entry });
  function changed(one, other) {
    return FIELDS.filter((field) => !same(one[field], other[field]));
  }

  // Writes what the user has typed, unless the field has changed since they began.
  async function edit(uid, field, base, yours) {
    const task = await tasks.findOne(uid).exec();
    const theirs = task?.[field];
    if (task && same(theirs, base)) return task.incrementalPatch({ [field]: yours });
    if (task) await refuse(uid, { detail: CHANGED_TEXT, conflicts: [{ field, base, theirs, yours }] });
    else await refuse(uid, { detail: DELETED_TEXT, mine: { [field]: yours } });
  }

  // Sends `mine` again on top of the document as it is now, or leaves it so.
  async function decide({ id, uid, conflicts }, mine) {
    const task = mine && (await tasks.findOne(uid).exec());
    if (task) await task.incrementalPatch(Object.fromEntries(conflicts.map(({ field, yours }) => [field, yours])));
    await refused.findOne(id).remove();
  }

  const replication = replicateRxCollection({
    replicationIdentifier: name,
    collection: tasks,
    retryTime: RETRY_DELAY,
    pull: { handler: pull, stream$, batchSize: 1 }, // a page may be as short: RxDB pulls until one is empty
    push: { handler: push, batchSize: BATCH_MAX },
  });
  replication.error$.subscribe((error) =>
    console.warn(`not in step: ${error.parameters.errors?.[0]?.message ?? error}`),
  );
  return { tasks, refused, edit, decide, replication };
}
