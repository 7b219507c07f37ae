// The command palette: a combobox whose list is what palette.js finds.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { t, tn } from "../language.js";
import { findEntries } from "../palette.js";
import { readPlace } from "../place.js";
import { getTask } from "../store.js";
import { search } from "../sync.js";
import { show, ui } from "../ui.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";
import { Dot } from "./sidebar.js";
/** @import { Entry } from "../palette.js" */
/** @import { On, Typing } from "types/client" */

const PAUSE = 250; // ms after the last key
const PAGE = 8; // entries
/** @type {Set<number>} */
const NOTHING = new Set();

/** The task that is open, or whose row has the focus: commands are about it. */
const findSubject = () =>
  readPlace().task ||
  Number(/** @type {HTMLElement | null} */ (document.activeElement?.closest(".row") ?? null)?.dataset.id);

const close = () => ui.panel === "palette" && show({ panel: null });

/**
 * Asks the service, which also finds what is done, and words in comments. Offline, only the replica is searched.
 * @param {string} text
 */
function useFound(text) {
  const [found, setFound] = useState({ text: "", ids: NOTHING });
  useEffect(() => {
    if (!text) return undefined;
    const stop = new AbortController();
    const ask = () =>
      search(text, stop.signal).then(
        (ids) => setFound({ text, ids }),
        () => {}, // offline, or another text was typed
      );
    const timer = setTimeout(ask, PAUSE);
    return () => (clearTimeout(timer), stop.abort());
  }, [text]);
  return found.text === text ? found.ids : NOTHING;
}

export function Palette() {
  const [subject] = useState(findSubject); // before the dialog takes the focus
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const found = useFound(text.trim());
  const entries = findEntries(text, getTask(subject || null), found);
  const chosen = Math.min(at, entries.length - 1);
  useLayoutEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen, text]);

  /** The browser returns the focus before the entry does its work. @type {(element: Element, entry?: Entry) => void} */
  const leave = (element, entry) => {
    /** @type {HTMLDialogElement | null} */ (element.closest("dialog"))?.close();
    close();
    entry?.run();
  };
  const key = (/** @type {On<HTMLInputElement, KeyboardEvent>} */ event) => {
    if (event.isComposing) return;
    const { key: name, ctrlKey, metaKey } = event;
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE };
    if (name === "Enter") leave(event.currentTarget, entries[chosen]);
    else if (name.toLowerCase() === "k" && (ctrlKey || metaKey)) leave(event.currentTarget);
    else if (Math.abs(steps[name] ?? 0) === 1) setAt((chosen + steps[name] + entries.length) % entries.length);
    else if (steps[name]) setAt(Math.max(0, Math.min(entries.length - 1, chosen + steps[name])));
    else return;
    event.preventDefault();
  };
  const type = (/** @type {Typing} */ event) => {
    setText(event.target.value);
    setAt(0);
  };
  return html`
    <${Dialog} label=${t("Find or do")} onClose=${close}>
      <div class="palette">
        <div class="line">
          <${Icon} name="search" />
          <input id="palette" type="text" role="combobox" dir="auto" autocomplete="off" spellcheck=${false} maxlength="200" aria-label=${t("Find or do")} placeholder=${t("Find a list, a task or a command")}
            aria-expanded="true" aria-autocomplete="list" aria-controls="palette-list" aria-activedescendant=${`entry-${chosen}`} value=${text} onInput=${type} onKeyDown=${key} />
          <button class="quiet-button" aria-label=${t("Close")} onClick=${(/** @type {On<HTMLElement>} */ event) => leave(event.currentTarget)}><${Icon} name="close" /></button>
        </div>
        <ul id="palette-list" role="listbox" aria-label=${t("Found")} ref=${list} onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()}>
          ${entries.map((entry, place) => html`<${Line} key=${entry.key} entry=${entry} place=${place} isChosen=${place === chosen} onChoose=${leave} />`)}
        </ul>
        <p class="unseen" role="status">${text && tn("{count} entry", "{count} entries", entries.length)}</p>
      </div>
    <//>
  `;
}

/** @param {{ entry: Entry, place: number, isChosen: boolean, onChoose: (element: Element, entry: Entry) => void }} props */
const Line = ({ entry, place, isChosen, onChoose }) => html`
  <li id=${`entry-${place}`} role="option" aria-selected=${String(isChosen)} onClick=${(/** @type {On<HTMLElement>} */ event) => onChoose(event.currentTarget, entry)}>
    ${entry.icon ? html`<${Icon} name=${entry.icon} />` : html`<${Dot} color=${entry.color} />`}
    <span class="name"><bdi>${entry.label}</bdi></span>
    <span class="about"><bdi>${entry.about}</bdi></span>
  </li>
`;
