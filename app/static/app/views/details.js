import { html, useEffect, useLayoutEffect, useRef } from "../html.js";
import { markSeen } from "../bell.js";
import { useDoneSteps } from "../done.js";
import { dueDay, dueTime, makeDue, sayRule } from "../dates.js";
import { t } from "../language.js";
import { go, PRIORITIES } from "../place.js";
import { closeNotifications } from "../push.js";
import { isOpen, PRIORITY_NAMES, STATUSES } from "../statuses.js";
import { keyOf, projectTree, tasks } from "../store.js";
import {
  addTask,
  changeTask,
  changeTyped,
  completeTask,
  deleteTask,
  duplicateTask,
  setStatus,
  skipTask,
} from "../writes.js";
import { Comments } from "./comments.js";
import { AddLine, DESCRIPTION_MAX, inset, Text, TITLE_MAX } from "./fields.js";
import { History } from "./history.js";
import { Icon } from "./icon.js";
import { Reminders } from "./reminders.js";
/** @import { Choosing, Fields, On, Priority, Task, TaskStatus } from "types/client" */

/** @typedef {(fields: Fields<"task">) => void} SetFields */

const RULES = [
  "FREQ=DAILY",
  "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
  "FREQ=WEEKLY",
  "FREQ=WEEKLY;INTERVAL=2",
  "FREQ=MONTHLY",
  "FREQ=YEARLY",
];
const close = () => go({ task: 0 });

/** @param {{ task: Task }} props */
export function Details({ task }) {
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => panel.current?.focus(), []); // before the user can type anywhere in it
  useDoneSteps(task.id);
  useEffect(() => {
    markSeen(task.id);
    closeNotifications(task.id).catch(() => {}); // they can be closed by hand
  }, [task.id]);
  /** @type {SetFields} */
  const set = (fields) => changeTask(task, fields);
  return html`
    <aside class="details" data-id=${task.id} aria-label=${t("Details")} ref=${panel} tabindex="-1">
      <h2 class="unseen">${t("Details")}</h2>
      <header>
        <button class=${`check ${task.priority}`} role="checkbox" aria-checked=${String(task.completed)} aria-label=${t("Completed")} onClick=${() => completeTask(task)}><${Icon} name="done" /></button>
        <${Text} class="big" id="title" draft=${`title:${keyOf(task)}`} label=${t("Title")} value=${task.title} version=${task.version} max=${TITLE_MAX} required isLine onKeep=${changeTyped(task, "title", oneLine)} />
        <button class=${`quiet-button${task.favorite ? " starred" : ""}`} id="star" aria-pressed=${String(task.favorite)} aria-label=${t("Starred")} onClick=${() => set({ favorite: !task.favorite })}><${Icon} name="star" /></button>
        <button class="quiet-button" id="close-details" aria-label=${t("Close the details")} onClick=${close}><${Icon} name="close" /></button>
      </header>
      <${Parent} task=${task} />
      <${Text} class="notes" id="notes" draft=${`notes:${keyOf(task)}`} label=${t("Notes")} value=${task.description ?? ""} version=${task.version} max=${DESCRIPTION_MAX} placeholder=${t("Notes")} onKeep=${changeTyped(task, "description", (text) => text || null)} />
      <div class="fields">
        <${Moment} label=${t("Due")} name="due" value=${task.due_date} onSet=${(/** @type {string | null} */ due_date) => set({ due_date })} />
        <${Moment} label=${t("Start")} name="start" value=${task.start_date} onSet=${(/** @type {string | null} */ start_date) => set({ start_date })} />
        <label>${t("Deadline")}<${Field} type="date" id="deadline" value=${task.deadline ?? ""} min="1900-01-01" max="2199-12-31" onChange=${(/** @type {Choosing} */ event) => set({ deadline: event.target.value || null })} /></label>
        <${Estimate} task=${task} set=${set} />
        <label>${t("Status")}
          <select id="status" value=${task.status} onChange=${(/** @type {On<HTMLSelectElement & { value: TaskStatus }>} */ event) => setStatus(task, event.target.value)}>${Object.entries(STATUSES).map(([one, words]) => html`<option value=${one}>${words}</option>`)}</select>
        </label>
        <label>${t("Priority")}
          <select value=${task.priority} onChange=${(/** @type {On<HTMLSelectElement & { value: Priority }>} */ event) => set({ priority: event.target.value })}>${PRIORITIES.map((one) => html`<option value=${one}>${PRIORITY_NAMES[one]}</option>`)}</select>
        </label>
        <label>${t("Project")}
          <select value=${task.project_id ?? ""} onChange=${(/** @type {Choosing} */ event) => set({ project_id: Number(event.target.value) || null })}>
            <option value="">${t("Inbox")}</option>
            ${projectTree().map(({ project, level }) => html`<option value=${project.id}>${inset(level)}${project.name}</option>`)}
          </select>
        </label>
        <${Repeat} task=${task} set=${set} />
        <${Tags} task=${task} />
        <${Reminders} task=${task} set=${set} />
      </div>
      ${task.parent_id === null || depthOf(task) < 4 ? html`<${Subtasks} task=${task} />` : null}
      <${Comments} task=${task} />
      <${History} task=${task} />
      <footer>
        <button class="secondary" id="duplicate-task" onClick=${() => duplicateTask(task)}>${t("Duplicate")}</button>
        <button class="secondary" id="delete-task" onClick=${() => (deleteTask(task), close())}><${Icon} name="trash" />${t("Move to the trash")}</button>
      </footer>
    </aside>
  `;
}

