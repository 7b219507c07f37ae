// Fields that keep what is typed in them until the service has it.
import { dropDraft, readDraft, takeDraft, useDraft, writeDraft } from "../drafts.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { t } from "../language.js";
/** @import { Base, Typing } from "types/client" */

export const TITLE_MAX = 200;
export const NAME_MAX = 100; // of projects
export const DESCRIPTION_MAX = Number(
  document.querySelector("meta[name=description-max]")?.getAttribute("content") ?? Infinity,
);
/**
 * The space before the name of a project inside of others, in a menu.
 * @type {(level: number) => string}
 */
export const inset = (level) => "\u2003".repeat(level);
const COUNTED_FROM = 0.9; // of the most characters

/** @type {(text: string) => number} */
const lengthOf = (text) => [...text].length; // as the service counts: code points
/** @type {(text: string, max: number) => boolean} */
export const isTooLong = (text, max) => lengthOf(text.trim()) > max;

/**
 * What there is to say about the text of a field: its length, why it was refused, what waits behind it.
 * @param {{ id: string, name: string, text: string, max: number, isTyping?: boolean, problem?: string | null, onSave?: () => void }} props
 */
export function FieldNote({ id, name, text, max, isTyping = true, problem, onSave }) {
  const typed = readDraft(name);
  const count = lengthOf(text.trim());
  const counter =
    count > max
      ? t("{count} characters, {more} too many: it is not saved yet.", { count, more: count - max })
      : t("{count} of {max} characters", { count, max });
  const isLeft = typed?.before !== undefined && !isTyping;
  const discard = () => dropDraft(name);
  return html`
    <div class="note" id=${id} role="status">
      ${(problem ?? typed?.refused) && html`<p class="failed">${problem ?? typed?.refused}</p>`}
      ${count > max * COUNTED_FROM && html`<p class=${count > max ? "failed" : "quiet"}>${counter}</p>`}
      ${
        (isLeft || (typed?.refused && typed.before !== undefined)) &&
        html`<p>
          ${!typed.refused && count <= max && html`<span class="quiet">${t("Not saved yet.")}</span> <button type="button" class="link" onClick=${onSave}>${t("Save")}</button> `}
          <button type="button" class="link" onClick=${discard}>${t("Discard")}</button>
        </p>`
      }
      ${typed?.others?.map((one, at) => html`<${Waiting} key=${one.text} name=${name} at=${at} />`)}
    </div>
  `;
}

/**
 * A refused text, while its field holds another one.
 * @param {{ name: string, at: number }} props
 */
function Waiting({ name, at }) {
  const typed = readDraft(name);
  const one = typed?.others?.[at];
  if (!typed || !one) return null;
  const others = typed.others?.filter((other) => other !== one) ?? [];
  const swap = () => {
    const back = typed.text.trim() ? [{ text: typed.text, refused: typed.refused ?? "" }] : [];
    writeDraft(name, { text: one.text, refused: one.refused, others: [...others, ...back] });
  };
  return html`
    <div class="waits">
      <p><span class="quiet">${t("Not saved:")}</span> <bdi>${one.text}</bdi></p>
      ${one.refused && html`<p class="failed">${one.refused}</p>`}
      <p>
        <button type="button" class="link" onClick=${swap}>${t("Put it back")}</button>${" "}
        <button type="button" class="link" onClick=${() => writeDraft(name, { ...typed, others })}>${t("Discard")}</button>
      </p>
    </div>
  `;
}

/**
 * A line that adds something when Enter is pressed.
 * @param {{ draft: string, id: string, label: string, placeholder: string, max: number, onAdd: (text: string) => void }} props
 */
export function AddLine({ draft: name, id, label, placeholder, max, onAdd }) {
  const typed = useDraft(name);
  const text = typed?.text ?? "";
  const isWrong = isTooLong(text, max) || Boolean(typed?.refused);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!text.trim() || isTooLong(text, max)) return;
    takeDraft(name);
    onAdd(text.trim());
  };
  const type = (/** @type {Typing} */ event) => writeDraft(name, { text: event.target.value, others: typed?.others });
  return html`
    <form onSubmit=${submit}>
      <input id=${id} aria-label=${label} placeholder=${placeholder} autocomplete="off" dir="auto" value=${text}
        aria-invalid=${isWrong ? "true" : null} aria-describedby=${`${id}-note`} onInput=${type} />
      <${FieldNote} id=${`${id}-note`} name=${name} text=${text} max=${max} />
    </form>
  `;
}

/**
 * Keeps what is typed over a text, with the text and the version that stood there when typing began.
 * @param {string} name
 * @param {string} text
 * @param {string} value
 * @param {number} version
 */
export function typeOver(name, text, value, version) {
  const { before = value, match = version } = readDraft(name) ?? {};
  writeDraft(name, { text, before, match });
}

/**
 * Gives the typed text to `onKeep` if it differs, and may be sent: what is too long or was refused stays.
 * @param {string} name
 * @param {{ value: string, max: number, required?: boolean, onKeep: (text: string, base: Base) => void }} how
 */
export function keepTyped(name, { value, max, required, onKeep }) {
  const typed = readDraft(name);
  if (!typed || typed.refused || isTooLong(typed.text, max)) return;
  const text = typed.text.trim();
  const { before = value, match } = typed;
  dropDraft(name);
  if (text === before || text === value || (required && !text)) return;
  onKeep(text, { typed: { name, text: typed.text, before, match }, ...(before === value ? {} : { before, match }) });
}

/**
 * @typedef {object} TextProps
 * @property {string} draft
 * @property {string} id
 * @property {string} label
 * @property {string} value
 * @property {number} version
 * @property {number} max
 * @property {boolean} [required]
 * @property {boolean} [isLine] Enter saves it
 * @property {(text: string, base: Base) => void} onKeep
 */

/**
 * A text that grows with its content, and is saved when it loses the focus.
 * @param {TextProps & Record<string, unknown>} props
 */
export function Text({ draft: name, id, label, value, version, max, required, isLine, onKeep, ...rest }) {
  const typed = useDraft(name);
  const [isTyping, setTyping] = useState(false);
  const field = useRef(/** @type {HTMLTextAreaElement} */ (/** @type {unknown} */ (null))); // used only while it is there
  const text = typed?.text ?? value;
  const grow = () => {
    field.current.style.setProperty("height", "auto");
    field.current.style.setProperty("height", `${field.current.scrollHeight}px`);
  };
  useLayoutEffect(grow, [text]);
  useEffect(() => {
    addEventListener("resize", grow);
    return () => removeEventListener("resize", grow);
  }, []);
  const keep = () => keepTyped(name, { value, max, required, onKeep });
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || event.key !== "Enter" || !(isLine || event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    field.current.closest(".details")?.focus();
  };
  const isWrong = isTooLong(text, max) || Boolean(typed?.refused);
  return html`
    <div class="grows">
      <textarea ...${rest} id=${id} ref=${field} rows="1" dir="auto" aria-label=${label} value=${text}
        aria-invalid=${isWrong ? "true" : null} aria-describedby=${`${id}-note`} onKeyDown=${key}
        onFocus=${() => setTyping(true)} onBlur=${() => (setTyping(false), keep())}
        onInput=${(/** @type {Typing} */ event) => typeOver(name, event.target.value, value, version)}></textarea>
      <${FieldNote} id=${`${id}-note`} name=${name} text=${text} max=${max} isTyping=${isTyping} onSave=${keep} />
    </div>
  `;
}
