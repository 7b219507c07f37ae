// The state of the screen besides the data, and messages to the user.
import { changed } from "./store.js";
/** @import { Thrown, Ui } from "types/client" */

/** @type {Ui} */
export const ui = {
  editing: null, // the id of the task whose title is being edited in the list
  toast: null, // {text, undo}
  conflict: null, // {op, current, fields}
  taken: null, // {name, other}: the tag to be renamed, and the existing one with its new name
  panel: null, // "help", "chat" or null
  sidebar: false, // on a phone
  found: null, // ids that the service found for the search
};
const TOAST_FOR = 7000;
let timer = 0;

/** @param {Partial<Ui>} change */
export function show(change) {
  Object.assign(ui, change);
  changed();
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
 * @param {{ undo?: boolean, failed?: boolean }} [how]
 */
export function toast(text, { undo = false, failed = false } = {}) {
  clearTimeout(timer);
  timer = setTimeout(() => show({ toast: null }), TOAST_FOR);
  show({ toast: { text, undo, failed } });
  announce(text);
}

/**
 * Shows an error, in the service's words.
 * @param {unknown} thrown
 */
export function complain(thrown) {
  const error = /** @type {Thrown} */ (thrown);
  const others = (error.errors?.length ?? 0) - 1;
  const more = others > 0 ? ` (and ${others} more)` : "";
  toast(error.retryAfter ? `${error.message} Try again in ${error.retryAfter} s.` : error.message + more, {
    failed: true,
  });
}

const THEME = "todo.theme";
export const theme = () => localStorage.getItem(THEME) ?? "auto";

export function setTheme(value = theme()) {
  localStorage.setItem(THEME, value);
  document.documentElement.dataset.theme = value;
  changed();
}
