// What the palette finds: lists, projects, tags, views, settings, tasks and commands, the best match first.
import { quote } from "./bidi.js";
import { moveToDay, moveToProject } from "./bulk.js";
import { dayIn } from "./dates.js";
import { fold } from "./folding.js";
import { t } from "./language.js";
import { go, hrefTo, PRIORITIES, readPlace } from "./place.js";
import { isOpen } from "./statuses.js";
import { archived, derived, projectName, projects, store, tagColors, tags, tasks, views } from "./store.js";
import { setTheme, show, theme } from "./ui.js";
import { undo } from "./undo.js";
import { changeTask, completeTask, deleteTask, duplicateTask, skipTask } from "./writes.js";
import { HAS_ASSISTANT, logOutHere, placeOf } from "./views/sidebar.js";
/** @import { IconName } from "./views/icon.js" */
/** @import { Place, Task } from "types/client" */

/**
 * @typedef {object} Entry
 * @property {string} key
 * @property {string} label
 * @property {string} about what it is, shown behind the label
 * @property {IconName | null} [icon]
 * @property {string | null} [color] of a dot in place of the icon
 * @property {string} [also] other words by which it is found
 * @property {boolean} [isHidden] until something is typed
 * @property {() => void} run
 */
/** @typedef {{ entry: Entry, text: string, also: string }} Candidate */

const SHOWN_MAX = 50;
const WORD = /[\p{L}\p{N}]+/gu;

/** @param {Partial<Place>} place */
const visit = (place) => {
  show({ sidebar: false });
  location.hash = hrefTo({ task: 0, ...place });
};

/**
 * How well a text matches: 0 is not at all. Both are folded.
 * @param {string} text
 * @param {string} query
 */
export function rank(text, query) {
  if (text === query) return 6;
  if (text.startsWith(query)) return 5;
  const starts = text.match(WORD) ?? [];
  if (starts.some((word) => word.startsWith(query)) || text.includes(` ${query}`)) return 4;
  const words = query.split(/\s+/);
  if (words.every((word) => starts.some((start) => start.startsWith(word)))) return 3;
  if (words.every((word) => text.includes(word))) return 2;
  return isSpread(starts, words.join("")) ? 1 : 0;
}

/**
 * Whether the letters come in this order, the first one at the beginning of a word.
 * @param {string[]} starts
 * @param {string} letters
 */
function isSpread(starts, letters) {
  const first = starts.findIndex((word) => word[0] === letters[0]);
  if (first < 0) return false;
  let at = 0;
  for (const letter of starts.slice(first).join("")) if (letter === letters[at]) at += 1;
  return at === letters.length;
}

/** @returns {Entry[]} */
function lists() {
  /** @type {[list: string, icon: IconName, label: string][]} */
  const all = [
    ["today", "today", t("Today")],
    ["upcoming", "upcoming", t("Upcoming")],
    ["calendar", "calendar", t("Calendar")],
    ["all", "all", t("All tasks")],
    ["inbox", "inbox", t("Inbox")],
    ["starred", "star", t("Starred")],
    ["done", "done", t("Done")],
    ["trash", "trash", t("Trash")],
    ["activity", "activity", t("Activity")],
  ];
  return all.map(([list, icon, label]) => ({
    key: `list ${list}`,
    label,
    about: t("List"),
    icon,
    run: () => visit({ list }),
  }));
}

/** @returns {Entry[]} */
function named() {
  const colors = tagColors();
  return [
    ...[...projects(), ...archived()].map(({ id, name, color, archived_at: away }) => ({
      key: `project ${id}`,
      label: name,
      about: away ? t("Archived project") : t("Project"),
      color,
      isHidden: Boolean(away),
      run: () => visit({ list: "project", id: String(id) }),
    })),
    ...tags().map(([name]) => ({
      key: `tag ${name}`,
      label: `@${name}`,
      also: name,
      about: t("Tag"),
      icon: /** @type {IconName | null} */ (colors.has(name) ? null : "tag"),
      color: colors.get(name)?.color,
      run: () => visit({ list: "tag", id: name }),
    })),
    ...views().map((view) => ({
      key: `view ${view.id}`,
      label: view.name,
      about: t("View"),
      icon: /** @type {IconName} */ ("view"),
      run: () => visit(placeOf(view)),
    })),
  ];
}

/** @returns {Entry[]} */
function settings() {
  /** @type {[place: Partial<Place>, label: string, also: string][]} */
  const pages = [
    [{ list: "settings", id: "account" }, t("Account"), t("name, e-mail, password, time zone")],
    [{ list: "settings", id: "display" }, t("Display"), t("language, dates, clock, colours")],
    [{ list: "settings", id: "security" }, t("Security"), t("second factor, passkeys, sessions")],
    [{ list: "channels" }, t("Channels"), t("reminders, notifications")],
    [{ list: "settings", id: "connections" }, t("Connections"), t("apps, tokens, calendars, webhooks")],
    [{ list: "settings", id: "data" }, t("Your data"), t("import, export, statistics")],
  ];
  return pages.map(([place, label, also]) => ({
    key: `settings ${label}`,
    label,
    also,
    about: t("Settings"),
    icon: "settings",
    isHidden: true,
    run: () => visit(place),
  }));
}

/** Goes to the field for new tasks, which some pages do not have. */
function startTask() {
  const focus = () => document.querySelector("#add")?.focus();
  if (document.querySelector("#add")) return focus();
  visit({ list: "inbox" });
  setTimeout(focus, 60);
}

