import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { dueDay, dueTime, makeDue, sayRule } from "../dates.js";
import { go, PRIORITIES } from "../place.js";
import { projects, tasks } from "../store.js";
import { addTask, changeTask, completeTask, deleteTask, skipTask } from "../writes.js";
import { Comments } from "./comments.js";
import { History } from "./history.js";
import { Icon } from "./icon.js";
import { Reminders } from "./reminders.js";
/** @import { Choosing, Fields, On, Priority, Task, Typing } from "types/client" */

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
  useEffect(() => panel.current?.focus(), []);
  /** @type {SetFields} */
  const set = (fields) => changeTask(task, fields);
  return html`
    <aside class="details" aria-label="Details" ref=${panel} tabindex="-1">
      <header>
        <button class=${`check ${task.priority}`} role="checkbox" aria-checked=${String(task.completed)} aria-label="Completed" onClick=${() => completeTask(task)}><${Icon} name="done" /></button>
        <${Text} class="big" label="Title" value=${task.title} max="200" required onKeep=${(/** @type {string} */ title) => set({ title: title.replaceAll("\n", " ") })} />
        <button class="quiet-button" id="close-details" aria-label="Close the details" onClick=${close}><${Icon} name="close" /></button>
      </header>
      <${Parent} task=${task} />
      <${Text} class="notes" label="Notes" value=${task.description ?? ""} placeholder="Notes" onKeep=${(/** @type {string} */ text) => set({ description: text || null })} />
      <div class="fields">
        <${Due} task=${task} set=${set} />
        <label>Priority
          <select value=${task.priority} onChange=${(/** @type {On<HTMLSelectElement & { value: Priority }>} */ event) => set({ priority: event.target.value })}>${PRIORITIES.map((one) => html`<option value=${one}>${one}</option>`)}</select>
        </label>
        <label>Project
          <select value=${task.project_id ?? ""} onChange=${(/** @type {Choosing} */ event) => set({ project_id: Number(event.target.value) || null })}>
            <option value="">Inbox</option>
            ${projects().map((project) => html`<option value=${project.id}>${project.name}</option>`)}
          </select>
        </label>
        <${Repeat} task=${task} set=${set} />
        <${Tags} task=${task} set=${set} />
        <${Reminders} task=${task} set=${set} />
      </div>
      ${task.parent_id === null || depthOf(task) < 4 ? html`<${Subtasks} task=${task} />` : null}
      <${Comments} task=${task} />
      <${History} task=${task} />
      <footer>
        <button class="secondary" id="delete-task" onClick=${() => (deleteTask(task), close())}><${Icon} name="trash" />Move to the trash</button>
      </footer>
    </aside>
  `;
}

/**
 * A text field that grows with its content, and is saved when it loses the focus.
 * @param {{ label: string, value: string, onKeep: (text: string) => void, max?: string, placeholder?: string, required?: boolean }} props
 */
function Text({ label, value, onKeep, max, placeholder, required, ...rest }) {
  const field = useRef(/** @type {HTMLTextAreaElement} */ (/** @type {unknown} */ (null))); // used only while it is there
  const fit = () => {
    field.current.style.setProperty("height", "auto");
    field.current.style.setProperty("height", `${field.current.scrollHeight}px`);
  };
  useLayoutEffect(() => {
    if (document.activeElement !== field.current) field.current.value = value;
    fit();
  }, [value]);
  const keep = () => {
    const text = field.current.value.trim();
    if (text === value) return;
    if (text || !required) onKeep(text);
    else field.current.value = value;
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (max || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      field.current.blur();
    }
  };
  return html`<textarea ...${rest} ref=${field} rows="1" aria-label=${label} placeholder=${placeholder} maxlength=${max} onInput=${fit} onBlur=${keep} onKeyDown=${key}></textarea>`;
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

/** @param {{ task: Task, set: SetFields }} props */
function Due({ task, set }) {
  const day = task.due_date ? dueDay(task.due_date) : "";
  const time = dueTime(task.due_date);
  const change = (/** @type {On} */ event) => {
    const { due_day, due_time } = Object.fromEntries(
      [...event.currentTarget.querySelectorAll("input")].map((field) => [field.name, field.value]),
    );
    set({ due_date: makeDue(due_day, due_time) });
  };
  return html`
    <div class="due-fields" onChange=${change}>
      <label>Due<${Field} type="date" name="due_day" value=${day} min="1900-01-01" max="2199-12-31" /></label>
      ${day && html`<label>Time<${Field} type="time" name="due_time" value=${time} /></label>`}
    </div>
  `;
}

/** @param {{ task: Task, set: SetFields }} props */
function Repeat({ task, set }) {
  const known = !task.recurrence || RULES.includes(task.recurrence) ? RULES : [task.recurrence, ...RULES];
  return html`
    <label>Repeat
      <select value=${task.recurrence ?? ""} disabled=${!task.due_date && !task.recurrence} onChange=${(/** @type {Choosing} */ event) => set({ recurrence: event.target.value || null })}>
        <option value="">never</option>
        ${known.map((rule) => html`<option value=${rule}>${sayRule(rule)}</option>`)}
      </select>
    </label>
    ${task.recurrence && html`<p class="aside"><button class="link" onClick=${() => skipTask(task)}>Skip this time</button></p>`}
  `;
}

/** @param {{ task: Task, set: SetFields }} props */
function Tags({ task, set }) {
  const keep = (/** @type {Typing} */ event) => {
    const tags = event.target.value
      .split(",")
      .map((tag) => tag.trim().replace(/^@/, ""))
      .filter(Boolean);
    set({ tags: [...new Set(tags)] });
  };
  return html`<label>Tags<${Field} name="tags" value=${task.tags.join(", ")} placeholder="home, errands" onChange=${keep} /></label>`;
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
    ? html`<p class="parent"><button class="link" onClick=${() => go({ task: parent.id })}>↑ ${parent.title}</button></p>`
    : null;
}

/** @param {{ task: Task }} props */
function Subtasks({ task }) {
  const [text, setText] = useState("");
  const rows = [...tasks().values()]
    .filter((one) => one.parent_id === task.id)
    .sort((a, b) => (a.position < b.position ? -1 : 1));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (text.trim())
      addTask({ title: text.trim(), parent_id: task.id, ...(task.project_id ? { project_id: task.project_id } : {}) });
    setText("");
  };
  return html`
    <section aria-label="Subtasks">
      <h3>Subtasks</h3>
      <ul class="subtasks">
        ${rows.map(
          (one) => html`
          <li key=${one.id} class=${one.completed ? "completed" : ""}>
            <button class=${`check ${one.priority}`} role="checkbox" aria-checked=${String(one.completed)} aria-label=${`Complete ${one.title}`} onClick=${() => completeTask(one)}><${Icon} name="done" /></button>
            <button class="title" onClick=${() => go({ task: one.id })}>${one.title}</button>
          </li>`,
        )}
      </ul>
      <form onSubmit=${submit}><input id="add-subtask" aria-label="New subtask" placeholder="Add a subtask" maxlength="200" value=${text} onInput=${(/** @type {Typing} */ event) => setText(event.target.value)} /></form>
    </section>
  `;
}
