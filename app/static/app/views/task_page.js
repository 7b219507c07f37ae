import { html, useEffect } from "../html.js";
import { t, tn } from "../language.js";
import { boardOf, go, hrefTo, listed, PRIORITIES, readPlace, SORTS } from "../place.js";
import { isFilter, searchParameter, statusOf } from "../filter.js";
import { sayProblem } from "../problems.js";
import { isOpen, PRIORITY_NAMES } from "../statuses.js";
import { derived, projectName, store, tasks, views } from "../store.js";
import { useDone } from "../done.js";
import { search } from "../sync.js";
import { complain, show, ui } from "../ui.js";
import { addView } from "../writes.js";
import { Bell } from "./bell_button.js";
import { Icon } from "./icon.js";
import { QuickAdd } from "./quick_add.js";
import { later } from "./later.js";
import { List } from "./list.js";
import { ListsButton } from "./sidebar.js";
/** @import { Choosing, ListRow, Place, Priority, TaskFilter, Typing } from "types/client" */

const Board = later(() => import("./board.js"), "Board");
const ProjectTools = later(() => import("./tools.js"), "ProjectTools");
const SelectionBar = later(() => import("./selection_bar.js"), "SelectionBar");
const TagTools = later(() => import("./tools.js"), "TagTools");

/** @type {Record<string, string>} */
const TITLES = {
  all: t("All tasks"),
  inbox: t("Inbox"),
  today: t("Today"),
  upcoming: t("Upcoming"),
  calendar: t("Calendar"),
  starred: t("Starred"),
  done: t("Done"),
};
/** @type {Record<string, string>} */
const NOTHING = {
  today: t("Nothing is due. Enjoy the day."),
  done: t("Nothing done yet."),
  all: t("All clear. Add something above."),
};

/** @type {(place: Place) => string} */
export const heading = (place) =>
  place.list === "project"
    ? (projectName(Number(place.id)) ?? t("Project"))
    : place.list === "tag"
      ? `@${place.id}`
      : (TITLES[place.list] ?? t("Tasks"));

/** @type {Record<string, string>} */
const DUE_NAMES = {
  overdue: t("overdue"),
  week: t("within a week"),
  available: t("can be started"),
  none: t("no date"),
};

export const rowsOf = derived((/** @type {string} */ href, /** @type {Set<number> | null} */ found) =>
  listed(tasks(), readPlace(href), found),
);

/** @param {{ place: Place }} props */
export function TaskPage({ place }) {
  useServiceSearch(place.search);
  const by = boardOf(place);
  // A board by status has a column for done tasks.
  const shown = by === "status" && place.status === "pending" ? { ...place, status: "all" } : place;
  const rows = rowsOf(hrefTo({ ...shown, task: 0 }), place.search ? ui.found : null);
  const title = heading(place);
  const done = useDone(shown);
  useEffect(() => void (document.title = `${title} · Todo`), [title]);
  return html`
    <header class="head">
      <${ListsButton} />
      <h1 dir="auto">${title}</h1>
      <p class="tally">${tally(rows, done.total)}</p>
      ${place.list === "project" && html`<${ProjectTools} key=${place.id} id=${Number(place.id)} />`}
      ${place.list === "tag" && html`<${TagTools} key=${place.id} name=${place.id} />`}
      <${Bell} />
    </header>
    ${place.list !== "done" && html`<${QuickAdd} place=${place} />`}
    <${Toolbar} place=${place} />
    ${ui.unreadable && html`<p class="note" id="unreadable" role="status"><span class="failed">${ui.unreadable}</span></p>`}
    ${by ? html`<${Board} rows=${rows} place=${place} by=${by} />` : rows.length ? html`<${List} rows=${rows} place=${place} />` : html`<p class="empty">${empty(place)}</p>`}
    ${done.more && html`<button class="more" onClick=${done.more}>${t("Earlier")}</button>`}
    ${place.search.trim() && (place.list !== "all" || statusOf(place) !== "all") && html`<button class="more" id="everywhere" onClick=${() => go({ list: "all", id: "", status: "all" })}>${t("Search everywhere, also what is done")}</button>`}
    ${ui.selected && html`<${SelectionBar} />`}
  `;
}

/**
 * How many tasks there are: of the completed ones, not all are listed.
 * @param {ListRow[]} rows
 * @param {number | null} done how many completed tasks there are
 */
function tally(rows, done) {
  const open = rows.filter(({ task }) => isOpen(task)).length;
  const all = done === null ? rows.length : Math.max(open + done, rows.length);
  return all > rows.length
    ? tn("{shown} of {count} task", "{shown} of {count} tasks", all, { shown: rows.length })
    : tn("{count} task", "{count} tasks", all);
}

