// Completed tasks, of which there may be many more than the replica holds: the service counts and lists them, for the
// list and the filters on the screen.
import { useEffect, useState } from "./html.js";
import { dayIn } from "./dates.js";
import { searchParameter, statusOf } from "./filter.js";
import { call, session } from "./session.js";
import { put, store } from "./store.js";
import { tasksOf } from "./sync.js";
import { complain } from "./ui.js";
/** @import { Place } from "types/client" */

const PAGE = 100;
const OPEN_STATUSES = ["pending", "in_progress", "waiting"];

/**
 * Returns the query of the service's list, or null if no task that is closed can be in this place.
 * @param {Place} place
 */
export function doneQuery(place) {
  const { list, id, search, priority, due } = place;
  const status = statusOf(place);
  if (OPEN_STATUSES.includes(status) || due === "overdue" || due === "none") return null; // the service has no filter for none
  const closed =
    status === "cancelled" ? { status, sort: "updated_at" } : { status: "completed", sort: "completed_at" };
  const query = new URLSearchParams({ ...closed, order: "desc", limit: String(PAGE) });
  if (list === "project") query.set("project_id", id);
  if (list === "inbox") query.set("project_id", "none");
  if (list === "tag") query.set("tag", id);
  if (list === "starred") query.set("favorite", "true");
  if (list === "today") query.set("due_before", dayIn(1));
  if (list === "upcoming") query.set("due_after", dayIn(1));
  if (due === "week") query.set("due_before", dayIn(8));
  for (const [name, value] of Object.entries(searchParameter(search))) query.set(name, value);
  if (priority) query.set("priority", priority);
  return query.toString();
}

/**
 * Fetches the latest completed tasks of the place into the replica. Returns how many there are, and a function that
 * fetches earlier ones, if there are any.
 * @param {Place} place
 */
export function useDone(place) {
  const query = doneQuery(place);
  const [found, setFound] = useState(
    /** @type {{ query: string, total: number, next: string | null } | null} */ (null),
  );
  const { revision, online } = store;
  const isReady = revision !== null;
  useEffect(() => {
    if (!query || !isReady || Number(place.id) < 0) return undefined;
    const stop = new AbortController();
    fetchPage(`/tasks?${query}&count=true`, stop.signal).then(
      (page) =>
        page &&
        setFound((known) => ({ query, total: page.total ?? 0, next: known?.query === query ? known.next : page.next })),
      () => {}, // offline: those of the replica are listed
    );
    return () => stop.abort();
  }, [query, isReady, online, revision, place.id]);
  if (!query || found?.query !== query) return { total: null, more: null };
  const more = async () => {
    const page = await fetchPage(found.next ?? "").catch(complain);
    if (page) setFound((known) => (known?.query === query ? { ...known, next: page.next } : known));
  };
  return { total: found.total, more: found.next ? more : null };
}

/**
 * Puts a page into the replica, unless the user has logged out since.
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
async function fetchPage(path, signal) {
  const { user } = session;
  const page = await call("GET", path, { signal });
  if (session.user?.id !== user?.id) return null;
  for (const row of tasksOf(page.data)) put("task", row);
  return page;
}

/**
 * Fetches the subtasks of a task that were completed long ago.
 * @param {number} id
 */
export function useDoneSteps(id) {
  useEffect(() => {
    if (id > 0) fetchPage(`/tasks?parent_id=${id}&status=completed&limit=${PAGE}`).catch(() => {}); // offline
  }, [id]);
}

/**
 * Fetches a task that the replica may not hold. Returns whether it is gone.
 * @param {number} id 0: none
 */
export function useMissingTask(id) {
  const [gone, setGone] = useState(0);
  const isReady = store.revision !== null;
  useEffect(() => {
    if (id <= 0 || !isReady) return;
    const { user } = session;
    call("GET", `/tasks/${id}`).then(
      ({ data }) => void (session.user?.id === user?.id && put("task", data)),
      (error) => void (error.status === 404 && setGone(id)),
    );
  }, [id, isReady]);
  return id !== 0 && gone === id;
}
