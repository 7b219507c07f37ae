import { unseen } from "../bell.js";
import { html } from "../html.js";
import { t } from "../language.js";
import { show } from "../ui.js";
import { Icon } from "./icon.js";

const BADGE_MAX = 99;

export function Bell() {
  const count = unseen().length;
  return html`
    <button class="quiet-button bell" id="bell" aria-haspopup="dialog" aria-label=${count ? t("Reminders: {count} not seen", { count }) : t("Reminders")} title=${t("Reminders (b)")} onClick=${() => show({ panel: "bell" })}>
      <${Icon} name="bell" />
      ${count > 0 && html`<span class="badge" aria-hidden="true">${count > BADGE_MAX ? `${BADGE_MAX}+` : count}</span>`}
    </button>
  `;
}
