import { storage, TROUBLES } from "../database.js";
import { dropDraft, readDraft, useDraft, writeDraft } from "../drafts.js";
import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { dueDay, today } from "../dates.js";
import { t } from "../language.js";
import { go, hrefTo } from "../place.js";
import { queue } from "../queue.js";
import { logOut, session } from "../session.js";
import { isOpen } from "../statuses.js";
import { archived, derived, keyOf, projectTree, projects, store, tagColors, tags, tasks, views } from "../store.js";
import { complain, setTheme, show, theme } from "../ui.js";
import { addProject, deleteView, renameView } from "../writes.js";
import { AddLine, NAME_MAX } from "./fields.js";
import { searchText } from "../filter.js";
import { Icon, Mark } from "./icon.js";
/** @import { IconName } from "./icon.js" */
/** @import { Place, Project, View as KeptView } from "types/client" */

/** @type {Record<string, string>} */
const THEMES = { auto: "light", light: "dark", dark: "auto" };
/** @type {Record<string, string>} */
const THEME_NAMES = { auto: t("auto"), light: t("light"), dark: t("dark") };
export const HAS_ASSISTANT = document.querySelector("meta[name=assistant]")?.getAttribute("content") === "on"; // no assistant without a model
const COLORS = ["#1d6b5a", "#b4552d", "#3d5a98", "#8a4f7d", "#8b7323", "#4f7a3a", "#a23b52"];

const counts = derived(() => {
  /** @type {{ all: number, today: number, starred: number, project: Map<number | null, number> }} */
  const count = { all: 0, today: 0, starred: 0, project: new Map() };
  const now = today();
  for (const task of tasks().values()) {
    if (!isOpen(task)) continue;
    count.all += 1;
    if (task.favorite) count.starred += 1;
    if (task.due_date && dueDay(task.due_date) <= now) count.today += 1;
    count.project.set(task.project_id, (count.project.get(task.project_id) ?? 0) + 1);
  }
  return count;
});

/**
 * @typedef {object} ItemProps
 * @property {Place} place
 * @property {string} list
 * @property {string | number} [id]
 * @property {IconName | null} [icon]
 * @property {string | null} [color]
 * @property {string} label
 * @property {number} [count]
 * @property {number} [level]
 */

/** @param {ItemProps} props */
const Item = ({ place, list, id = "", icon, color, label, count, level = 0 }) => html`
  <li class=${level ? `level-${level}` : null}>
    <a href=${hrefTo({ list, id: String(id) })} aria-current=${place.list === list && (place.id === String(id) || list === "calendar") ? "page" : null}>
      ${icon ? html`<${Icon} name=${icon} />` : html`<${Dot} color=${color} />`}
      <span class="name"><bdi>${label}</bdi></span>
      ${count ? html`<span class="count" aria-label=${t("{count} open", { count })}>${count}</span>` : null}
    </a>
  </li>
`;

/**
 * An SVG, because its colour is an attribute: the page's policy allows no style in markup.
 * @param {{ color?: string | null }} props
 */
export const Dot = ({ color }) =>
  html`<svg class="dot" viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="4" fill=${color ?? "currentColor"} /></svg>`;

/** Opens the lists where they are closed: on a phone. */
export const ListsButton = () =>
  html`<button class="quiet-button menu" aria-label=${t("Lists")} onClick=${() => show({ sidebar: true })}><${Icon} name="menu" /></button>`;

