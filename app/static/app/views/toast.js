import { html } from "../html.js";
import { t } from "../language.js";
import { complain, show, ui } from "../ui.js";
import { undo } from "../undo.js";
import { Icon } from "./icon.js";
/** @import { Ui } from "types/client" */

/** What lies above the page, at its foot: a new version, and the message of a write. */
export const Toasts = () => html`
  <div class="toasts" role=${ui.update || ui.toast ? "region" : null} aria-label=${ui.update || ui.toast ? t("Messages") : null}>
    ${ui.update && html`<${Update} />`}
    ${ui.toast && html`<${Toast} toast=${ui.toast} />`}
  </div>
`;

const load = () => import("../installation.js").then(({ update }) => update()).catch(complain);

const Update = () => html`
  <div class="toast" id="update" role="status">
    <span>${t("A new version is ready.")}</span>
    <button class="link" id="load-update" onClick=${load}>${t("Load it")}</button>
    <button class="quiet-button" aria-label=${t("Later")} onClick=${() => show({ update: false })}><${Icon} name="close" /></button>
  </div>
`;

/** @param {{ toast: NonNullable<Ui["toast"]> }} props */
const Toast = ({ toast }) => html`
  <div class=${toast.failed ? "toast failed" : "toast"} id="toast">
    <span>${toast.text}</span>
    ${toast.undo && html`<button class="link" id="undo" onClick=${() => (show({ toast: null }), undo(toast.undo ?? ""))}>${t("Undo")}</button>`}
    ${toast.href && html`<a class="link" id="show" href=${toast.href} onClick=${() => show({ toast: null })}>${t("Show")}</a>`}
    <button class="quiet-button" aria-label=${t("Close the message")} onClick=${() => show({ toast: null })}><${Icon} name="close" /></button>
  </div>
`;
