// Keeps the replica up to date: begin with a snapshot, catch up by /changes, then follow the stream. EventSource cannot send an
// Authorization header, so the stream is read by fetch; it resumes by Last-Event-ID like any other.
import { isFilter, searchParameter } from "./filter.js";
import { hasStatus, Problem } from "./api.js";
import { catchUpBell, stopBell } from "./bell.js";
import { eventsOf } from "./event_stream.js";
import { queue } from "./queue.js";
import { call, send, session } from "./session.js";
import { apply, changed, clear, put, redraw, startOver, store } from "./store.js";
/** @import { Change, Task, TaskList } from "types/client" */

const PAGE = 1000;
const DONE_PAGE = 100;
const LAST_ENTITIES = ["conversation", "message"]; // of a snapshot: they are not held
const HIDDEN_FOR = 60_000; // a hidden window closes its connection: browsers have six for each host
const SILENCE = 90_000; // longer than several heartbeats: the connection is dead, though not closed
/** @type {AbortController | null} */
let following = null; // the AbortController of the stream
/** @type {(change: Change) => void} */
let watch = () => {};

/**
 * Calls `onChange` for each change that arrives while the window is open.
 * @param {(change: Change) => void} onChange
 */
export function start(onChange) {
  watch = onChange;
  stop();
  following = new AbortController();
  run(following.signal);
}

export function stop() {
  following?.abort();
  following = null;
}

/** @param {AbortSignal} signal */
async function run(signal) {
  for (let wait = 1000; !signal.aborted; await pause(wait, signal)) {
    try {
      const isKept = store.revision !== null && !store.outdated;
      if (!isKept) await begin();
      catchUpBell(store.revision ?? 0, !isKept);
      await catchUp();
      reachable(true);
      wait = (await follow(signal)) ?? wait;
    } catch (error) {
      if (signal.aborted || !session.user) return;
      if (hasStatus(error, 410))
        store.revision = null; // away for longer than changes are kept: begin again
      else reachable(error instanceof Problem);
    }
  }
}

/** @param {boolean} is */
function reachable(is) {
  if (store.online !== is) {
    store.online = is;
    redraw();
  }
  if (is) queue.send();
}

/**
 * Lists are an array or, under LIST_SHAPE=envelope, an object that contains it.
 * @type {(data: unknown) => Task[]}
 */
export const tasksOf = (data) => {
  const list = /** @type {TaskList} */ (data);
  return "tasks" in list ? list.tasks : list;
};

/**
 * Replaces the replica by what the service has. Done tasks, of which there may be many, are listed: the latest first,
 * for a window that goes offline.
 * The list is read after the snapshot began, since a deletion before that is no later change.
 */
async function begin() {
  stopBell();
  const { changes, revision } = await readSnapshot();
  const done = await call("GET", `/tasks?status=completed&sort=completed_at&order=desc&limit=${DONE_PAGE}`);
  startOver(revision);
  changes.forEach(apply);
  for (const row of tasksOf(done.data)) put("task", row);
  Object.assign(store, { revision, outdated: false });
}

/** Reads the snapshot up to the conversations, which come last and are not held. */
async function readSnapshot() {
  /** @type {Change[]} */
  const changes = [];
  const path = `/changes?snapshot=true&completed=false&limit=${PAGE}`;
  let { data: page } = await call("GET", path);
  for (;;) {
    for (const change of page.changes) changes.push(change);
    if (!page.cursor || LAST_ENTITIES.includes(changes.at(-1)?.entity ?? "")) return { changes, revision: page.next };
    ({ data: page } = await call("GET", `${path}&cursor=${encodeURIComponent(page.cursor)}`));
  }
}

/**
 * Adds the service's matches of words or of a filter to the replica, completed long ago or not. Returns the ids.
 * @param {string} text
 * @param {AbortSignal} signal
 */
export async function search(text, signal) {
  const query = new URLSearchParams(searchParameter(text));
  const page = await call("GET", `/tasks?limit=${isFilter(text) ? PAGE : 200}&${query}`, { signal });
  for (const row of tasksOf(page.data)) put("task", row);
  return new Set(tasksOf(page.data).map((row) => row.id));
}

async function catchUp() {
  for (let more = true; more;) {
    const { data } = await call("GET", `/changes?since=${store.revision}&limit=${PAGE}`);
    await queue.settled();
    for (const change of data.changes) take(change);
    [store.revision, more] = [data.next, data.has_more];
  }
  changed();
}

/**
 * Reads until the stream ends; returns the milliseconds after which the service expects the next request.
 * @param {AbortSignal} signal
 */
async function follow(signal) {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE);
  const either = AbortSignal.any ? AbortSignal.any([signal, silent.signal]) : signal;
  const answer = await send("GET", "/events", { headers: { "Last-Event-ID": String(store.revision) }, signal: either });
  let retry = null;
  try {
    for await (const events of eventsOf(answer)) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE);
      if (events.some((event) => event.data)) await queue.settled();
      for (const event of events) retry = dispatch(event) ?? retry;
    }
  } finally {
    clearTimeout(timer);
  }
  return retry;
}

/** @param {Change} change */
function take(change) {
  apply(change);
  watch(change);
}

/** @param {Record<string, string>} event */
function dispatch(event) {
  if (event.event === "gone") store.revision = null;
  else if (event.data && event.event !== "resume") take(JSON.parse(event.data));
  if (event.id && store.revision !== null) store.revision = Number(event.id); // a whole write has been applied
  return event.retry ? Number(event.retry) : null;
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
function pause(milliseconds, signal) {
  /** @type {Promise<void>} */
  const over = new Promise((done) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener("online", finish);
      done();
    };
    const timer = setTimeout(finish, milliseconds);
    addEventListener("online", finish, { once: true });
    signal.addEventListener("abort", finish, { once: true });
  });
  return over;
}

let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(stop, HIDDEN_FOR);
  else if (session.user && !following) start(watch);
});

// A page that the browser keeps for "Back" would also keep its connection.
addEventListener("pagehide", stop);
addEventListener("pageshow", ({ persisted }) => void (persisted && session.user && start(watch)));

export function forget() {
  stop();
  store.absent.clear();
  clear();
}