/** @param {Place} place */
function empty(place) {
  if (store.revision === null)
    return store.online ? t("One moment…") : t("The service cannot be reached. Asking again…");
  return place.search || place.priority || place.due
    ? t("Nothing matches.")
    : (NOTHING[place.list] ?? t("Nothing here yet."));
}

/**
 * Searches the replica at once; the service also searches tasks completed long ago. A filter is the service's alone,
 * which is asked again after each change.
 * @param {string} text
 */
function useServiceSearch(text) {
  const revision = isFilter(text) ? store.revision : 0;
  useEffect(() => {
    const stop = new AbortController();
    ui.unreadable = null;
    if (!text.trim()) {
      ui.found = null;
      return undefined;
    }
    const look = () =>
      search(text, stop.signal).then(
        (found) => show({ found, unreadable: null }),
        (error) => {
          // Offline, or stopped because the text changed: the matches in the replica are shown.
          if (!stop.signal.aborted && isFilter(text)) show({ unreadable: sayProblem(error) });
        },
      );
    const timer = setTimeout(look, 250);
    return () => (clearTimeout(timer), stop.abort());
  }, [text, revision]);
}

/** @param {{ name: string, label: string, value: string, children?: unknown }} props */
const Select = ({ name, label, value, children }) => html`
  <label class="select"><span class="unseen">${label}</span>
    <select name=${name} value=${value} onChange=${(/** @type {Choosing} */ event) => go({ [name]: event.target.value })}>${children}</select>
  </label>
`;

const beginOrEnd = () =>
  import("../selection.js").then((all) => (ui.selected ? all.endSelection() : all.beginSelection()), complain);

/** @param {{ place: Place }} props */
function Toolbar({ place }) {
  return html`
    <div class="toolbar" role="search">
      <button class="quiet-button" id="select" aria-label=${t("Select tasks")} title=${t("Select tasks")} aria-pressed=${String(Boolean(ui.selected))} onClick=${beginOrEnd}><${Icon} name="select" /></button>
      <label class="search">
        <${Icon} name="search" /><span class="unseen">${t("Search")}</span>
        <input id="search" type="search" dir="auto" placeholder=${t("Search or filter")} value=${place.search} maxlength="1000"
          title=${t("Words, or a filter such as: tag:home AND due < today+7d")} aria-invalid=${ui.unreadable ? "true" : null}
          aria-describedby=${ui.unreadable ? "unreadable" : null}
          onInput=${(/** @type {Typing} */ event) => go({ search: event.target.value }, { replace: true })} />
      </label>
      ${
        place.list !== "done" &&
        html`
        <${Select} name="status" label=${t("Status")} value=${place.status}>
          <option value="pending">${t("Open")}</option><option value="in_progress">${t("In progress")}</option><option value="waiting">${t("Waiting")}</option>
          <option value="completed">${t("Done")}</option><option value="cancelled">${t("Cancelled")}</option><option value="all">${t("Open and done")}</option>
        <//>`
      }
      <${Select} name="priority" label=${t("Priority")} value=${place.priority}>
        <option value="">${t("Any priority")}</option>
        ${PRIORITIES.map((one) => html`<option value=${one}>${PRIORITY_NAMES[one]}</option>`)}
      <//>
      <${Select} name="due" label=${t("Due")} value=${place.due}>
        <option value="">${t("Any date")}</option><option value="overdue">${t("Overdue")}</option><option value="week">${t("Within a week")}</option><option value="available">${t("Can be started")}</option><option value="none">${t("No date")}</option>
      <//>
      ${
        place.list !== "done" &&
        html`
        <${Select} name="sort" label=${t("Order")} value=${place.sort}>
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
  const filtered =
    (place.search && !ui.unreadable) || place.priority || place.due === "overdue" || place.due === "available";
  function keep() {
    const name = [
      place.search && t("“{text}”", { text: place.search }),
      place.priority && PRIORITY_NAMES[/** @type {Priority} */ (place.priority)],
      DUE_NAMES[place.due],
      place.list !== "all" && heading(place),
    ]
      .filter(Boolean)
      .join(" ")
      .slice(0, 100);
    if (views().some((view) => view.name === name)) return;
    const parameters = /** @type {TaskFilter} */ ({
      status: statusOf(place),
      sort: place.sort,
      ...searchParameter(place.search),
    });
    if (place.priority) parameters.priority = [/** @type {Priority} */ (place.priority)];
    if (place.due === "overdue") parameters.overdue = true;
    if (place.due === "available") parameters.available = true;
    if (place.list === "starred") parameters.favorite = true;
    if (place.list === "project") parameters.project_id = Number(place.id);
    if (place.list === "tag") parameters.tag = [place.id];
    addView(name, parameters);
  }
  return html`<button class=${filtered ? "link" : "link idle"} onClick=${keep}>${t("Keep as view")}</button>`;
}
