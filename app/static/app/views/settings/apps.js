import { hasStatus, ROOT } from "../../api.js";
import { sayInstant } from "../../dates.js";
import { html, useEffect, useState } from "../../html.js";
import { t, tt } from "../../language.js";
import { call } from "../../session.js";
import { complain } from "../../ui.js";
import { Sure } from "../tools.js";
import { Section } from "./form.js";
/** @import { ConnectedApp } from "types/client" */

/** The apps that the user has allowed access by OAuth. Fetched when it is shown. */
export function Apps() {
  const [apps, setApps] = useState(/** @type {ConnectedApp[] | null} */ (null));
  useEffect(() => void call("GET", "api/auth/apps").then(({ data }) => setApps(data), complain), []);
  const disconnect = (/** @type {ConnectedApp} */ app) =>
    call("DELETE", `api/auth/apps/${app.id}`)
      .catch((error) => {
        if (!hasStatus(error, 404)) throw error; // disconnected elsewhere
      })
      .then(() => setApps((shown) => shown?.filter((one) => one !== app) ?? null), complain);
  return html`
    <${Section} id="apps" title=${t("Connected apps")}>
      ${apps && !apps.length && html`<p class="quiet">${tt("No app has access to your tasks. An agent that is given the URL {url} asks for it.", { url: html`<code>${ROOT}mcp</code>` })}</p>`}
      <ul class="apps">
        ${apps?.map(
          (app) => html`
          <li key=${app.id}>
            <div class="words"><p class="title">${app.name}</p>
              <p class="meta"><span>${app.host || t("Registered itself")}</span><span>${app.scope === "read" ? t("Only reads") : t("Reads and changes")}</span>
              <span>${t("Last used {when}", { when: sayInstant(app.last_used_at) })}</span></p></div>
            <${Sure} id=${`disconnect-${app.id}`} label=${t("Disconnect")} question=${t("Disconnect {name}?", { name: app.name })} onClick=${() => disconnect(app)} />
          </li>`,
        )}
      </ul>
    <//>
  `;
}
