import { html } from "../html.js";
import { t } from "../language.js";
import { CHOICES, sayReminder } from "../reminders.js";
import { channels } from "../store.js";
import { Icon } from "./icon.js";
import { PushOffer } from "./push_offer.js";
/** @import { Channel, Choosing, Fields, Task } from "types/client" */

/** @param {{ task: Task, set: (fields: Fields<"task">) => void }} props */
export function Reminders({ task, set }) {
  const left = Object.keys(CHOICES).filter((one) => !task.reminders.includes(one));
  const add = (/** @type {Choosing} */ event) => {
    const { value } = event.target;
    event.target.value = "";
    if (value) set({ reminders: [...task.reminders, value] });
  };
  return html`
    <label>${t("Remind me")}
      <select value="" disabled=${!task.due_date} onChange=${add}>
        <option value="">${task.reminders.length ? t("also…") : task.due_date ? t("never") : t("set a due date first")}</option>
        ${left.map((one) => html`<option value=${one}>${CHOICES[one]}</option>`)}
      </select>
    </label>
    ${task.reminders.map(
      (one) => html`
      <p class="aside" key=${one}>${sayReminder(one)}
        <button class="quiet-button" aria-label=${t("Remove the reminder {when}", { when: sayReminder(one) })} onClick=${() => set({ reminders: task.reminders.filter((other) => other !== one) })}><${Icon} name="close" /></button>
      </p>`,
    )}
    ${task.reminders.length > 0 && html`<${SendTo} task=${task} set=${set} /><${PushOffer} />`}
  `;
}

/**
 * Which channels the reminders of the task use. Asked only of users who have channels.
 * @param {{ task: Task, set: (fields: Fields<"task">) => void }} props
 */
function SendTo({ task, set }) {
  const all = channels();
  const named = task.remind_channels;
  if (!all.length && named === null) return null;
  const usual = () => all.filter((one) => one.active && one.all_reminders).map(({ id }) => id);
  const kept = all.filter(({ id }) => named?.includes(id)); // without deleted ones
  const toggle = (/** @type {Channel} */ one) => {
    const chosen = kept.includes(one) ? kept.filter((other) => other !== one) : [...kept, one];
    set({ remind_channels: chosen.map(({ id }) => id) });
  };
  return html`
    <label>${t("Send to")}
      <select id="send-to" value=${named === null ? "all" : "named"} onChange=${(/** @type {Choosing} */ event) => set({ remind_channels: event.target.value === "all" ? null : usual() })}>
        <option value="all">${t("all channels that take reminders")}</option>
        <option value="named">${t("only these:")}</option>
      </select>
    </label>
    ${
      named !== null &&
      html`
      <div class="aside named" role="group" aria-label=${t("Channels of these reminders")}>
        ${all.map((one) => html`<label class="tick" key=${one.id}><input type="checkbox" checked=${kept.includes(one)} onChange=${() => toggle(one)} /><span>${one.name}${!one.active && html`<span class="quiet"> ${t("(paused)")}</span>`}</span></label>`)}
        ${
          named.length
            ? !kept.some((one) => one.active) &&
              html`<p class="quiet">${t("None of the chosen channels is active: these reminders are sent to all that take reminders.")}</p>`
            : html`<p class="quiet">${t("These reminders are shown by the bell only.")}</p>`
        }
      </div>`
    }
  `;
}
