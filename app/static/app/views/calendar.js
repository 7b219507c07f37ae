import { html, useEffect, useLayoutEffect, useRef } from "../html.js";
import { dayOf, dueDay, dueKey, sayDay, sayTime, sayWeekday, today } from "../dates.js";
import { formatDates, weekStart } from "../display.js";
import { t, tn } from "../language.js";
import { go, hrefTo } from "../place.js";
import { press } from "../press.js";
import { isOpen } from "../statuses.js";
import { derived, keyOf, projects, tasks } from "../store.js";
import { ui } from "../ui.js";
import { Bell } from "./bell_button.js";
import { Icon } from "./icon.js";
import { later } from "./later.js";
import { List } from "./list.js";
import { QuickAdd } from "./quick_add.js";
import { Dot, ListsButton } from "./sidebar.js";
import { rowsOf } from "./task_page.js";
/** @import { On, Place, Project, Task } from "types/client" */

const SelectionBar = later(() => import("./selection_bar.js"), "SelectionBar");
const CHIPS_MAX = 3; // in a day of the grid
const MONTH = formatDates({ month: "long", year: "numeric" });
const DAY = formatDates({ weekday: "long", day: "numeric", month: "long", year: "numeric" });

/** @type {(day: string) => Date} */
const noon = (day) => new Date(`${day}T12:00`);
/** @type {(day: string, by: number) => string} */
const addDays = (day, by) => {
  const date = noon(day);
  date.setDate(date.getDate() + by);
  return dayOf(date);
};
/**
 * The same day of another month, or the last one that it has.
 * @type {(day: string, by: number) => string}
 */
const addMonths = (day, by) => {
  const date = noon(day);
  const wanted = new Date(date.getFullYear(), date.getMonth() + by + 1, 0, 12); // the last of that month
  wanted.setDate(Math.min(date.getDate(), wanted.getDate()));
  return dayOf(wanted);
};

/** @param {string} day */
function weeksOf(day) {
  const date = noon(day);
  const first = new Date(date.getFullYear(), date.getMonth(), 1, 12);
  const length = new Date(date.getFullYear(), date.getMonth() + 1, 0).getDate();
  const before = (first.getDay() - weekStart() + 7) % 7;
  const start = addDays(dayOf(first), -before);
  return Array.from({ length: Math.ceil((before + length) / 7) }, (_, week) =>
    Array.from({ length: 7 }, (__, at) => addDays(start, week * 7 + at)),
  );
}

/** Open tasks by the local day on which they are due. */
const tasksByDay = derived(() => {
  /** @type {Map<string, Task[]>} */
  const days = new Map();
  for (const task of tasks().values()) {
    if (!task.due_date || !isOpen(task)) continue;
    const day = dueDay(task.due_date);
    const there = days.get(day);
    if (there) there.push(task);
    else days.set(day, [task]);
  }
  for (const there of days.values()) there.sort((a, b) => (dueKey(a.due_date) < dueKey(b.due_date) ? -1 : 1));
  return days;
});

/** @type {(day: string) => void} */
const choose = (day) => go({ id: day }, { replace: true });

/** Goes to the list of the chosen day: its first task, or the line for a new one. */
const enterDay = () =>
  setTimeout(() => (document.querySelector("#day .row .title") ?? document.querySelector("#add"))?.focus());

/** @type {Record<string, (day: string, year: boolean) => string>} */
const KEYS = {
  ArrowLeft: (day) => addDays(day, -1),
  ArrowRight: (day) => addDays(day, 1),
  ArrowUp: (day) => addDays(day, -7),
  ArrowDown: (day) => addDays(day, 7),
  Home: (day) => addDays(day, -((noon(day).getDay() - weekStart() + 7) % 7)),
  End: (day) => addDays(day, 6 - ((noon(day).getDay() - weekStart() + 7) % 7)),
  PageUp: (day, year) => addMonths(day, year ? -12 : -1),
  PageDown: (day, year) => addMonths(day, year ? 12 : 1),
};

