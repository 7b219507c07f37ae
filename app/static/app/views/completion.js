// Completion of #projects and @tags in a line that the service reads as quick add does: a list below the field.
import { fold } from "../folding.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { t, tn } from "../language.js";
import { rank } from "../palette.js";
import { isOpen } from "../statuses.js";
import { derived, projects, tagColors, tags, tasks } from "../store.js";
import { Icon } from "./icon.js";
import { Dot } from "./sidebar.js";

/** @typedef {{ name: string, count: number, color?: string | null }} Known */
/** @typedef {{ start: number, mark: string, typed: string }} Fragment */

const SHOWN_MAX = 8;
const BEGUN = /(?:^|\s)([#@])["“]?([^"“”#@]{0,100})$/;
const PLAIN = /^[\p{L}\p{N}_-]*[\p{L}_-][\p{L}\p{N}_-]*$/u;
const COLOUR = /^(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})$/i;

/** How many open tasks each project has. */
const sizes = derived(() => {
  /** @type {Map<number | null, number>} */
  const count = new Map();
  for (const task of tasks().values())
    if (isOpen(task)) count.set(task.project_id, (count.get(task.project_id) ?? 0) + 1);
  return count;
});

/** @type {(mark: string) => Known[]} */
const known = (mark) =>
  mark === "#"
    ? projects().map(({ id, name, color }) => ({ name, color, count: sizes().get(id) ?? 0 }))
    : tags().map(([name, count]) => ({ name, count, color: tagColors().get(name)?.color }));

/**
 * The name as quick add reads it: in quotation marks unless it is one plain word.
 * @param {string} name
 */
const written = (name) =>
  PLAIN.test(name) && !COLOUR.test(name) ? name : name.includes('"') ? `“${name}”` : `"${name}"`;

/**
 * The name that is being typed where the caret is.
 * @param {string} text up to the caret
 * @returns {Fragment | null}
 */
function fragmentOf(text) {
  const [whole, mark = "", typed = ""] = BEGUN.exec(text) ?? [];
  return whole === undefined ? null : { start: text.length - whole.trimStart().length, mark, typed };
}

/**
 * Names that fit, the best match first, then what is used most. After a space only names that go on like this.
 * @param {Fragment} fragment
 */
function fitting({ mark, typed }) {
  const query = fold(typed);
  const least = query.length > 1 ? 2 : 3; // one letter is looked for where words begin
  const score = (/** @type {string} */ name) => {
    if (!query || /\s/.test(query)) return Number(name.startsWith(query));
    const found = rank(name, query);
    return found >= least ? found : 0;
  };
  const fits = known(mark)
    .map((one) => ({ ...one, score: score(fold(one.name)) }))
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score || b.count - a.count || a.name.localeCompare(b.name));
  return fits.length === 1 && fits[0].name === typed ? [] : fits.slice(0, SHOWN_MAX);
}

/** @param {{ field: string }} props the id of the field, which is next to it in the page */
export function Completion({ field: id }) {
  const [fragment, setFragment] = useState(/** @type {Fragment | null} */ (null));
  const [at, setAt] = useState(-1); // none: Enter is the field's
  const shown = useRef(fragment);
  shown.current = fragment;
  const dismissed = useRef(-1); // where the name begins that Escape has closed the list for
  const names = fragment ? fitting(fragment) : [];
  const list = `${id}-completion`;

  /** @param {string} name */
  const choose = (name) => {
    const field = /** @type {HTMLInputElement} */ (document.getElementById(id));
    if (!fragment) return;
    const end = field.selectionStart ?? field.value.length;
    const space = field.value[end] === " " ? "" : " ";
    field.setRangeText(`${fragment.mark}${written(name)}${space}`, fragment.start, end, "end");
    dismissed.current = fragment.start;
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  };
  const key = useRef(/** @type {(event: KeyboardEvent) => void} */ (() => {}));
  key.current = (event) => {
    if (event.isComposing || !names.length) return;
    if (event.key === "ArrowDown") setAt(at + 1 < names.length ? at + 1 : -1);
    else if (event.key === "ArrowUp") setAt(at < 0 ? names.length - 1 : at - 1);
    else if (event.key === "Escape") {
      dismissed.current = fragment?.start ?? -1;
      setFragment(null);
    } else if (names[at] && (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey))) choose(names[at].name);
    else return;
    event.preventDefault();
  };

  useEffect(() => {
    const field = /** @type {HTMLInputElement} */ (document.getElementById(id));
    let isComposing = false;
    const find = () => {
      const caret = field.selectionStart ?? 0;
      const isAtCaret = document.activeElement === field && caret === field.selectionEnd && !isComposing;
      return isAtCaret && !/^\S/.test(field.value.slice(caret)) ? fragmentOf(field.value.slice(0, caret)) : null;
    };
    const look = () => {
      const next = find();
      if (next?.start !== dismissed.current) dismissed.current = -1;
      setFragment(dismissed.current < 0 ? next : null);
      setAt(-1);
    };
    const move = () => {
      if (shown.current && JSON.stringify(find()) !== JSON.stringify(shown.current)) look();
    };
    const compose = (/** @type {Event} */ event) => {
      isComposing = event.type === "compositionstart";
      look();
    };
    const press = (/** @type {KeyboardEvent} */ event) => key.current(event);
    /** @type {[name: string, listener: (event: any) => void][]} */
    const listeners = [
      ["input", look],
      ["blur", look],
      ["keydown", press],
      ["compositionstart", compose],
      ["compositionend", compose],
    ];
    for (const [name, listener] of listeners) field.addEventListener(name, listener);
    document.addEventListener("selectionchange", move);
    look();
    return () => {
      document.removeEventListener("selectionchange", move);
      for (const [name, listener] of listeners) field.removeEventListener(name, listener);
    };
  }, [id]);

  useLayoutEffect(() => {
    if (!names.length) return undefined;
    const field = /** @type {HTMLElement} */ (document.getElementById(id));
    /** @type {Record<string, string>} */
    const state = { role: "combobox", "aria-expanded": "true", "aria-autocomplete": "list", "aria-controls": list };
    if (at >= 0) state["aria-activedescendant"] = `${list}-${at}`;
    for (const [name, value] of Object.entries(state)) field.setAttribute(name, value);
    return () => {
      for (const name of Object.keys(state)) field.removeAttribute(name);
    };
  });

  if (!fragment || !names.length) return null;
  return html`
    <ul class="completion" id=${list} role="listbox" aria-label=${fragment.mark === "#" ? t("Projects") : t("Tags")} onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()}>
      ${names.map(
        ({ name, count, color }, place) => html`
        <li key=${name} id=${`${list}-${place}`} role="option" aria-selected=${String(place === at)} onClick=${() => choose(name)}>
          ${color || fragment.mark === "#" ? html`<${Dot} color=${color} />` : html`<${Icon} name="tag" />`}
          <span class="name"><bdi>${name}</bdi></span>
          ${count > 0 && html`<span class="count" aria-label=${t("{count} open", { count })}>${count}</span>`}
        </li>`,
      )}
    </ul>
    <p class="unseen" role="status">${tn("{count} name fits", "{count} names fit", names.length)}</p>
  `;
}
