import { html, useEffect } from "../html.js";
import { go, listed, PRIORITIES, SORTS } from "../place.js";
import { projectName, store, tasks, views } from "../store.js";
import { loadMoreDone, search } from "../sync.js";
import { complain, show, ui } from "../ui.js";
import { addView } from "../writes.js";
import { Icon } from "./icon.js";
import { QuickAdd } from "./quick_add.js";
import { List } from "./list.js";
import { ProjectTools, TagTools } from "./tools.js";
/** @import { Choosing, Place, Priority, TaskFilter, Typing } from "types/client" */

/** @type {Record<string, string>} */
const TITLES = { all: "All tasks", inbox: "Inbox", today: "Today", upcoming: "Upcoming", done: "Done" };
/** @type {Record<string, string>} */
const NOTHING = {
  today: "Nothing is due. Enjoy the day.",
  done: "Nothing done yet.",
  all: "All clear. Add something above.",
};

/** @type {(place: Place) => string} */
export const heading = (place) =>
  place.list === "project"
    ? (projectName(Number(place.id)) ?? "Project")
    : place.list === "tag"
      ? `@${place.id}`
      : (TITLES[place.list] ?? "Tasks");

/** @param {{ place: Place }} props */
export function TaskPage({ place }) {
  useServiceSearch(place.search);
  const rows = listed(tasks(), place, place.search ? ui.found : null);
  const title = heading(place);
  useEffect(() => void (document.title = `${title} · Todo`), [title]);
  return html`
    <header class="head">
      <button class="quiet-button menu" aria-label="Lists" onClick=${() => show({ sidebar: true })}><${Icon} name="menu" /></button>
      <h1>${title}</h1>
      <p class="tally">${rows.length === 1 ? "1 task" : `${rows.length} tasks`}</p>
      ${place.list === "project" && html`<${ProjectTools} key=${place.id} id=${Number(place.id)} />`}
      ${place.list === "tag" && html`<${TagTools} key=${place.id} name=${place.id} />`}
    </header>
    ${place.list !== "done" && html`<${QuickAdd} place=${place} />`}
    <${Toolbar} place=${place} />
    ${rows.length ? html`<${List} rows=${rows} place=${place} />` : html`<p class="empty">${empty(place)}</p>`}
    ${place.list === "done" && store.moreDone && html`<button class="more" onClick=${() => loadMoreDone().catch(complain)}>Earlier</button>`}
  `;
}

/** @param {Place} place */
function empty(place) {
  if (store.revision === null) return store.online ? "One moment…" : "The service cannot be reached. Asking again…";
  return place.search || place.priority || place.due
    ? "Nothing matches."
    : (NOTHING[place.list] ?? "Nothing here yet.");
}

/**
 * Searches the replica at once; the service also searches tasks completed long ago.
 * @param {string} text
 */
function useServiceSearch(text) {
  useEffect(() => {
    const stop = new AbortController();
    if (!text.trim()) {
      ui.found = null;
      return undefined;
    }
    const look = () =>
      search(text, stop.signal).then(
        (found) => show({ found }),
        () => {}, // offline, or stopped because the text changed: the matches in the replica are shown
      );
    const timer = setTimeout(look, 250);
    return () => (clearTimeout(timer), stop.abort());
  }, [text]);
}

/** @param {{ name: string, label: string, value: string, children?: unknown }} props */
const Select = ({ name, label, value, children }) => html`
  <label class="select"><span class="unseen">${label}</span>
    <select name=${name} value=${value} onChange=${(/** @type {Choosing} */ event) => go({ [name]: event.target.value })}>${children}</select>
  </label>
`;

/** @param {{ place: Place }} props */
function Toolbar({ place }) {
  return html`
    <div class="toolbar" role="search">
      <label class="search">
        <${Icon} name="search" /><span class="unseen">Search</span>
        <input id="search" type="search" placeholder="Search" value=${place.search} maxlength="200"
          onInput=${(/** @type {Typing} */ event) => go({ search: event.target.value }, { replace: true })} />
      </label>
      ${
        place.list !== "done" &&
        html`
        <${Select} name="status" label="Status" value=${place.status}>
          <option value="pending">Open</option><option value="completed">Done</option><option value="all">Open and done</option>
        <//>`
      }
      <${Select} name="priority" label="Priority" value=${place.priority}>
        <option value="">Any priority</option>
        ${PRIORITIES.map((one) => html`<option value=${one}>${one}</option>`)}
      <//>
      <${Select} name="due" label="Due" value=${place.due}>
        <option value="">Any date</option><option value="overdue">Overdue</option><option value="week">Within a week</option><option value="none">No date</option>
      <//>
      ${
        place.list !== "done" &&
        html`
        <${Select} name="sort" label="Order" value=${place.sort}>
          ${Object.entries(SORTS).map(([name, label]) => html`<option value=${name}>${label}</option>`)}
        <//>`
      }
      <${KeepView} place=${place} />
    </div>
  `;
}

/**
 * The filters as the parameters of the API's list, under a name.
 * @param {{ place: Place }} props
 */
function KeepView({ place }) {
  const filtered = place.search || place.priority || place.due === "overdue";
  if (!filtered) return null;
  function keep() {
    const name = [
      place.search && `“${place.search}”`,
      place.priority,
      place.due,
      place.list !== "all" && heading(place),
    ]
      .filter(Boolean)
      .join(" ")
      .slice(0, 100);
    if (views().some((view) => view.name === name)) return;
    const parameters = /** @type {TaskFilter} */ ({ status: place.status, sort: place.sort });
    if (place.search) parameters.search = place.search;
    if (place.priority) parameters.priority = [/** @type {Priority} */ (place.priority)];
    if (place.due === "overdue") parameters.overdue = true;
    if (place.list === "project") parameters.project_id = Number(place.id);
    if (place.list === "tag") parameters.tag = [place.id];
    addView(name, parameters);
  }
  return html`<button class="link" onClick=${keep}>Keep as view</button>`;
}