/** @param {{ place: Place }} props */
export function Calendar({ place: given }) {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(given.id) && !Number.isNaN(noon(given.id).getTime());
  const day = isDay ? dayOf(noon(given.id)) : today();
  const place = { ...given, id: day };
  const grid = useRef(/** @type {HTMLElement | null} */ (null));
  const moved = useRef(false); // by a key: the focus follows
  const title = MONTH.format(noon(day));
  const rows = rowsOf(hrefTo({ ...place, task: 0 }), null);
  useEffect(() => void (document.title = `${title} · Todo`), [title]);
  useLayoutEffect(() => {
    if (moved.current) grid.current?.querySelector(`[data-day="${day}"]`)?.focus();
    moved.current = false;
  }, [day]);
  const key = (/** @type {On<HTMLElement, KeyboardEvent>} */ event) => {
    if (!event.target.matches("td") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") enterDay();
    else if (!KEYS[event.key]) return;
    else {
      moved.current = true;
      choose(KEYS[event.key](event.target.dataset.day ?? day, event.shiftKey));
    }
    event.preventDefault();
  };
  const click = (/** @type {On} */ event) => {
    const [chip, cell] = [event.target.closest(".chip"), event.target.closest("td")];
    if (chip) go({ task: Number(chip.dataset.id) });
    else if (cell) choose(cell.dataset.day ?? day);
    if (event.target.closest(".others")) enterDay();
  };
  return html`
    <header class="head calendar-head">
      <${ListsButton} />
      <h1>${title}</h1>
      <div class="steps">
        <button class="secondary" id="this-month" onClick=${() => choose(today())}>${t("Today")}</button>
        <button class="quiet-button" id="last-month" aria-label=${t("Previous month")} title=${t("Previous month")} onClick=${() => choose(addMonths(day, -1))}><${Icon} name="back" /></button>
        <button class="quiet-button" id="next-month" aria-label=${t("Next month")} title=${t("Next month")} onClick=${() => choose(addMonths(day, 1))}><${Icon} name="forth" /></button>
      </div>
      <${Bell} />
    </header>
    <${Month} day=${day} grid=${grid} onKeyDown=${key} onClick=${click} />
    <section id="day" aria-labelledby="day-title">
      <div class="group"><h2 id="day-title">${sayDay(day)}</h2><p class="quiet">${tn("{count} open task", "{count} open tasks", rows.length)}</p></div>
      <${QuickAdd} place=${place} />
      ${rows.length ? html`<${List} rows=${rows} place=${place} />` : html`<p class="empty">${t("Nothing is due on this day.")}</p>`}
    </section>
    ${ui.selected && html`<${SelectionBar} />`}
  `;
}

/**
 * The weeks of the month, as a grid of which one day is in the order of Tab.
 * @param {{ day: string, grid: { current: HTMLElement | null } } & Record<string, unknown>} props
 */
function Month({ day, grid, ...handlers }) {
  const weeks = weeksOf(day);
  const days = tasksByDay();
  const colors = new Map(projects().map((project) => [project.id, project]));
  return html`
    <table class="month" role="grid" aria-label=${MONTH.format(noon(day))} ref=${grid} ...${handlers} onPointerDown=${lift}>
      <thead><tr>${weeks[0].map((one) => html`<th scope="col" key=${one}>${sayWeekday(noon(one).getDay())}</th>`)}</tr></thead>
      <tbody>
        ${weeks.map(
          (week) =>
            html`<tr key=${week[0]}>${week.map((one) => html`<${Cell} key=${one} day=${one} chosen=${one === day} isOther=${one.slice(0, 7) !== day.slice(0, 7)} due=${days.get(one) ?? []} colors=${colors} />`)}</tr>`,
        )}
      </tbody>
    </table>
  `;
}

const lift = (/** @type {On<HTMLElement, PointerEvent>} */ event) =>
  void (event.target.closest(".chip") && press(event));
const keepTouch = (/** @type {On} */ event) => void (event.target.closest(".dragged") && event.preventDefault());

/** @param {{ day: string, chosen: boolean, isOther: boolean, due: Task[], colors: Map<number, Project> }} props */
function Cell({ day, chosen, isOther, due, colors }) {
  const shown = due.slice(0, due.length > CHIPS_MAX ? CHIPS_MAX - 1 : CHIPS_MAX);
  const others = due.length - shown.length;
  const name = `${DAY.format(noon(day))}, ${tn("{count} open task", "{count} open tasks", due.length)}`;
  return html`
    <td role="gridcell" class=${isOther ? "other" : null} data-day=${day} tabindex=${chosen ? 0 : -1} aria-selected=${String(chosen)} aria-current=${day === today() ? "date" : null}>
      <span class="unseen">${name}</span><span class="number" aria-hidden="true">${Number(day.slice(8))}</span>
      ${shown.map((task) => {
        const color = task.project_id === null ? null : colors.get(task.project_id)?.color;
        return html`<button class=${`chip ${task.priority}${day < today() ? " overdue" : ""}`} key=${keyOf(task)} data-id=${task.id} tabindex="-1" title=${task.title} onTouchMove=${keepTouch}>
          ${color && html`<${Dot} color=${color} />`}${sayTime(task.due_date) && html`<span class="time">${sayTime(task.due_date)}</span>`}<bdi class="name">${task.title}</bdi>
        </button>`;
      })}
      ${others > 0 && html`<button class="others" tabindex="-1">${t("+{count} more", { count: others })}</button>`}
      ${due.length > 0 && html`<span class="dots" aria-hidden="true">${due.slice(0, CHIPS_MAX).map(() => html`<span></span>`)}</span>`}
    </td>
  `;
}
