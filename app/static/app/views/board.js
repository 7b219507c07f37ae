import { html } from "../html.js";
import { addTag, removeTag, setPriority, setStatusOf, swapTag } from "../bulk.js";
import { addTargets } from "../drag.js";
import { draftsOf } from "../drafts.js";
import { t } from "../language.js";
import { PRIORITIES } from "../place.js";
import { PRIORITY_NAMES, STATUSES } from "../statuses.js";
import { getTask, keyOf, projects } from "../store.js";
import { addTask } from "../writes.js";
import { AddLine, TITLE_MAX } from "./fields.js";
import { List } from "./list.js";
/** @import { ListRow, Place, Priority, Task, TaskStatus } from "types/client" */

/**
 * @typedef {object} Column
 * @property {string} key the value of the field; "" stands for no tag
 * @property {string} title
 * @property {ListRow[]} rows
 * @property {Partial<Pick<Task, "status" | "priority" | "tags">> | null} fields of a task that is added here; null: none is
 */

/** @type {TaskStatus[]} */
const ORDER = ["pending", "in_progress", "waiting", "completed", "cancelled"];

/** `typed`: the keys of columns in which a new task is being typed. @type {Record<string, (rows: ListRow[], typed: string[]) => Column[]>} */
const COLUMNS = {
  status: (rows) =>
    ORDER.map((key) => ({
      key,
      title: STATUSES[key],
      rows: rows.filter(({ task }) => task.status === key),
      fields: key === "completed" || key === "cancelled" ? null : { status: key },
    })).filter(({ key, rows: there }) => key !== "cancelled" || there.length),
  priority: (rows) =>
    PRIORITIES.map((key) => ({
      key,
      title: PRIORITY_NAMES[key],
      rows: rows.filter(({ task }) => task.priority === key),
      fields: { priority: key },
    })),
  tag: (rows, typed) => {
    const used = new Set([...rows.flatMap(({ task }) => task.tags), ...typed.filter(Boolean)]);
    const names = [...used].sort((a, b) => a.localeCompare(b));
    const tagged = names.map((key) => ({
      key,
      title: `@${key}`,
      rows: rows.filter(({ task }) => task.tags.includes(key)),
      fields: { tags: [key] },
    }));
    const none = rows.filter(({ task }) => !task.tags.length);
    return [{ key: "", title: t("Without a tag"), rows: none, fields: {} }, ...tagged];
  },
};

/**
 * Sets the field of the columns. A task with several tags keeps the others.
 * @type {Record<string, (rows: Task[], from: string, to: string) => void>}
 */
const MOVES = {
  status: (rows, _, to) => setStatusOf(rows, /** @type {TaskStatus} */ (to)),
  priority: (rows, _, to) => setPriority(rows, /** @type {Priority} */ (to)),
  tag: (rows, from, to) => (!to ? removeTag(rows, from) : !from ? addTag(rows, to) : swapTag(rows, from, to)),
};

/** @type {(column: HTMLElement | null | undefined) => string} */
const keyIn = (column) => column?.dataset.column ?? "";

/** @type {(rows: Task[], from: HTMLElement, to: HTMLElement) => void} */
function moveTo(rows, from, to) {
  const by = to.closest(".board")?.dataset.by ?? "";
  MOVES[by]?.(rows, keyIn(from), keyIn(to));
}

addTargets((over, { row }) => {
  const [from, to] = [row.closest(".column"), over.map((one) => one.closest(".column")).find(Boolean)];
  return from && to && from !== to ? { element: to, mark: "into", drop: (rows) => moveTo(rows, from, to) } : null;
});

/** @type {(row: Element, by: number) => HTMLElement | undefined} */
function findBeside(row, by) {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".column")]);
  return all[all.indexOf(/** @type {HTMLElement} */ (row.closest(".column"))) + by];
}

/**
 * Moves a card to the column next to its own, by a key. The focus goes with it.
 * @param {HTMLElement} row
 * @param {number} by
 */
export function moveCard(row, by) {
  const [task, from, to] = [getTask(Number(row.dataset.id)), row.closest(".column"), findBeside(row, by)];
  if (!task || !from || !to) return;
  const column = `.column[data-column="${CSS.escape(keyIn(to))}"]`;
  moveTo([task], from, to);
  setTimeout(() => document.querySelector(`${column} .row[data-id="${task.id}"] .title`)?.focus());
}

/**
 * Moves the focus to the card at the same height in the next column that has one.
 * @param {HTMLElement} row
 * @param {number} by
 */
export function stepAcross(row, by) {
  const at = [...(row.parentElement?.querySelectorAll(".row") ?? [])].indexOf(row);
  for (let steps = by; ; steps += by) {
    const column = findBeside(row, steps);
    if (!column) return;
    const titles = /** @type {HTMLElement[]} */ ([...column.querySelectorAll(".row .title")]);
    const next = titles[Math.min(at, titles.length - 1)];
    if (next) {
      next.focus();
      return next.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
}

/** @param {{ rows: ListRow[], place: Place, by: string }} props */
export function Board({ rows, place, by: wanted }) {
  const by = wanted in COLUMNS ? wanted : "status";
  const cards = rows.map(({ task }) => ({ task, depth: 0 }));
  const project = projects().find(({ id }) => id === Number(place.id));
  const drafts = `board:${project ? keyOf(project) : place.id}:${by}:`;
  const columns = COLUMNS[by](cards, draftsOf(drafts));
  return html`
    <div class="board" data-by=${by} role="group" aria-label=${t("Board")}>
      ${columns.map((column, at) => html`<${Lane} key=${`${by} ${column.key}`} column=${column} at=${at} place=${place} draft=${`${drafts}${column.key}`} />`)}
    </div>
  `;
}

/** @param {{ column: Column, at: number, place: Place, draft: string }} props */
function Lane({ column: { key, title, rows, fields }, at, place, draft }) {
  const add = (/** @type {string} */ text) =>
    addTask({ title: text, project_id: Number(place.id), ...fields }, { name: draft, text });
  return html`
    <section class="column" data-column=${key} aria-labelledby=${`column-${at}`}>
      <h2 id=${`column-${at}`}><bdi>${title}</bdi> <span class="count">${rows.length}</span></h2>
      <${List} id=${`list-${at}`} rows=${rows} place=${place} label=${title} flat />
      ${fields && html`<${AddLine} draft=${draft} id=${`add-${at}`} label=${t("New task in {column}", { column: title })} placeholder=${t("Add a task")} max=${TITLE_MAX} onAdd=${add} />`}
    </section>
  `;
}
