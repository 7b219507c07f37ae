import { Component, html } from "../html.js";
import { isOverdue, sayDue, sayRule } from "../dates.js";
import { Icon } from "./icon.js";
import { Dot } from "./sidebar.js";
/** @import { Project, Task } from "types/client" */

/**
 * @typedef {object} RowProps
 * @property {Task} task
 * @property {number} depth
 * @property {boolean} manual
 * @property {Project | null} [project]
 * @property {string} [steps]
 * @property {boolean} editing
 * @property {boolean} open
 */

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
  render({ task, depth, manual, project, steps, editing, open }) {
    const state = `${task.completed ? " completed" : ""}${open ? " open" : ""}${task.waiting ? " waiting" : ""}`;
    return html`
      <li class=${`row depth-${depth}${state}`} data-id=${task.id} data-depth=${depth}>
        ${manual && html`<span class="grip" aria-hidden="true"><${Icon} name="grip" /></span>`}
        <button class=${`check ${task.priority}`} role="checkbox" aria-checked=${String(task.completed)} data-act="complete"
          aria-label=${`${task.completed ? "Reopen" : "Complete"} ${task.title}`}><${Icon} name="done" /></button>
        ${
          editing
            ? html`<input class="edit" aria-label="Title" defaultValue=${task.title} maxlength="200" ref=${focusOnce} />`
            : html`
            <div class="words">
              <button class="title" data-act="open" aria-keyshortcuts="Enter e x Delete">${task.title}</button>
              <${Meta} task=${task} project=${project} steps=${steps} />
            </div>`
        }
      </li>
    `;
  }
}

/** @param {HTMLInputElement | null} field */
function focusOnce(field) {
  if (!field || document.activeElement === field) return;
  field.focus();
  field.select();
}

/** @param {Pick<RowProps, "task" | "project" | "steps">} props */
function Meta({ task, project, steps }) {
  const { due_date: due, tags, priority, recurrence, reminders } = task;
  const marked = priority === "urgent" || priority === "high";
  if (!due && !tags.length && !project && !steps && !marked && !recurrence && !reminders.length) return null;
  return html`
    <p class="meta">
      ${due && html`<span class=${isOverdue(task) ? "due overdue" : "due"}>${isOverdue(task) && html`<span class="unseen">Overdue: </span>`}${sayDue(due)}</span>`}
      ${recurrence && html`<span><${Icon} name="repeat" />${sayRule(recurrence)}</span>`}
      ${reminders.length > 0 && html`<span><${Icon} name="bell" /><span class="unseen">Has reminders</span></span>`}
      ${steps && html`<span><span class="unseen">Subtasks done: </span>${steps}</span>`}
      ${project && html`<span><${Dot} color=${project.color} />${project.name}</span>`}
      ${marked && html`<span class=${`mark-${priority}`}>${priority}</span>`}
      ${tags.map((tag) => html`<button class="tag" data-act="tag" tabindex="-1">@${tag}</button>`)}
    </p>
  `;
}
