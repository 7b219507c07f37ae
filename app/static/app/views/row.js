import { Component, html } from "../html.js";
import { isMissed, sayDayWithin, sayDue, sayDueWithin, sayMinutes, sayRule, startsLater } from "../dates.js";
import { useDraft } from "../drafts.js";
import { t } from "../language.js";
import { isOpen, PRIORITY_NAMES, STATUSES } from "../statuses.js";
import { keyOf } from "../store.js";
import { FieldNote, isTooLong, TITLE_MAX } from "./fields.js";
import { later } from "./later.js";
import { Icon } from "./icon.js";
import { Dot } from "./sidebar.js";
/** @import { On, Project, Task } from "types/client" */

const Hit = later(() => import("./hits.js"), "Hit");
const Marked = later(() => import("./hits.js"), "Marked", { wait: ({ text }) => text });

/**
 * @typedef {object} RowProps
 * @property {Task} task
 * @property {number} depth
 * @property {boolean} grip
 * @property {Project | null} [project]
 * @property {string} [steps]
 * @property {string} [tints] the colours of its tags, in their order
 * @property {boolean} editing
 * @property {boolean} open
 * @property {boolean | null} selected null: nothing is being selected
 * @property {number | null} [at] its place among `of` rows, where not all are in the page
 * @property {number | null} [of]
 * @property {string} search its words are marked
 * @property {string} day today: words such as "Tomorrow" change with it
 */

/** A finger that drags a row does not scroll the page. */
const keepTouch = (/** @type {On} */ event) => void (event.target.closest(".dragged") && event.preventDefault());

/**
 * Drawn again only when its props change: of a thousand rows a write affects one.
 * @extends {Component<RowProps>}
 */
export class Row extends Component {
  /**
   * @override
   * @param {RowProps} next
   */
  shouldComponentUpdate(next) {
    const names = /** @type {(keyof RowProps)[]} */ (Object.keys(next));
    return names.some((name) => next[name] !== this.props[name]);
  }

  /**
   * @override
   * @param {RowProps} props
   */
  render({ task, depth, grip, project, steps, tints, at, of, editing, open, selected, search }) {
    const state = `${isOpen(task) ? "" : " completed"}${open ? " open" : ""}${selected ? " selected" : ""}${task.waiting ? " waiting" : ""}`;
    return html`
      <li class=${`row depth-${depth}${state}`} data-id=${task.id} data-depth=${depth} aria-posinset=${at} aria-setsize=${of}>
        ${grip && html`<span class="grip" aria-hidden="true" onTouchMove=${keepTouch}><${Icon} name="grip" /></span>`}
        <button class=${`check ${task.priority}`} role="checkbox" aria-checked=${String(selected ?? task.completed)} data-act="complete"
          aria-label=${selected === null ? (task.completed ? t("Reopen {title}", task) : t("Complete {title}", task)) : t("Select {title}", task)}><${Icon} name="done" /></button>
        ${
          editing
            ? html`<${TitleEdit} task=${task} />`
            : html`
            <div class="words">
              <button class="title" dir="auto" data-act="open" aria-pressed=${selected === null ? null : String(selected)} aria-keyshortcuts="Enter e c x Delete">${search ? html`<${Marked} text=${task.title} search=${search} />` : task.title}</button>
              <${Meta} task=${task} project=${project} steps=${steps} tints=${tints} search=${search} />
              ${search && html`<${Hit} task=${task} search=${search} />`}
            </div>`
        }
      </li>
    `;
  }
}

/** @param {{ task: Task }} props */
function TitleEdit({ task }) {
  const name = `title:${keyOf(task)}`;
  const text = useDraft(name)?.text ?? task.title;
  return html`
    <div class="words">
      <input class="edit" dir="auto" aria-label=${t("Title")} value=${text} aria-invalid=${isTooLong(text, TITLE_MAX) ? "true" : null} aria-describedby="edit-note" ref=${focusOnce} />
      <${FieldNote} id="edit-note" name=${name} text=${text} max=${TITLE_MAX} />
    </div>
  `;
}

/** @param {HTMLInputElement | null} field */
function focusOnce(field) {
  if (!field || document.activeElement === field) return;
  field.focus();
  field.select();
}

/** @param {Pick<RowProps, "task" | "project" | "steps" | "tints" | "search">} props */
function Meta({ task, project, steps, tints = "", search }) {
  const { due_date: due, deadline, estimate_minutes: minutes, favorite, tags, priority, recurrence, reminders } = task;
  const start = startsLater(task) ? task.start_date : null;
  const status = task.status === "pending" || task.completed ? "" : STATUSES[task.status];
  const colors = tints.split(",");
  const marked = priority === "urgent" || priority === "high";
  const words = [due, start, deadline, minutes, favorite, status, project, steps, marked, recurrence];
  if (!words.some(Boolean) && !tags.length && !reminders.length) return null;
  return html`
    <p class="meta">
      ${favorite && html`<span class="starred"><${Icon} name="star" /><span class="unseen">${t("Starred")}</span></span>`}
      ${status && html`<span>${status}</span>`}
      ${due && html`<span class=${isMissed(task, due) ? "due overdue" : "due"}>${isMissed(task, due) && html`<span class="unseen">${t("Overdue:")} </span>`}${sayDue(due)}</span>`}
      ${start && html`<span>${t("from {date}", { date: sayDueWithin(start) })}</span>`}
      ${deadline && html`<span class=${isMissed(task, deadline) ? "due overdue" : "due"}>${isMissed(task, deadline) && html`<span class="unseen">${t("Overdue:")} </span>`}${t("deadline {date}", { date: sayDayWithin(deadline) })}</span>`}
      ${recurrence && html`<span><${Icon} name="repeat" />${sayRule(recurrence)}</span>`}
      ${reminders.length > 0 && html`<span><${Icon} name="bell" /><span class="unseen">${t("Has reminders")}</span></span>`}
      ${steps && html`<span><span class="unseen">${t("Subtasks done:")} </span>${steps}</span>`}
      ${minutes && html`<span><span class="unseen">${t("Takes")} </span>${sayMinutes(minutes)}</span>`}
      ${project && html`<span><${Dot} color=${project.color} />${project.name}</span>`}
      ${marked && html`<span class=${`mark-${priority}`}>${PRIORITY_NAMES[priority]}</span>`}
      ${tags.map((tag, place) => html`<button class="tag" data-act="tag" tabindex="-1">${colors[place] && html`<${Dot} color=${colors[place]} />`}@${search ? html`<${Marked} text=${tag} search=${search} />` : tag}</button>`)}
    </p>
  `;
}
