import { html } from "../html.js";
import { show } from "../ui.js";
import { undo } from "../undo.js";
import { Icon } from "./icon.js";
/** @import { Ui } from "types/client" */

/** @param {{ toast: Ui["toast"] }} props */
export function Toast({ toast }) {
  if (!toast) return null;
  return html`
    <div class=${toast.failed ? "toast failed" : "toast"} id="toast">
      <span>${toast.text}</span>
      ${toast.undo && html`<button class="link" id="undo" onClick=${() => (show({ toast: null }), undo(toast.undo ?? ""))}>Undo</button>`}
      ${toast.href && html`<a class="link" id="show" href=${toast.href} onClick=${() => show({ toast: null })}>Show</a>`}
      <button class="quiet-button" aria-label="Close the message" onClick=${() => show({ toast: null })}><${Icon} name="close" /></button>
    </div>
  `;
}
