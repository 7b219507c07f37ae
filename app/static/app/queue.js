// The outbox: every write passes through it, online or not, and is sent in order. It is kept in localStorage, one for
// each window, since two windows writing to the same one would lose each other's writes; the outbox of a closed or
// reloaded window is adopted by another one. Each write has an Idempotency-Key, so a client that does not know whether
// it arrived (a lost response, a suspended machine, an outbox adopted twice) sends it again.
import { Problem, Unreachable, newKey } from "./api.js";
import { operationOf, operationsOf } from "./batch.js";
import { call, session } from "./session.js";
/** @import { BatchResult, NewOp, Op, OutboxHandlers, Row, Success, WriteResult } from "types/client" */
/** @import { Method } from "types/routes" */

const BACK_OFF = [1, 2, 4, 8, 15, 30]; // seconds
const RECHECK_DELAY = 2000; // milliseconds between two checks of the outboxes of other windows
// A write that fails so often with an error of the service is dropped; network failures do not count.
const TRIES_MAX = 6;
const BATCH_MAX = 100; // writes

/** @type {Op[] | null} */
let cached = null;
/** @type {{ batch: string | null, promise: Promise<unknown> } | null} */
let sending = null;
let failures = 0;
let timer = 0;
let recheckTimer = 0;
/** @type {OutboxHandlers} */
const handlers = { changed() {}, made() {}, done() {}, refused() {}, stale: () => null, reachable() {} };

const prefix = () => `todo.queue.${session.user?.id}.`;
const own = newKey(); // this window
const name = () => prefix() + own;
/** @type {() => Op[]} */
const load = () => (cached ??= JSON.parse(localStorage.getItem(name()) ?? "[]"));

/** @param {(ops: Op[]) => Op[]} edit */
function update(edit) {
  cached = edit(load());
  if (session.user && cached.length) localStorage.setItem(name(), JSON.stringify(cached));
  else localStorage.removeItem(name());
  handlers.changed();
}

/** Adopts outboxes of closed windows. A window holds a lock with the name of its outbox while it is open. */
async function adopt() {
  clearTimeout(recheckTimer);
  for (const key of others()) {
    // Locks need https or localhost. Without them the outbox of an open window may be adopted: then both send it, with
    // one key.
    if (navigator.locks) await navigator.locks.request(key, { ifAvailable: true }, (free) => free && take(key));
    else take(key);
  }
  watch();
}

const others = () =>
  session.user ? Object.keys(localStorage).filter((key) => key.startsWith(prefix()) && key !== name()) : [];

/**
 * Checks a window again that is open, or just being closed: a request for its lock may wait for ever (seen in
 * Chromium).
 */
function watch() {
  clearTimeout(recheckTimer);
  if (navigator.locks && others().length) recheckTimer = setTimeout(adopt, RECHECK_DELAY);
}
addEventListener("storage", watch);

/** @param {string} key */
function take(key) {
  const left = localStorage.getItem(key);
  if (!left || !others().includes(key)) return; // another window was first, or another user is logged in now
  update((mine) => [...JSON.parse(left), ...mine]);
  localStorage.removeItem(key);
  queue.send();
}

export const queue = {
  all: load,
  get size() {
    return load().length;
  },
  /** @type {(given: OutboxHandlers) => void} */
  on: (given) => void Object.assign(handlers, given),

  /** Opens the outbox of the logged-in user. */
  enter() {
    cached = null;
    if (!session.user) return;
    navigator.locks?.request(name(), () => new Promise(() => {})); // held until the window is closed
    adopt();
    queue.send();
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
    const last = load().at(-1);
    const isSent = last?.batch && (last.batch === sending?.batch || last.batch !== last.key);
    if (!last || isSent) return null;
    update((ops) => ops.filter((op) => op.key !== last.key));
    return last;
  },

  /** Resolves when no write is in progress: later events of the stream come after the response that names them. */
  settled: () => sending?.promise ?? Promise.resolve(),

  async send() {
    clearTimeout(timer);
    if (sending || !load().length) return;
    sending = { batch: null, promise: Promise.resolve() };
    try {
      await drain(sending);
    } finally {
      sending = null;
      handlers.changed();
    }
    if (load().length) wait();
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
  for (let alone = true; load().length; alone = false) {
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
  const waiting = load();
  const [first] = waiting;
  if (!first.batch) {
    const end = waiting.findIndex((op, at) => at === BATCH_MAX || op.batch || !op.operation);
    const most = alone || end === 0 ? 1 : end < 0 ? waiting.length : end;
    const batch = most > 1 ? newKey() : first.key;
    update((ops) => ops.map((op, at) => (at < most ? { ...op, batch } : op)));
  }
  const { batch } = load()[0];
  return load().filter((op) => op.batch === batch);
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
    const op = load().find(isSame(ops[at])) ?? ops[at]; // the writes before it may have given it an id
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
