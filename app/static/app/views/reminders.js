import { html } from "../html.js";
import { sayInstant } from "../dates.js";
import { Icon } from "./icon.js";
/** @import { Choosing, Fields, Task } from "types/client" */

/** @type {Record<string, string>} */
const CHOICES = {
  PT0S: "when it is due",
  "-PT10M": "10 minutes before",
  "-PT30M": "30 minutes before",
  "-PT1H": "1 hour before",
  "-P1D": "1 day before",
  "-P7D": "1 week before",
};
/** @type {Record<string, string>} */
const UNITS = { D: "day", H: "hour", M: "minute", S: "second" };

/**
 * A duration from the due date ("-PT30M") or an instant, in words.
 * @param {string} reminder
 */
export function sayReminder(reminder) {
  if (CHOICES[reminder]) return CHOICES[reminder];
  if (!reminder.includes("P")) return sayInstant(reminder);
  const parts = [...reminder.matchAll(/(\d+)([DHMS])/g)].map(
    ([, number, unit]) => `${number} ${UNITS[unit]}${number === "1" ? "" : "s"}`,
  );
  return `${parts.join(" ")} ${reminder.startsWith("-") ? "before" : "after"}`;
}

/** @param {{ task: Task, set: (fields: Fields<"task">) => void }} props */
export function Reminders({ task, set }) {
  const left = Object.keys(CHOICES).filter((one) => !task.reminders.includes(one));
  const add = (/** @type {Choosing} */ event) => {
    const { value } = event.target;
    event.target.value = "";
    if (value) set({ reminders: [...task.reminders, value] });
  };
  return html`
    <label>Remind me
      <select value="" disabled=${!task.due_date} onChange=${add}>
        <option value="">${task.reminders.length ? "also…" : "never"}</option>
        ${left.map((one) => html`<option value=${one}>${CHOICES[one]}</option>`)}
      </select>
    </label>
    ${task.reminders.map(
      (one) => html`
      <p class="aside" key=${one}>${sayReminder(one)}
        <button class="quiet-button" aria-label=${`Remove the reminder ${sayReminder(one)}`} onClick=${() => set({ reminders: task.reminders.filter((other) => other !== one) })}><${Icon} name="close" /></button>
      </p>`,
    )}
  `;
}
