// The outbox: every write passes through it, online or not, and is sent in order. It is in the database, one for each
// window, since two windows writing to the same one would lose each other's writes; the outbox of a closed or reloaded
// window is adopted by another one. Each write has an Idempotency-Key, so a client that does not know whether it arrived
// (a lost response, a suspended machine, an outbox adopted twice) sends it again.
import { Problem, Unreachable, newKey } from "./api.js";
import { operationOf, operationsOf } from "./batch.js";
import { keepOps, lockOf, moveOps, ownersOf } from "./outbox.js";
import { call, session } from "./session.js";
/** @import { BatchResult, NewOp, Op, OutboxHandlers, Row, Success, WriteResult } from "types/client" */
/** @import { Method } from "types/routes" */

const BACK_OFF = [1, 2, 4, 8, 15, 30]; // seconds
const RECHECK_DELAY = 2000; // milliseconds between two checks of the outboxes of other windows
const LOCKS_PATIENCE = 300; // milliseconds
// A write that fails so often with an error of the service is dropped; network failures do not count.
const TRIES_MAX = 6;
const BATCH_MAX = 100; // writes

/** @type {Op[]} */
let waiting = []; // of the logged-in user
/** @type {{ batch: string | null, promise: Promise<unknown> } | null} */
let sending = null;
let failures = 0;
let timer = 0;
let recheckTimer = 0;
/** @type {OutboxHandlers} */
const handlers = { changed() {}, made() {}, done() {}, refused() {}, stale: () => null, reachable() {} };

const own = newKey(); // this window
/** @type {Set<string>} */
const held = new Set(); // users for whom this window holds its lock
const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("todo.outbox") : null;

/** @param {(ops: Op[]) => Op[]} edit */
function update(edit) {
  if (!session.user) return;
  const wasEmpty = !waiting.length;
  waiting = edit(waiting);
  keepOps(session.user.id, own, waiting);
  if (wasEmpty && waiting.length) others?.postMessage(null);
  handlers.changed();
}

/**
 * Adopts outboxes of closed windows. A window holds a lock with the name of its outbox while it is open.
 * @param {string} user
 */
async function adopt(user) {
  clearTimeout(recheckTimer);
  const owners = (await ownersOf(user)).filter((owner) => owner !== own);
  for (const owner of owners) {
    const take = () => takeOps(user, owner);
    // Locks need https or localhost. Without them the outbox of an open window may be adopted: then both send it, with
    // one key.
    if (navigator.locks)
      await navigator.locks.request(lockOf(user, owner), { ifAvailable: true }, (free) => free && take());
    else await take();
  }
  if (owners.length) watch();
}

/**
 * Checks a window again that is open, or just being closed: a request for its lock may wait for ever (seen in
 * Chromium).
 */
function watch() {
  clearTimeout(recheckTimer);
  const user = session.user?.id;
  if (navigator.locks && user) recheckTimer = setTimeout(() => session.user?.id === user && adopt(user), RECHECK_DELAY);
}
others?.addEventListener("message", watch);

/**
 * @param {string} user
 * @param {string} owner
 */
async function takeOps(user, owner) {
  await moveOps(user, owner, own, (left) => {
    if (session.user?.id !== user) return null; // they stay with their user
    const known = new Set(waiting.map(({ key }) => key));
    return (waiting = [...left.filter(({ key }) => !known.has(key)), ...waiting]);
  });
  if (session.user?.id !== user || !waiting.length) return;
  update((ops) => ops); // what was written while they were moved
  queue.send();
}

