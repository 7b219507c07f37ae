import { html } from "../html.js";
import { KEYS } from "../keyboard.js";
import { t } from "../language.js";
import { show } from "../ui.js";
import { Dialog } from "./dialog.js";

export function Help() {
  const close = () => show({ panel: null });
  return html`
    <${Dialog} label=${t("Keyboard")} onClose=${close}>
      <h2>${t("Keyboard")}</h2>
      <dl class="keys">${KEYS.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
      <button class="primary" onClick=${close}>${t("Close")}</button>
    <//>
  `;
}
