// The state of the screen besides the data, and messages to the user.
import { sayProblem } from "./problems.js";
import { redraw } from "./store.js";
/** @import { Ui } from "types/client" */

/** @type {Ui} */
export const ui = {
  editing: null, // the id of the task whose title is being edited in the list
  toast: null, // {text, undo, failed, href}; undo: the key of the write
  conflicts: [], // {op, current, fields} of each, the first to be decided now
  taken: null, // {name, other}: the tag to be renamed, and the existing one with its new name
  panel: null, // "help", "chat", "bell", "palette" or null
  proving: null, // {allow, refuse}: a call that waits for a second factor
  update: false, // a new version of the page waits
  sidebar: false, // on a phone
  selected: null, // the keys of the selected tasks, while there are any or some are being chosen
  found: null, // ids that the service found for the search
  unreadable: null, // why the text in the search field is no filter
};
const TOAST_FOR = 7000;
let timer = 0;

/** @param {Partial<Ui>} change */
export function show(change) {
  Object.assign(ui, change);
  redraw();
}

/**
 * Announces a text to screen readers.
 * @param {string} text
 */
export function announce(text) {
  const region = /** @type {HTMLElement} */ (document.getElementById("announcements"));
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50); // the same text again must be announced also
}

/**
 * @param {string} text
 * @param {{ undo?: string | null, failed?: boolean, href?: string }} [how]
 */
export function toast(text, { undo = null, failed = false, href } = {}) {
  clearTimeout(timer);
  timer = setTimeout(() => show({ toast: null }), TOAST_FOR);
  show({ toast: { text, undo, failed, href } });
  announce(text);
}

/**
 * Shows an error.
 * @param {unknown} thrown
 */
export const complain = (thrown) => toast(sayProblem(thrown), { failed: true });

const THEME = "todo.theme";
export const theme = () => localStorage.getItem(THEME) ?? "auto";

export function setTheme(value = theme()) {
  localStorage.setItem(THEME, value);
  document.documentElement.dataset.theme = value;
  redraw();
}
