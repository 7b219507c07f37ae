import { html } from "../../html.js";
import { t } from "../../language.js";
import { complain, toast } from "../../ui.js";

/**
 * A secret that the service shows once.
 * @param {{ id: string, label: string, text: string, onKept: () => void, children?: unknown }} props
 */
export const ShownOnce = ({ id, label, text, onKept, children }) => html`
  <div class="offer" role="group" aria-label=${label}>
    <p>${label} ${t("It is not shown again.")}</p>
    <p><code class="secret" id=${id}>${text}</code></p>
    ${children}
    <div class="choices">
      <button class="secondary" id=${`${id}-kept`} ref=${focusOnce} onClick=${onKept}>${t("I have kept it")}</button>
      <${Copy} text=${text} />
    </div>
  </div>
`;

/** @param {HTMLElement | null} button */
const focusOnce = (button) => button && !button.closest(".offer")?.contains(document.activeElement) && button.focus();

/** @param {{ text: string, label?: string }} props */
export const Copy = ({ text, label = t("Copy") }) =>
  navigator.clipboard && // only with https, or on this machine
  html`<button type="button" class="secondary" onClick=${() => navigator.clipboard.writeText(text).then(() => toast(t("Copied.")), complain)}>${label}</button>`;
