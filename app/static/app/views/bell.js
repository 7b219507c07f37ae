import { html } from "../html.js";
import { markSeen, unseen } from "../bell.js";
import { sayClock, sayDueWithin, sayInstant, sayMinutes } from "../dates.js";
import { t } from "../language.js";
import { go, hrefTo } from "../place.js";
import { closeNotifications } from "../push.js";
import { getTask } from "../store.js";
import { show, ui } from "../ui.js";
import { completeTask, snoozeTask } from "../writes.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";
import { PushOffer } from "./push_offer.js";
/** @import { Task } from "types/client" */
/** @import { Fired } from "../bell.js" */

const close = () => show({ panel: null });

/** @type {(minutes: number) => Date} */
const inMinutes = (minutes) => new Date(Date.now() + minutes * 60_000);
const tomorrow = () => {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, 9);
};
/** @type {[label: string, until: () => Date][]} */
const SNOOZES = [
  [sayMinutes(10), () => inMinutes(10)],
  [sayMinutes(60), () => inMinutes(60)],
  [t("Tomorrow {time}", { time: sayClock("09:00") }), tomorrow],
];

/** Deals with a reminder, and keeps the focus in the list. */
function deal(/** @type {Task} */ task, /** @type {() => void} */ work) {
  work();
  closeNotifications(task.id).catch(() => {}); // they are closed by the next click on them
  setTimeout(() => ui.panel === "bell" && document.querySelector(".fired button, #close-bell")?.focus());
}

export function BellPanel() {
  const rows = unseen();
  return html`
    <${Dialog} label=${t("Reminders")} onClose=${close}>
      <h2>${t("Reminders")}</h2>
      ${
        rows.length
          ? html`<ul class="fired">${rows.map((fired) => html`<${Item} key=${fired.task} fired=${fired} />`)}</ul>`
          : html`<p class="quiet">${t("Nothing that you have not seen.")}</p>`
      }
      <${PushOffer} />
      <div class="choices">
        <button class="primary" id="close-bell" onClick=${close}>${t("Close")}</button>
        ${rows.length > 1 && html`<button class="secondary" id="all-seen" onClick=${() => (markSeen(), document.querySelector("#close-bell")?.focus())}>${t("Mark all as seen")}</button>`}
        <a class="link" href=${hrefTo({ list: "channels" })} onClick=${close}>${t("Channels")}</a>
      </div>
    <//>
  `;
}

/** @param {{ fired: Fired }} props */
function Item({ fired }) {
  const task = getTask(fired.task);
  if (!task) return null;
  const open = () => {
    close();
    go({ task: task.id });
  };
  const about = [
    sayInstant(fired.at),
    task.due_date && t("due {date}", { date: sayDueWithin(task.due_date) }),
    fired.late && t("late: it was due while the service was away"),
  ];
  return html`
    <li data-task=${task.id}>
      <div class="top">
        <button class="title" dir="auto" onClick=${open}>${task.title}</button>
        <button class="quiet-button seen" aria-label=${t("Seen: {title}", { title: task.title })} title=${t("Mark as seen")} onClick=${() => deal(task, () => markSeen(task.id))}><${Icon} name="close" /></button>
      </div>
      <p class="meta">${about.filter(Boolean).join(" · ")}</p>
      <div class="choices" role="group" aria-label=${t("{title}: complete or snooze", { title: task.title })}>
        <button class="secondary complete" onClick=${() => deal(task, () => completeTask(task, true))}>${t("Complete")}</button>
        <span class="quiet" aria-hidden="true">${t("Snooze")}</span>
        ${SNOOZES.map(([label, until]) => html`<button class="secondary snooze" key=${label} onClick=${() => deal(task, () => snoozeTask(task, until()))}><span class="unseen">${t("Snooze")} </span>${label}</button>`)}
      </div>
    </li>
  `;
}
