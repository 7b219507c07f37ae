import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import {
  addTag,
  canWrite,
  completeMany,
  deleteMany,
  moveToDay,
  moveToProject,
  removeTag,
  reopenMany,
  setPriority,
  setStatusOf,
} from "../bulk.js";
import { dayIn, today } from "../dates.js";
import { t, tn } from "../language.js";
import { PRIORITIES } from "../place.js";
import { endSelection, selectAll, shownTasks } from "../selection.js";
import { isOpen, PRIORITY_NAMES, STATUSES } from "../statuses.js";
import { keyOf, projectTree, tags } from "../store.js";
import { show, ui } from "../ui.js";
import { BULK_MAX } from "../writes.js";
import { inset } from "./fields.js";
import { Menu } from "./menu.js";
/** @import { On, Sending, Task, TaskStatus } from "types/client" */

/** The next Monday. */
function nextWeek() {
  const days = (8 - new Date().getDay()) % 7 || 7;
  return dayIn(days);
}

/** What can be done with the selected tasks, each by one write. */
export function SelectionBar() {
  const chosen = shownTasks().filter((task) => ui.selected?.has(keyOf(task)));
  const [asking, setAsking] = useState(/** @type {"date" | "tag" | null} */ (null));
  const gone = ui.selected !== null && chosen.length < ui.selected.size;
  useEffect(() => {
    if (gone) show({ selected: chosen.length ? new Set(chosen.map(keyOf)) : null });
  });
  const isMany = chosen.length > BULK_MAX;
  const none = chosen.length === 0 || isMany;
  /** @type {(act: (rows: Task[]) => void) => void} */
  const run = (act) => {
    if (!canWrite(chosen)) return;
    endSelection();
    act(chosen);
  };
  const isDone = chosen.length > 0 && !chosen.some(isOpen);
  return html`
    <section class="selection" id="selection" aria-label=${t("Selected tasks")}>
      <p class="line">
        <strong id="selected-count">${tn("{count} selected", "{count} selected", chosen.length)}</strong>
        ${!chosen.length && html`<span class="quiet">${t("Choose tasks in the list.")}</span>`}
        ${isMany && html`<span class="failed" role="alert">${t("At most {max} tasks can be changed at once.", { max: BULK_MAX })}</span> <button class="link" id="select-fewer" onClick=${() => show({ selected: new Set(chosen.slice(0, BULK_MAX).map(keyOf)) })}>${t("Only the first {max}", { max: BULK_MAX })}</button>`}
        <span class="ways">
          <button class="link" id="select-all" onClick=${selectAll}>${t("Select all")}</button>
          <button class="link" id="end-selection" onClick=${endSelection}>${t("Cancel")}</button>
        </span>
      </p>
      ${
        asking
          ? html`<${Asking} what=${asking} onEnd=${() => setAsking(null)} onGive=${(/** @type {string} */ value) => run((rows) => (asking === "date" ? moveToDay(rows, value) : addTag(rows, value)))} />`
          : html`<div class="acts">
            <button class="secondary" id="bulk-complete" disabled=${none} onClick=${() => run(isDone ? reopenMany : completeMany)}>${isDone ? t("Reopen") : t("Complete")}</button>
            <${Menu} id="bulk-date" label=${t("Date")} disabled=${none} items=${() => dates(run, () => setAsking("date"))} />
            <${Menu} id="bulk-priority" label=${t("Priority")} disabled=${none} items=${() => priorities(run)} />
            <${Menu} id="bulk-status" label=${t("Status")} disabled=${none} items=${() => statuses(run)} />
            <${Menu} id="bulk-project" label=${t("Project")} disabled=${none} items=${() => places(run)} />
            <${Menu} id="bulk-tags" label=${t("Tags")} disabled=${none} items=${() => tagging(chosen, run, () => setAsking("tag"))} />
            <button class="secondary" id="bulk-delete" disabled=${none} onClick=${() => run(deleteMany)}>${t("Delete")}</button>
          </div>`
      }
    </section>
  `;
}

/** @typedef {(act: (rows: Task[]) => void) => void} Run */

/** @type {(run: Run, ask: () => void) => import("./menu.js").MenuItem[]} */
const dates = (run, ask) => [
  { label: t("Today"), act: () => run((rows) => moveToDay(rows, today())) },
  { label: t("Tomorrow"), act: () => run((rows) => moveToDay(rows, dayIn(1))) },
  { label: t("Next week"), act: () => run((rows) => moveToDay(rows, nextWeek())) },
  { label: t("Choose a day…"), act: ask },
  { label: t("No date"), act: () => run((rows) => moveToDay(rows, null)) },
];

/** @type {(run: Run) => import("./menu.js").MenuItem[]} */
const priorities = (run) =>
  PRIORITIES.map((one) => ({ label: PRIORITY_NAMES[one], act: () => run((rows) => setPriority(rows, one)) }));

/** @type {(run: Run) => import("./menu.js").MenuItem[]} */
const statuses = (run) =>
  /** @type {[TaskStatus, string][]} */ (Object.entries(STATUSES)).map(([one, words]) => ({
    label: words,
    act: () => run((rows) => setStatusOf(rows, one)),
  }));

/** @type {(run: Run) => import("./menu.js").MenuItem[]} */
const places = (run) => [
  { label: t("Inbox"), act: () => run((rows) => moveToProject(rows, null)) },
  ...projectTree().map(({ project, level }) => ({
    label: inset(level) + project.name,
    act: () => run((rows) => moveToProject(rows, project.id)),
  })),
];

/** @type {(chosen: Task[], run: Run, ask: () => void) => import("./menu.js").MenuItem[]} */
function tagging(chosen, run, ask) {
  const carried = [...new Set(chosen.flatMap((task) => task.tags))].sort((a, b) => a.localeCompare(b));
  const missing = tags().filter(([tag]) => !chosen.every((task) => task.tags.includes(tag)));
  return [
    { label: t("New tag…"), act: ask },
    ...missing.map(([tag]) => ({
      label: t("Add @{tag}", { tag }),
      act: () => run((rows) => addTag(rows, tag)),
    })),
    ...carried.map((tag) => ({
      label: t("Remove @{tag}", { tag }),
      act: () => run((rows) => removeTag(rows, tag)),
    })),
  ];
}

/**
 * Asks for a day or a tag, in the place of the actions.
 * @param {{ what: "date" | "tag", onGive: (value: string) => void, onEnd: () => void }} props
 */
function Asking({ what, onGive, onEnd }) {
  const field = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => field.current?.focus(), []);
  const give = (/** @type {Sending<"given">} */ event) => {
    event.preventDefault();
    const value = event.currentTarget.elements.given.value.trim().replace(/^@/, "");
    if (value) onGive(value);
  };
  const press = (/** @type {On<HTMLElement, KeyboardEvent>} */ event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    onEnd();
  };
  return html`
    <form class="acts" onSubmit=${give} onKeyDown=${press}>
      ${
        what === "date"
          ? html`<input ref=${field} type="date" name="given" required min="1900-01-01" max="2199-12-31" aria-label=${t("Day")} />`
          : html`<input ref=${field} name="given" required maxlength="50" autocomplete="off" dir="auto" aria-label=${t("New tag")} placeholder=${t("New tag")} />`
      }
      <button class="primary" id="bulk-give">${what === "date" ? t("Set") : t("Add")}</button>
      <button type="button" class="link" onClick=${onEnd}>${t("Back")}</button>
    </form>
  `;
}
