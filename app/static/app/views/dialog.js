import { html, useEffect, useRef } from "../html.js";

/** A modal dialog: the browser keeps the focus inside and gives it back. */
export function Dialog({ label, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => void dialog.current.showModal(), []);
  const outside = (event) => event.target === dialog.current && onClose();
  return html`<dialog ref=${dialog} aria-label=${label} onClose=${onClose} onClick=${outside}><div class="sheet">${children}</div></dialog>`;
}
