import { html, useEffect, useRef } from "../html.js";

/**
 * A modal dialog: the browser keeps the focus inside and restores it.
 * @param {{ label: string, onClose: () => void, children?: unknown }} props
 */
export function Dialog({ label, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => void dialog.current?.showModal(), []);
  const outside = (/** @type {Event} */ event) => event.target === dialog.current && onClose();
  const closed = () => dialog.current && onClose(); // the event comes later: another dialog may be open by then
  return html`<dialog ref=${dialog} aria-label=${label} onClose=${closed} onClick=${outside}><div class="sheet">${children}</div></dialog>`;
}
