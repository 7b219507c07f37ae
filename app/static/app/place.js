// The current place: list, filters, open task. It is kept in the URL, so back, reload and bookmarks work.
import { dayIn, dueDay, dueKey, isOverdue, startsLater, today } from "./dates.js";
import { isFilter, statusOf } from "./filter.js";
import { fold } from "./folding.js";
import { t } from "./language.js";
import { session } from "./session.js";
import { isOpen } from "./statuses.js";
import { allComments, derived, projectName, store } from "./store.js";
/** @import { ListRow, Place, Priority, Task } from "types/client" */

/** @type {Priority[]} */
export const PRIORITIES = ["urgent", "high", "medium", "low", "none"];
export const SORTS = {
  position: t("My order"),
  due_date: t("Due date"),
  priority: t("Priority"),
  title: t("Title"),
  created_at: t("Newest"),
  updated_at: t("Last changed"),
};
/** @type {Place} */
const DEFAULTS = {
  list: "all",
  id: "",
  search: "",
  status: "pending",
  priority: "",
  due: "",
  sort: "position",
  layout: "",
  by: "status",
  task: 0,
};
/** @type {(keyof Place)[]} */
const FILTERS = ["search", "status", "priority", "due", "sort", "layout", "by", "task"];

/** @returns {Place} */
export function readPlace(hash = location.hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [list = "all", id = ""] = path.split("/");
  const given = Object.fromEntries(new URLSearchParams(query));
  /** @type {Record<string, string>} */
  const usual = { today: "due_date", upcoming: "due_date", calendar: "due_date", done: "completed_at" };
  const place = {
    ...DEFAULTS,
    sort: usual[list] ?? "position",
    ...given,
    list: list || "all",
    id: safeDecode(id),
    task: Number(given.task) || 0,
  };
  return list === "done" ? { ...place, status: "completed" } : place;
}

/** @param {string} text */
function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {Partial<Place>} place */
export function hrefTo(place) {
  const whole = { ...DEFAULTS, ...place };
  const usual = readPlace(`#/${whole.list}`);
  const query = new URLSearchParams();
  for (const name of FILTERS) {
    if (whole.list !== "project" && (name === "layout" || name === "by")) continue;
    if (whole[name] && (place[name] ?? usual[name]) !== usual[name]) query.set(name, String(whole[name]));
  }
  const text = query.toString();
  return `#/${whole.list}${whole.id ? `/${encodeURIComponent(whole.id)}` : ""}${text ? `?${text}` : ""}`;
}

/**
 * Changes part of the place. `replace`: without an entry in the browser's history, as while typing.
 * @param {Partial<Place>} change
 */