/** @param {{ place: Place }} props */
export function Sidebar({ place }) {
  const count = counts();
  const kept = views();
  const own = projectTree();
  const favorites = own.filter(({ project }) => project.favorite);
  const item = (/** @type {Project} */ project, level = 0) =>
    html`<${Item} key=${project.id} place=${place} list="project" id=${project.id} color=${project.color} label=${project.name} count=${count.project.get(project.id)} level=${level} />`;
  const tagged = tags();
  const colors = tagColors();
  return html`
    <nav class="sidebar" aria-label=${t("Lists")}>
      <p class="brand"><${Mark} />Todo<button class="quiet-button" id="find" aria-haspopup="dialog" aria-label=${t("Find or do")} aria-keyshortcuts="Control+K Meta+K" title=${t("Find or do (Ctrl+K)")} onClick=${() => show({ panel: "palette" })}><${Icon} name="search" /></button></p>
      <ul>
        <${Item} place=${place} list="today" icon="today" label=${t("Today")} count=${count.today} />
        <${Item} place=${place} list="upcoming" icon="upcoming" label=${t("Upcoming")} />
        <${Item} place=${place} list="calendar" icon="calendar" label=${t("Calendar")} />
        <${Item} place=${place} list="all" icon="all" label=${t("All tasks")} count=${count.all} />
        ${(count.starred > 0 || place.list === "starred") && html`<${Item} place=${place} list="starred" icon="star" label=${t("Starred")} count=${count.starred} />`}
        <${Item} place=${place} list="done" icon="done" label=${t("Done")} />
        <${Item} place=${place} list="trash" icon="trash" label=${t("Trash")} />
        <${Item} place=${place} list="activity" icon="activity" label=${t("Activity")} />
      </ul>
      ${
        favorites.length > 0 &&
        html`
        <h2>${t("Starred")}</h2>
        <ul id="favorites">${favorites.map(({ project }) => item(project))}</ul>
      `
      }
      <h2>${t("Projects")}</h2>
      <ul>
        <${Item} place=${place} list="inbox" icon="inbox" label=${t("Inbox")} count=${count.project.get(null)} />
        ${own.map(({ project, level }) => item(project, level))}
      </ul>
      <${NewProject} />
      <${Archive} place=${place} />
      ${
        tagged.length > 0 &&
        html`
        <h2>${t("Tags")}</h2>
        <ul>${tagged.map(([tag, open]) => html`<${Item} key=${tag} place=${place} list="tag" id=${tag} icon=${colors.has(tag) ? null : "tag"} color=${colors.get(tag)?.color} label=${tag} count=${open} />`)}</ul>
      `
      }
      ${
        kept.length > 0 &&
        html`
        <h2>${t("Views")}</h2>
        <ul>${kept.map((view) => html`<${View} key=${view.id} view=${view} />`)}</ul>
      `
      }
      <${Foot} place=${place} />
    </nav>
    <button class="veil" aria-label=${t("Close the lists")} onClick=${() => show({ sidebar: false })}></button>
  `;
}

/**
 * A saved view has the parameters of the API's list; here it becomes a place.
 * @param {KeptView} view
 * @returns {Partial<Place>}
 */
export function placeOf({ parameters }) {
  const { status, priority, tag, project_id, overdue, available, favorite, sort } = parameters;
  const first = (/** @type {string | string[] | null | undefined} */ value) =>
    Array.isArray(value) ? value[0] : value;
  const list = project_id
    ? { list: "project", id: String(project_id) }
    : tag?.length
      ? { list: "tag", id: first(tag) }
      : { list: favorite ? "starred" : "all" };
  const place = {
    ...list,
    search: searchText(parameters),
    status: status ?? "all",
    priority: first(priority),
    due: overdue ? "overdue" : available ? "available" : "",
    sort,
  };
  return Object.fromEntries(Object.entries(place).filter(([, value]) => value));
}

/** @param {{ view: KeptView }} props */
function View({ view }) {
  const [open, setOpen] = useState(false);
  const name = `view:${keyOf(view)}`;
  const typed = useDraft(name);
  const item = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(
    () =>
      void (open && /** @type {HTMLInputElement | null} */ (item.current?.querySelector("input") ?? null)?.select()),
    [open],
  );
  const edit = () => (writeDraft(name, { text: view.name }), setOpen(true));
  const keep = (/** @type {string} */ text) => (setOpen(false), renameView(view, text, { name, text }));
  const leave = () => {
    setOpen(false);
    if (readDraft(name)?.text === view.name) dropDraft(name);
  };
  if (open || typed) {
    return html`
      <li class="new-project" ref=${item} onFocusOut=${leave}>
        <${AddLine} draft=${name} id=${`view-${view.id}`} label=${t("Name of the view")} placeholder=${t("Name")} max=${NAME_MAX} onAdd=${keep} />
      </li>
    `;
  }
  return html`
    <li>
      <a href=${hrefTo(placeOf(view))}><${Icon} name="view" /><span class="name"><bdi>${view.name}</bdi></span></a>
      <button class="quiet-button" aria-label=${t("Rename the view {name}", { name: view.name })} onClick=${edit}><${Icon} name="edit" /></button>
      <button class="quiet-button" aria-label=${t("Delete the view {name}", { name: view.name })} onClick=${() => deleteView(view)}><${Icon} name="close" /></button>
    </li>
  `;
}