/** @returns {Entry[]} */
function commands() {
  const about = t("Command");
  /** @type {(label: string, icon: IconName, run: () => void, more?: Partial<Entry>) => Entry} */
  const command = (label, icon, run, more) => ({ key: `do ${label}`, label, about, icon, run, ...more });
  const colours = { auto: t("Colours of the system"), light: t("Light colours"), dark: t("Dark colours") };
  return [
    command(t("New task"), "plus", startTask, { also: t("add a task") }),
    command(t("Undo the latest change"), "repeat", () => void undo()),
    command(t("Reminders"), "bell", () => show({ panel: "bell" })),
    ...(HAS_ASSISTANT && !store.absent.has("chat")
      ? [command(t("Assistant"), "chat", () => show({ panel: "chat" }), { also: t("chat") })]
      : []),
    command(t("Keyboard"), "help", () => show({ panel: "help" }), { also: t("keys, shortcuts, help") }),
    ...Object.entries(colours)
      .filter(([name]) => name !== theme())
      .map(([name, label]) => command(label, "theme", () => setTheme(name), { also: t("theme"), isHidden: true })),
    command(t("Log out"), "out", logOutHere, { isHidden: true }),
  ];
}

/** @type {Record<string, string>} */
const PRIORITY_WORDS = {
  urgent: t("Priority urgent"),
  high: t("Priority high"),
  medium: t("Priority medium"),
  low: t("Priority low"),
  none: t("No priority"),
};

/**
 * What can be done with a task.
 * @param {Task} task
 * @returns {Entry[]}
 */
function actions(task) {
  const about = quote(task.title);
  /** @type {(label: string, icon: IconName, run: () => void, isHidden?: boolean) => Entry} */
  const action = (label, icon, run, isHidden = false) => ({ key: `task ${label}`, label, about, icon, run, isHidden });
  /** @type {(label: string, due: string | null) => Entry} */
  const due = (label, day) => action(label, "today", () => moveToDay([task], day));
  const targets = [{ id: null, name: t("Inbox") }, ...projects()].filter(({ id }) => id !== task.project_id);
  return [
    action(task.completed ? t("Reopen the task") : t("Complete the task"), "done", () => completeTask(task)),
    ...(readPlace().task === task.id ? [] : [action(t("Open the details"), "edit", () => go({ task: task.id }))]),
    due(t("Due today"), dayIn(0)),
    due(t("Due tomorrow"), dayIn(1)),
    due(t("Due in a week"), dayIn(7)),
    ...(task.due_date ? [due(t("No due date"), null)] : []),
    action(task.favorite ? t("Remove the star") : t("Star the task"), "star", () =>
      changeTask(task, { favorite: !task.favorite }),
    ),
    ...(task.recurrence ? [action(t("Skip this time"), "repeat", () => skipTask(task))] : []),
    ...PRIORITIES.filter((one) => one !== task.priority).map((priority) =>
      action(PRIORITY_WORDS[priority], "edit", () => changeTask(task, { priority }), true),
    ),
    ...targets.map(({ id, name }) =>
      action(t("Move to {project}", { project: name }), "inbox", () => moveToProject([task], id), true),
    ),
    action(t("Duplicate the task"), "plus", () => duplicateTask(task), true),
    action(t("Move the task to the trash"), "trash", () => {
      deleteTask(task);
      if (readPlace().task === task.id) go({ task: 0 });
    }),
  ];
}

/** @type {(entry: Entry) => Candidate} */
const candidate = (entry) => ({ entry, text: fold(entry.label), also: fold(entry.also ?? "") });

const titles = derived(() => [...tasks().values()].map((task) => ({ task, text: fold(task.title) })));

/**
 * @param {Task} task
 * @returns {Entry}
 */
const entryOf = (task) => {
  const project = projects().find(({ id }) => id === task.project_id);
  const where = task.project_id === null ? t("Inbox") : (projectName(task.project_id) ?? "");
  return {
    key: `open ${task.id}`,
    label: task.title,
    about: isOpen(task) ? where : t("{project}, done", { project: where }),
    icon: isOpen(task) ? null : "done",
    color: project?.color,
    run: () => go({ task: task.id }),
  };
};

/**
 * The entries for a text. `subject`: the task that commands are about; `found`: ids that the service found for the text.
 * @param {string} text
 * @param {Task | undefined} subject
 * @param {Set<number>} found
 * @returns {Entry[]}
 */
export function findEntries(text, subject, found) {
  const others = [...(subject ? actions(subject) : []), ...lists(), ...named(), ...commands(), ...settings()];
  const query = fold(text.trim());
  if (!query) return others.filter(({ isHidden }) => !isHidden).slice(0, SHOWN_MAX);
  /** @type {{ score: number, order: number, length: number, make: () => Entry }[]} */
  const fits = [];
  others.map(candidate).forEach(({ entry, text: label, also }, order) => {
    const score = Math.max(rank(label, query), also ? Math.min(rank(also, query), 4) - 0.5 : 0);
    if (score > 0) fits.push({ score, order, length: label.length, make: () => entry });
  });
  for (const { task, text: title } of titles()) {
    const score = (rank(title, query) || (found.has(task.id) ? 0.5 : 0)) - (isOpen(task) ? 0 : 0.25);
    if (score > 0) fits.push({ score, order: others.length, length: title.length, make: () => entryOf(task) });
  }
  fits.sort((a, b) => b.score - a.score || a.order - b.order || a.length - b.length);
  return [...fits.slice(0, SHOWN_MAX - 1).map(({ make }) => make()), everywhere(text.trim())];
}

/** @param {string} search @returns {Entry} */
const everywhere = (search) => ({
  key: "everywhere",
  label: t("Search all tasks for {text}", { text: quote(search) }),
  about: t("Search"),
  icon: "search",
  run: () => visit({ list: "all", search, status: "all" }),
});