export function go(change, { replace = false } = {}) {
  const href = hrefTo({ ...readPlace(), ...change });
  if (href === location.hash) return;
  if (replace) {
    history.replaceState(null, "", href);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = href;
}

/** @param {Place} place */
const boardKey = ({ id }) => `todo.board.${session.user?.id}.${id}`;
/**
 * The field of the columns, if the project is shown as a board: as the URL has it, else as it was shown before.
 * @param {Place} place
 */
export const boardOf = (place) =>
  place.list !== "project" || place.layout === "list"
    ? null
    : place.layout === "board"
      ? place.by
      : localStorage.getItem(boardKey(place));

/**
 * Shows a project as a board by that field, or as a list.
 * @param {string | null} by
 */
export function showBoard(by) {
  const place = readPlace();
  if (by) localStorage.setItem(boardKey(place), by);
  else localStorage.removeItem(boardKey(place));
  go({ layout: by ? "board" : "", by: by ?? DEFAULTS.by });
}

/** @type {Record<string, (task: Task, id: string) => boolean>} */
const LISTS = {
  all: () => true,
  inbox: (task) => task.project_id === null,
  today: (task) => task.due_date !== null && dueDay(task.due_date) <= today(),
  upcoming: (task) => task.due_date !== null && dueDay(task.due_date) > today(),
  calendar: (task, day) => task.due_date !== null && dueDay(task.due_date) === (day || today()),
  starred: (task) => task.favorite,
  done: (task) => task.completed,
  project: (task, id) => task.project_id === Number(id),
  tag: (task, id) => task.tags.includes(id),
};

/**
 * Whether there is such a page; while the projects are not read yet, each of them may be.
 * @param {Place} place
 */
export const isKnown = ({ list, id }) =>
  list === "project"
    ? store.revision === null || projectName(Number(id)) !== undefined
    : list in LISTS || ["trash", "activity", "channels", "settings"].includes(list);

/** @type {WeakMap<Task, string>} */
const folded = new WeakMap();

/**
 * All words, ignoring case and accents, in title, description, tags or comments, as the service searches.
 * @param {Task} task
 * @param {string[]} words
 */
function matches(task, words) {
  const text = folded.get(task) ?? fold([task.title, task.description ?? "", ...task.tags].join("\n"));
  folded.set(task, text);
  return words.every((word) => text.includes(word) || commentTexts().get(task.id)?.includes(word));
}

/** The folded comments of each task that has some. */
const commentTexts = derived(() => {
  /** @type {Map<number, string>} */
  const texts = new Map();
  for (const { task_id: id, body } of allComments()) texts.set(id, `${texts.get(id) ?? ""}\n${fold(body)}`);
  return texts;
});

/** @type {(task: Task) => number} */
const rank = (task) => PRIORITIES.indexOf(task.priority);
/** @type {(a: string, b: string) => number} */
const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const { compare } = new Intl.Collator(); // localeCompare() takes 20 times as long
/** @type {Record<string, (a: Task, b: Task, due: (task: Task) => string) => number>} */
const ORDERS = {
  position: (a, b) => text(a.position, b.position),
  due_date: (a, b, due) => text(due(a), due(b)) || rank(a) - rank(b),
  priority: (a, b, due) => rank(a) - rank(b) || text(due(a), due(b)),
  title: (a, b) => compare(a.title, b.title),
  created_at: (a, b) => text(b.created_at, a.created_at),
  updated_at: (a, b) => text(b.updated_at, a.updated_at),
  completed_at: (a, b) => text(b.completed_at ?? "", a.completed_at ?? ""),
};

/**
 * The rows of the list, subtasks below their parent where both are shown in manual order.
 * @param {Map<number, Task>} tasks
 * @param {Place} place
 * @param {Set<number> | null} found
 * @returns {ListRow[]}
 */
export function listed(tasks, place, found) {
  const words = fold(place.search).split(/\s+/).filter(Boolean);
  const status = statusOf(place);
  const looksLocally = !isFilter(place.search);
  /** @type {(task: Task) => boolean} */
  const fits = (task) =>
    (status === "all" || (status === "pending" ? isOpen(task) : task.status === status)) &&
    (!place.priority || task.priority === place.priority) &&
    (place.due !== "overdue" || isOverdue(task)) &&
    (place.due !== "available" || !startsLater(task)) &&
    (place.due !== "none" || task.due_date === null) &&
    (place.due !== "week" || (task.due_date !== null && dueDay(task.due_date) <= dayIn(7))) &&
    (LISTS[place.list] ?? LISTS.all)(task, place.id) &&
    (!words.length || (looksLocally && matches(task, words)) || Boolean(found?.has(task.id)));
  const shown = [...tasks.values()].filter(fits);
  const keys = new Map(shown.map((task) => [task, dueKey(task.due_date)]));
  const due = (/** @type {Task} */ task) => keys.get(task) ?? "";
  const order = ORDERS[place.sort] ?? ORDERS.position;
  shown.sort((a, b) => order(a, b, due));
  return place.sort === "position" && !words.length ? nested(shown) : shown.map((task) => ({ task, depth: 0 }));
}

/** @param {Task[]} shown */
function nested(shown) {
  const here = new Set(shown.map((task) => task.id));
  /** @type {Map<number | null, Task[]>} */
  const below = new Map();
  /** @type {(task: Task) => number | null} */
  const key = (task) => (task.parent_id !== null && here.has(task.parent_id) ? task.parent_id : null);
  for (const task of shown) {
    const siblings = below.get(key(task)) ?? [];
    siblings.push(task);
    below.set(key(task), siblings);
  }
  /** @type {ListRow[]} */
  const rows = [];
  /** @type {(parent: number | null, depth: number) => void} */
  const walk = (parent, depth) => {
    for (const task of below.get(parent) ?? []) {
      rows.push({ task, depth });
      walk(task.id, depth + 1);
    }
  };
  walk(null, 0);
  return rows;
}
