import { html, useEffect } from "../../html.js";
import { Bell } from "../bell_button.js";
import { t } from "../../language.js";
import { Account } from "./account.js";
import { Connections } from "./connections.js";
import { Data } from "./data.js";
import { Display } from "./display.js";
import { Security } from "./security.js";
import { SettingsTabs } from "./tabs.js";
import { ListsButton } from "../sidebar.js";

/** @type {Record<string, [title: string, part: () => unknown]>} */
const PARTS = {
  account: [t("Account"), Account],
  display: [t("Display"), Display],
  security: [t("Security"), Security],
  connections: [t("Connections"), Connections],
  data: [t("Your data"), Data],
};

/**
 * The settings of the user. `part` is a key of PARTS; others show the first.
 * @param {{ part: string }} props
 */
export function Settings({ part }) {
  const chosen = part in PARTS ? part : "account";
  const [title, Part] = PARTS[chosen];
  useEffect(() => void (document.title = `${title} · ${t("Settings")} · Todo`), [title]);
  return html`
    <header class="head">
      <${ListsButton} />
      <h1>${t("Settings")}</h1>
      <${Bell} />
    </header>
    <${SettingsTabs} chosen=${chosen} />
    <div class="settings" key=${chosen}><${Part} /></div>
  `;
}
