import { html, useLayoutEffect, useRef, useState } from "../html.js";
/** @import { On } from "types/client" */

/** @typedef {{ label: string, act: () => void }} MenuItem */
/** @type {Record<string, (at: number, count: number) => number>} */
const MOVES = {
  ArrowDown: (at, count) => (at + 1) % count,
  ArrowUp: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

/**
 * A button that opens actions: with arrows, Home, End, the first letter of one, Enter and Escape.
 * @param {{ id: string, label: string, items: () => MenuItem[], disabled?: boolean }} props
 */
export function Menu({ id, label, items, disabled }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const choices = () => /** @type {HTMLElement[]} */ ([...(box.current?.querySelectorAll("[role=menuitem]") ?? [])]);
  useLayoutEffect(() => void (open && choices()[0]?.focus()), [open]);
  const close = () => {
    setOpen(false);
    document.getElementById(id)?.focus();
  };
  const press = (/** @type {On<HTMLElement, KeyboardEvent>} */ event) => {
    if (!open) return;
    event.stopPropagation(); // the keys of the list rest
    const all = choices();
    const at = all.indexOf(event.target);
    const key = event.key.toLowerCase();
    const rest = [...all.slice(at + 1), ...all.slice(0, at + 1)];
    const next = MOVES[event.key]
      ? all[MOVES[event.key](at, all.length)]
      : key.length === 1 && key !== " " && rest.find((one) => one.textContent.trim().toLowerCase().startsWith(key));
    if (event.key === "Escape") close();
    else next && next.focus();
    if (next || event.key === "Escape") event.preventDefault();
  };
  const leave = (/** @type {On<HTMLElement, FocusEvent>} */ event) => {
    if (!box.current?.contains(/** @type {Node | null} */ (event.relatedTarget))) setOpen(false);
  };
  return html`
    <div class="menu-box" ref=${box} onKeyDown=${press} onFocusOut=${leave}>
      <button type="button" class="secondary" id=${id} aria-haspopup="menu" aria-expanded=${String(open)} disabled=${disabled} onClick=${() => setOpen(!open)}>${label}</button>
      ${
        open &&
        html`<ul class="menu-items" role="menu" aria-label=${label}>
          ${items().map((item) => html`<li role="none"><button type="button" role="menuitem" tabindex="-1" dir="auto" onClick=${() => (close(), item.act())}>${item.label}</button></li>`)}
        </ul>`
      }
    </div>
  `;
}