/** @param {{ place: Place }} props */
function Archive({ place }) {
  const away = archived();
  if (!away.length) return null;
  return html`
    <details class="archive" open=${away.some((project) => place.list === "project" && place.id === String(project.id))}>
      <summary>${t("Archived")}</summary>
      <ul>${away.map((project) => html`<${Item} key=${project.id} place=${place} list="project" id=${project.id} color=${project.color} label=${project.name} />`)}</ul>
    </details>
  `;
}

function NewProject() {
  const [open, setOpen] = useState(false);
  const typed = useDraft("project");
  const form = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => void (open && form.current?.querySelector("input")?.focus()), [open]);
  const add = (/** @type {string} */ name) => {
    setOpen(false);
    addProject(name, COLORS[projects().length % COLORS.length], { name: "project", text: name });
  };
  if (!open && !typed)
    return html`<button class="add-project" onClick=${() => setOpen(true)}><${Icon} name="plus" />${t("New project")}</button>`;
  return html`
    <div class="new-project" ref=${form} onFocusOut=${() => setOpen(false)}>
      <${AddLine} draft="project" id="new-project" label=${t("Name of the new project")} placeholder=${t("Name")} max=${NAME_MAX} onAdd=${add} />
    </div>
  `;
}

/** Logs out, and removes this browser from the channels. */
export const logOutHere = () =>
  import("../push.js")
    .then(({ removeBrowser }) => removeBrowser())
    .catch(() => {}) // the login ends in any case
    .then(logOut)
    .catch(complain)
    .finally(() => go({ list: "all", id: "", task: 0 }));

/** @param {{ place: Place }} props */
function Foot({ place }) {
  const waiting = queue.size;
  const next = THEMES[theme()];
  return html`
    <div class="foot">
      <p class="state" id="state">
        <span class=${store.online ? "lamp" : "lamp off"}></span>
        ${store.online ? (waiting ? t("Saving…") : store.revision === null ? t("One moment…") : t("Synced")) : waiting ? t("Offline, {count} to send", { count: waiting }) : t("Offline")}
      </p>
      ${storage.trouble && html`<p class="trouble" id="trouble">${TROUBLES[storage.trouble]}</p>`}
      <div class="tools">
        <button class="quiet-button" aria-label=${t("Assistant")} title=${t("Assistant")} onClick=${() => show({ panel: "chat", sidebar: false })} hidden=${!HAS_ASSISTANT || store.absent.has("chat")}><${Icon} name="chat" /></button>
        <button class="quiet-button" aria-label=${t("Keyboard")} title=${t("Keyboard (?)")} onClick=${() => show({ panel: "help" })}><${Icon} name="help" /></button>
        <a class="quiet-button" id="settings" href=${hrefTo({ list: "settings" })} aria-current=${place.list === "settings" || place.list === "channels" ? "page" : null} aria-label=${t("Settings")} title=${t("Settings")}><${Icon} name="settings" /></a>
        <button class="quiet-button" id="theme" aria-label=${t("Colours: {theme}. Change to {next}", { theme: THEME_NAMES[theme()], next: THEME_NAMES[next] })} title=${t("Colours: {theme}", { theme: THEME_NAMES[theme()] })} onClick=${() => setTheme(next)}><${Icon} name="theme" /></button>
        <button class="quiet-button" id="logout" aria-label=${t("Log out {email}", { email: session.user?.email ?? "" })} title=${t("Log out")} onClick=${logOutHere}><${Icon} name="out" /></button>
      </div>
    </div>
  `;
}