export const queue = {
  all: () => waiting,
  get size() {
    return waiting.length;
  },
  /** @type {(given: OutboxHandlers) => void} */
  on: (given) => void Object.assign(handlers, given),

  /** Opens the outbox of the logged-in user. Resolves when those of closed windows are in it, if their locks are free. */
  async enter() {
    waiting = [];
    const user = session.user?.id;
    if (!user) return;
    if (!held.has(user)) navigator.locks?.request(lockOf(user, own), () => new Promise(() => {})); // until the window is closed
    held.add(user);
    await takeOps(user, own); // from an earlier login in this window
    await Promise.race([adopt(user), new Promise((done) => setTimeout(done, LOCKS_PATIENCE))]);
  },

  /**
   * @template {Method} M
   * @template {string} P
   * @param {NewOp<M, P>} op
   */
  push(op) {
    const whole = /** @type {Op} */ ({ key: newKey(), tries: 0, operation: operationOf(op), ...op });
    update((ops) => [...ops, whole]);
    queue.send();
    return whole;
  },

  /** Removes the latest write, unless it is being sent or belongs to a batch that may have arrived. */
  cancelLast() {
    const last = waiting.at(-1);
    const isSent = last?.batch && (last.batch === sending?.batch || last.batch !== last.key);
    if (!last || isSent) return null;
    update((ops) => ops.filter((op) => op.key !== last.key));
    return last;
  },

  /** Resolves when no write is in progress: later events of the stream come after the response that names them. */
  settled: () => sending?.promise ?? Promise.resolve(),

  async send() {
    clearTimeout(timer);
    if (sending || !waiting.length) return;
    sending = { batch: null, promise: Promise.resolve() };
    try {
      await drain(sending);
    } finally {
      sending = null;
      handlers.changed();
    }
    if (waiting.length) wait();
  },
};

function wait(seconds = BACK_OFF[Math.min(failures, BACK_OFF.length - 1)]) {
  clearTimeout(timer);
  timer = setTimeout(queue.send, seconds * 1000);
}

/**
 * The first write finds out whether the service can be reached; those behind it follow in batches.
 * @param {NonNullable<typeof sending>} now
 */
async function drain(now) {
  for (let alone = true; waiting.length; alone = false) {
    const ops = assign(alone);
    const sent = attempt(ops);
    now.batch = ops[0].batch ?? null;
    now.promise = sent.catch(() => {});
    if (!(await sent)) return;
  }
}

/**
 * Returns the writes of the next request. They stay assigned to it, as it may arrive without a response and is
 * then repeated unchanged.
 * @param {boolean} alone
 */
function assign(alone) {
  const [first] = waiting;
  if (!first.batch) {
    const end = waiting.findIndex((op, at) => at === BATCH_MAX || op.batch || !op.operation);
    const most = alone || end === 0 ? 1 : end < 0 ? waiting.length : end;
    const batch = most > 1 ? newKey() : first.key;
    update((ops) => ops.map((op, at) => (at < most ? { ...op, batch } : op)));
  }
  const { batch } = waiting[0];
  return waiting.filter((op) => op.batch === batch);
}

/**
 * Returns whether to continue with the next writes.
 * @param {Op[]} ops
 */
async function attempt(ops) {
  /** @type {(Success | Problem)[]} */
  let results;
  try {
    results = ops.length > 1 ? await requestAll(ops) : [await request(ops[0])];
  } catch (error) {
    handlers.reachable(!(error instanceof Unreachable));
    if (!(error instanceof Problem) || again(ops, error)) {
      failures += 1;
      return false;
    }
    if (ops.length > 1)
      update((all) => all.map((op) => (ops.some(isSame(op)) ? { ...op, tries: 0, batch: op.key } : op)));
    results = ops.length > 1 ? [] : [error];
  }
  failures = 0;
  handlers.reachable(true);
  const instead = await Promise.all(
    results.map((result, at) => (result instanceof Problem && result.status === 412 ? handlers.stale(ops[at]) : null)),
  );
  results.forEach((result, at) => {
    const op = waiting.find(isSame(ops[at])) ?? ops[at]; // the writes before it may have given it an id
    if (result instanceof Problem) refuse(op, result, instead[at]);
    else settle(op, result);
  });
  return true;
}

/** @type {(op: Op) => (other: Op) => boolean} */
const isSame = (op) => (other) => other.key === op.key;

/**
 * Sends the writes as one batch, of which each succeeds or fails alone.
 * @param {Op[]} ops
 */