/**
 * A field that keeps the typed text until it loses the focus; a value from elsewhere is shown when it changes.
 * @param {{ value: string } & Record<string, unknown>} props
 */
function Field({ value, ...rest }) {
  const field = useRef(/** @type {HTMLInputElement} */ (/** @type {unknown} */ (null))); // used only while it is there
  useLayoutEffect(() => void (field.current.value = value), [value]); // before the user can type in it
  return html`<input ref=${field} ...${rest} />`;
}

/**
 * A day, and its time.
 * @param {{ label: string, name: string, value: string | null, onSet: (value: string | null) => void }} props
 */
function Moment({ label, name, value, onSet }) {
  const day = value ? dueDay(value) : "";
  const change = (/** @type {On} */ event) => {
    const [first, second] = event.currentTarget.querySelectorAll("input");
    onSet(makeDue(first?.value ?? "", second?.value));
  };
  return html`
    <div class="due-fields" onChange=${change}>
      <label>${label}<${Field} type="date" name=${`${name}_day`} value=${day} min="1900-01-01" max="2199-12-31" /></label>
      ${day && html`<label>${t("Time")}<${Field} type="time" name=${`${name}_time`} value=${dueTime(value)} /></label>`}
    </div>
  `;
}

/** @param {{ task: Task, set: SetFields }} props */
function Estimate({ task, set }) {
  const change = (/** @type {On<HTMLInputElement>} */ event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    if (field.reportValidity()) set({ estimate_minutes: Number(field.value) || null });
  };
  return html`<label>${t("Minutes")}<${Field} type="number" id="estimate" value=${String(task.estimate_minutes ?? "")} min="1" max="525600" step="1" placeholder=${t("estimate")} onChange=${change} /></label>`;
}

/** @param {{ task: Task, set: SetFields }} props */
function Repeat({ task, set }) {
  const known = !task.recurrence || RULES.includes(task.recurrence) ? RULES : [task.recurrence, ...RULES];
  return html`
    <label>${t("Repeat")}
      <select value=${task.recurrence ?? ""} disabled=${!task.due_date && !task.recurrence} onChange=${(/** @type {Choosing} */ event) => set({ recurrence: event.target.value || null })}>
        <option value="">${task.due_date || task.recurrence ? t("never") : t("set a due date first")}</option>
        ${known.map((rule) => html`<option value=${rule}>${sayRule(rule)}</option>`)}
      </select>
    </label>
    ${task.recurrence && html`<p class="aside"><button class="link" onClick=${() => skipTask(task)}>${t("Skip this time")}</button></p>`}
  `;
}

/** @type {(text: string) => string} */
const oneLine = (text) => text.replaceAll("\n", " ").trim();

/** @type {(text: string) => string[]} */
const readTags = (text) => {
  const tags = text.split(",").map((tag) => tag.trim().replace(/^@/, ""));
  return [...new Set(tags.filter(Boolean))];
};

/** @param {{ task: Task }} props */
function Tags({ task }) {
  return html`
    <div class="field"><label for="tags">${t("Tags")}</label>
      <${Text} id="tags" draft=${`tags:${keyOf(task)}`} label=${t("Tags")} value=${task.tags.join(", ")} version=${task.version} max=${Infinity} isLine placeholder=${t("home, errands")} onKeep=${changeTyped(task, "tags", readTags)} />
    </div>
  `;
}

/** @type {(task: Task) => number} */
const depthOf = (task) => {
  let depth = 0;
  for (let one = /** @type {Task | undefined} */ (task); one?.parent_id; one = tasks().get(one.parent_id)) depth += 1;
  return depth;
};

/** @param {{ task: Task }} props */
function Parent({ task }) {
  const parent = task.parent_id && tasks().get(task.parent_id);
  return parent
    ? html`<p class="parent"><button class="link" onClick=${() => go({ task: parent.id })}>↑ <bdi>${parent.title}</bdi></button></p>`
    : null;
}

/** @param {{ task: Task }} props */
function Subtasks({ task }) {
  const name = `subtask:${keyOf(task)}`;
  const rows = [...tasks().values()]
    .filter((one) => one.parent_id === task.id)
    .sort((a, b) => (a.position < b.position ? -1 : 1));
  const add = (/** @type {string} */ text) => {
    const project = task.project_id ? { project_id: task.project_id } : {};
    addTask({ title: text, parent_id: task.id, ...project }, { name, text });
  };
  return html`
    <section aria-label=${t("Subtasks")}>
      <h3>${t("Subtasks")}</h3>
      <ul class="subtasks">
        ${rows.map(
          (one) => html`
          <li key=${one.id} class=${isOpen(one) ? "" : "completed"}>
            <button class=${`check ${one.priority}`} role="checkbox" aria-checked=${String(one.completed)} aria-label=${t("Complete {title}", { title: one.title })} onClick=${() => completeTask(one)}><${Icon} name="done" /></button>
            <button class="title" dir="auto" onClick=${() => go({ task: one.id })}>${one.title}</button>
          </li>`,
        )}
      </ul>
      <${AddLine} draft=${name} id="add-subtask" label=${t("New subtask")} placeholder=${t("Add a subtask")} max=${TITLE_MAX} onAdd=${add} />
    </section>
  `;
}
