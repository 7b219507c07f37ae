// The outbox: every write passes through it, online or not, and is sent in order. It is kept in localStorage, one for
// each window, since two windows writing to the same one would lose each other's writes; the outbox of a closed or
// reloaded window is adopted by another one. Each write has an Idempotency-Key, so a client that does not know whether
// it arrived (a lost response, a suspended machine, an outbox adopted twice) sends it again.
import { Problem, Unreachable, newKey } from "./api.js";
import { call, session } from "./session.js";
/** @import { ApiResponse, NewOp, Op, OutboxHandlers, Row, WriteResult } from "types/client" */
/** @import { Method } from "types/routes" */

const BACK_OFF = [1, 2, 4, 8, 15, 30]; // seconds
const RECHECK_DELAY = 2000; // milliseconds between two checks of the outboxes of other windows
// A write that fails so often with an error of the service is dropped; network failures do not count.
const TRIES_MAX = 6;

/** @type {Op[] | null} */
let cached = null;
/** @type {{ key: string | null, promise: Promise<unknown> } | null} */
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
    const whole = /** @type {Op} */ ({ key: newKey(), tries: 0, ...op });
    update((ops) => [...ops, whole]);
    queue.send();
    return whole;
  },

  /** Removes the latest write that was not sent yet. */
  cancelLast() {
    const last = load().at(-1);
    if (!last || last.key === sending?.key) return null;
    update((ops) => ops.filter((op) => op.key !== last.key));
    return last;
  },

  /** Resolves when no write is in progress: later events of the stream come after the response that names them. */
  settled: () => sending?.promise ?? Promise.resolve(),

  async send() {
    clearTimeout(timer);
    if (sending || !load().length) return;
    sending = { key: null, promise: Promise.resolve() };
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

/** @param {NonNullable<typeof sending>} now */
async function drain(now) {
  for (let op; (op = load()[0]);) {
    const sent = attempt(op);
    now.key = op.key;
    now.promise = sent.catch(() => {});
    if (!(await sent)) return;
  }
}

/**
 * Returns whether to continue with the next write.
 * @param {Op} op
 */
async function attempt(op) {
  try {
    const answer = await request(op);
    failures = 0;
    handlers.reachable(true);
    settle(op, /** @type {ApiResponse<WriteResult>} */ (answer));
    return true;
  } catch (error) {
    handlers.reachable(!(error instanceof Unreachable));
    if (!(error instanceof Problem) || again(op, error)) {
      failures += 1;
      return false;
    }
    failures = 0;
    const instead = error.status === 412 ? await handlers.stale(op) : null;
    update((ops) => ops.flatMap((one) => (one.key !== op.key ? one : (instead ?? []))));
    if (error.status !== 412 && !instead) handlers.refused(op, error);
    return true;
  }
}

/**
 * Sends the write. If the uid of a new row is taken, the row was created by an earlier attempt, whose key has expired.
 * @param {Op} op
 */
async function request(op) {
  const path = op.path.replace("{id}", String(op.id));
  try {
    return await call(op.method, path, { body: op.body, headers: headers(op) });
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "uid_taken") throw error;
    /** @type {string} */
    const made = `${path.replace(/\/quick$/, "")}/uid:${op.body?.uid}`;
    return await call("GET", made);
  }
}

/** @type {(op: Op) => Record<string, string>} */
function headers(op) {
  return { "Idempotency-Key": op.key, ...(op.match ? { "If-Match": `"${op.match}"` } : {}) };
}

/**
 * Returns whether the same request may succeed later.
 * @param {Op} op
 * @param {Problem} error
 */
function again(op, error) {
  if (error.status === 401 || error.status === 429 || error.code === "idempotency_key_in_use") return true;
  if (error.status < 500) return false;
  update((ops) => ops.map((one) => (one.key === op.key ? { ...one, tries: one.tries + 1 } : one)));
  return op.tries < TRIES_MAX;
}

/**
 * Updates the later writes from the response: the real id of a created row, the version after this write.
 * @param {Op} op
 * @param {ApiResponse<WriteResult>} answer
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
      .map((one) => (made ? renamed(one, made.from, made.row.id, made.row.version) : one))
      .map((one) => (version && follows(one) ? { ...one, match: version } : one)),
  );
}

/**
 * Ids of rows created offline are negative until the service assigns one.
 * @type {(op: Op, from: number, to: number, version: number) => Op}
 */
function renamed(op, from, to, version) {
  /** @type {<T>(value: T) => T | number} */
  const swap = (value) => (value === from ? to : value);
  const body = op.body && Object.fromEntries(Object.entries(op.body).map(([key, value]) => [key, swap(value)]));
  const overlay = op.overlay?.map((layer) => ({ ...layer, id: swap(layer.id) }));
  return { ...op, id: swap(op.id), match: op.id === from ? version : op.match, body, overlay };
}

let lastId = 0;
export const newId = () => (lastId = Math.min(lastId - 1, -Date.now()));
