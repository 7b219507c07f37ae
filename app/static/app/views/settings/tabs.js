import { html } from "../../html.js";
import { hrefTo } from "../../place.js";

/** @type {[key: string, label: string, href: string][]} */
const TABS = [
  ["account", "Account", hrefTo({ list: "settings", id: "account" })],
  ["security", "Security", hrefTo({ list: "settings", id: "security" })],
  ["channels", "Channels", hrefTo({ list: "channels" })],
  ["connections", "Connections", hrefTo({ list: "settings", id: "connections" })],
  ["data", "Your data", hrefTo({ list: "settings", id: "data" })],
];

/** @param {{ chosen: string }} props */
export const SettingsTabs = ({ chosen }) => html`
  <nav class="tabs" aria-label="Settings">
    ${TABS.map(([key, label, href]) => html`<a key=${key} id=${`tab-${key}`} href=${href} aria-current=${key === chosen ? "page" : null}>${label}</a>`)}
  </nav>
`;
