import { html } from "../../html.js";
import { t } from "../../language.js";
import { hrefTo } from "../../place.js";

/** @type {[key: string, label: string, href: string][]} */
const TABS = [
  ["account", t("Account"), hrefTo({ list: "settings", id: "account" })],
  ["display", t("Display"), hrefTo({ list: "settings", id: "display" })],
  ["security", t("Security"), hrefTo({ list: "settings", id: "security" })],
  ["channels", t("Channels"), hrefTo({ list: "channels" })],
  ["connections", t("Connections"), hrefTo({ list: "settings", id: "connections" })],
  ["data", t("Your data"), hrefTo({ list: "settings", id: "data" })],
];

/** On a phone there is no room for all of them. */
const reveal = (/** @type {Element | null} */ tab) => tab?.scrollIntoView({ block: "nearest", inline: "center" });

/** @param {{ chosen: string }} props */
export const SettingsTabs = ({ chosen }) => html`
  <nav class="tabs" aria-label=${t("Settings")}>
    ${TABS.map(([key, label, href]) => html`<a key=${key} id=${`tab-${key}`} href=${href} aria-current=${key === chosen ? "page" : null} ref=${key === chosen ? reveal : null}>${label}</a>`)}
  </nav>
`;
