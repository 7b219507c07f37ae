import { html } from "../html.js";
import { t } from "../language.js";
import { show } from "../ui.js";
import { Dialog } from "./dialog.js";

// What keyboard.js does.
const KEYS = [
  [t("Ctrl + K"), t("Find or do")],
  ["n", t("New task")],
  ["/", t("Search")],
  ["j, k, ↓, ↑", t("Next, previous task")],
  [t("Enter"), t("Open the details")],
  ["e", t("Edit the title")],
  ["c", t("Complete or reopen")],
  ["x", t("Select")],
  [t("Shift + ↓, ↑"), t("Select several")],
  [t("Ctrl + A"), t("Select all")],
  [".", t("Actions for what is selected")],
  [t("Delete"), t("Move to the trash")],
  [t("Alt + ↑, ↓"), t("Move up or down")],
  [t("←, →, Page ↑, ↓"), t("In the calendar: days and months")],
  ["], [", t("Make a subtask of the task above, or take it out")],
  ["], [, ←, →", t("On a board: move the task, or go, to another column")],
  ["u", t("Undo")],
  ["g", t("Go to the lists")],
  ["b", t("Reminders")],
  [t("Esc"), t("Close")],
  ["?", t("This help")],
];

export function Help() {
  const close = () => show({ panel: null });
  return html`
    <${Dialog} label=${t("Keyboard")} onClose=${close}>
      <h2>${t("Keyboard")}</h2>
      <dl class="keys">${KEYS.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
      <button class="primary" onClick=${close}>${t("Close")}</button>
    <//>
  `;
}
