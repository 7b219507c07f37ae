// The outbox: every write goes through it, online or not, and is sent in order. It is kept in localStorage, shared by all
// windows of a user, and outlives a reload. Each write carries an Idempotency-Key, so whoever is unsure whether it
// arrived (a lost answer, a closed lid, two windows at once) just sends it again.
import { Problem, Unreachable, newKey } from "./api.js";
import { call, session } from "./session.js";

const BACK_OFF = [1, 2, 4, 8, 15, 30]; // seconds
const TRIES = 6; // of a write that the service fails at: then it is given up, the network's failures do not count

let cached = null;
let sending = null;
let failures = 0;
let timer = null;
const handlers = { changed() {}, done() {}, refused() {}, stale() {}, reachable() {} };

const name = () => `todo.queue.${session.user?.id}`;
const load = () => (cached ??= session.user ? JSON.parse(localStorage.getItem(name()) ?? "[]") : []);

function save(ops) {
  cached = ops;
  if (session.user) localStorage.setItem(name(), JSON.stringify(ops));
  handlers.changed();
}

const update = (edit) => {
  cached = null; // another window may have written
  save(edit(load()));
};

export const queue = {
  all: load,
  get size() {
    return load().length;
  },
  /** on({changed, done(op, answer), refused(op, problem), stale(op) -> op to send instead or null, reachable(bool)}) */
  on: (given) => Object.assign(handlers, given),
  forget: () => (cached = null),

  /** op: {entity, id?, creates?, method, path, body, label, match?, before?, overlay?}. `{id}` in the path stands for the id. */
  push(op) {
    const whole = { key: newKey(), tries: 0, ...op };
    update((ops) => [...ops, whole]);
    queue.send();
    return whole;
  },

  /** Takes the last write back that was not sent yet. */
  cancelLast() {
    const last = load().at(-1);
    if (!last || last.key === sending?.key) return null;
    update((ops) => ops.filter((op) => op.key !== last.key));
    return last;
  },

  /** Resolves when no write is under way: what the stream tells then comes after the answer that names it. */
  settled: () => sending?.promise ?? Promise.resolve(),

  async send() {
    clearTimeout(timer);
    if (sending || !load().length) return;
    // One window at a time where the browser can say so; elsewhere the keys make a second sender harmless.
    const lock = navigator.locks ? (work) => navigator.locks.request(name(), { ifAvailable: true }, (held) => (held ? work() : null)) : (work) => work();
    sending = { key: null, promise: Promise.resolve() };
    const promise = lock(drain);
    try {
      await promise;
    } finally {
      sending = null;
      cached = null;
      handlers.changed();
    }
    if (load().length) wait();
  },
};

function wait(seconds = BACK_OFF[Math.min(failures, BACK_OFF.length - 1)]) {
  clearTimeout(timer);
  timer = setTimeout(queue.send, seconds * 1000);
}

async function drain() {
  for (let op; (cached = null), (op = load()[0]); ) {
    const sent = attempt(op);
    sending.key = op.key;
    sending.promise = sent.catch(() => {});
    if (!(await sent)) return;
  }
}

/** Whether to go on with the next one. */
async function attempt(op) {
  try {
    const answer = await call(op.method, op.path.replace("{id}", op.id), { body: op.body, headers: headers(op) });
    failures = 0;
    handlers.reachable(true);
    settle(op, answer);
    return true;
  } catch (error) {
    handlers.reachable(!(error instanceof Unreachable));
    if (again(op, error)) {
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

function headers(op) {
  return { "Idempotency-Key": op.key, ...(op.match ? { "If-Match": `"${op.match}"` } : {}) };
}

/** Whether the same request may succeed later. */
function again(op, error) {
  if (!(error instanceof Problem)) return true;
  if (error.status === 401 || error.status === 429 || error.code === "idempotency_key_in_use") return true;
  if (error.status < 500) return false;
  update((ops) => ops.map((one) => (one.key === op.key ? { ...one, tries: one.tries + 1 } : one)));
  return op.tries < TRIES;
}

/** The later writes learn what the answer says: the real id of what was created, the version after this write. */
function settle(op, answer) {
  const row = answer.data?.task ?? answer.data;
  handlers.done(op, answer);
  update((ops) =>
    ops
      .filter((one) => one.key !== op.key)
      .map((one) => (op.creates && row ? renamed(one, op.creates, row.id, row.version) : one))
      .map((one) => (row?.version && op.match && one.entity === op.entity && one.id === op.id && one.match === op.match ? { ...one, match: row.version } : one)),
  );
}

/** Ids of what was created offline are negative until the service gives one. */
function renamed(op, from, to, version) {
  const swap = (value) => (value === from ? to : value);
  const body = op.body && Object.fromEntries(Object.entries(op.body).map(([key, value]) => [key, swap(value)]));
  const overlay = op.overlay?.map((layer) => ({ ...layer, id: swap(layer.id) }));
  return { ...op, id: swap(op.id), match: op.id === from ? version : op.match, body, overlay };
}

let lastId = 0;
export const newId = () => (lastId = Math.min(lastId - 1, -Date.now()));