async function requestAll(ops) {
  /** @type {string} */
  const path = "/batch"; // not a literal type: a union of all operations takes long to be checked
  const answer = await call("POST", path, {
    body: { atomic: false, operations: operationsOf(ops) },
    headers: { "Idempotency-Key": String(ops[0].batch) },
  });
  const { results } = /** @type {BatchResult} */ (answer.data);
  return Promise.all(
    results.map(({ status, body, problem }, at) =>
      problem ? takeMade(ops[at], new Problem(status, problem)) : { data: /** @type {WriteResult} */ (body) },
    ),
  );
}

/**
 * Sends the write to its own route.
 * @param {Op} op
 * @returns {Promise<Success>}
 */
async function request(op) {
  try {
    return /** @type {Success} */ (await call(op.method, pathOf(op), { body: op.body, headers: headers(op) }));
  } catch (error) {
    const result = error instanceof Problem ? await takeMade(op, error) : error;
    if (result instanceof Error) throw result;
    return /** @type {Success} */ (result);
  }
}

/**
 * If the uid of a new row is taken, an earlier attempt created it, whose key has expired: returns that row.
 * @param {Op} op
 * @param {Problem} problem
 * @returns {Promise<Success | Problem>}
 */
async function takeMade(op, problem) {
  if (problem.code !== "uid_taken") return problem;
  /** @type {string} */
  const made = `${pathOf(op).replace(/\/quick$|\/-?\d+\/duplicate$/, "")}/uid:${op.body?.uid}`;
  return /** @type {Success} */ (await call("GET", made));
}

/** @type {(op: Op) => string} */
const pathOf = (op) => op.path.replace("{id}", String(op.id));

/** @type {(op: Op) => Record<string, string>} */
function headers(op) {
  return { "Idempotency-Key": op.key, ...(op.match ? { "If-Match": `"${op.match}"` } : {}) };
}

/**
 * Returns whether the same request may succeed later.
 * @param {Op[]} ops
 * @param {Problem} error
 */
function again(ops, error) {
  if (error.status === 401 || error.status === 429 || error.code === "idempotency_key_in_use") return true;
  if (error.status < 500) return false;
  update((all) => all.map((op) => (ops.some(isSame(op)) ? { ...op, tries: op.tries + 1 } : op)));
  return ops[0].tries < TRIES_MAX;
}

/**
 * Removes a write that the service refused, or replaces it.
 * @param {Op} op
 * @param {Problem} error
 * @param {Op | null} instead
 */
function refuse(op, error, instead) {
  update((ops) => ops.flatMap((one) => (one.key !== op.key ? one : (instead ?? []))));
  if (error.status !== 412 && !instead) handlers.refused(op, error);
}

/**
 * Updates the later writes from the response: the real id of a created row, the version after this write.
 * @param {Op} op
 * @param {Success} answer
 */
function settle(op, answer) {
  const row = /** @type {Row | null} */ (answer.data?.task ?? answer.data);
  const made = op.creates && row ? { entity: op.entity, from: op.creates, row } : null;
  const version = op.match && row?.version;
  /** @type {(one: Op) => boolean} */
  const follows = (one) => one.entity === op.entity && one.id === op.id && one.match === op.match;
  if (made) handlers.made(made);
  handlers.done(op, answer);
  update((ops) =>
    ops
      .filter((one) => one.key !== op.key)
      .map((one) => (made ? renamed(one, made) : one))
      .map((one) => (version && follows(one) ? { ...one, match: version } : one)),
  );
}

/**
 * Ids of rows created offline are negative until the service assigns one. The comments on a task name it as well.
 * @type {(op: Op, made: { entity: Op["entity"], from: number, row: Row }) => Op}
 */
function renamed(op, { entity, from, row }) {
  const text = JSON.stringify(op, (_, value) => (value === from ? row.id : value));
  const match = op.id === from && op.entity === entity ? row.version : op.match;
  return { ...JSON.parse(text), match };
}

let lastId = 0;
export const newId = () => (lastId = Math.min(lastId - 1, -Date.now()));
