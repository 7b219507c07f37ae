import { html } from "../../html.js";
import { hasStatus } from "../../api.js";
import { sayInstant } from "../../dates.js";
import { t } from "../../language.js";
import { call } from "../../session.js";
import { complain, toast } from "../../ui.js";
import { Sure } from "../tools.js";
import { Section, useFetched } from "./form.js";
/** @import { LoginSession } from "types/client" */

const BROWSERS = /(Edg|OPR|Firefox|Chrome|Safari)\//;
const SYSTEMS = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/;
/** @type {Record<string, string>} */
const NAMES = { Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" };

/**
 * A browser's name in words, or what the client sent.
 * @param {string} agent
 */
export function sayAgent(agent) {
  const [browser, system] = [BROWSERS, SYSTEMS].map((known) => known.exec(agent)?.[1]);
  const say = (/** @type {string} */ name) => NAMES[name] ?? name;
  if (browser && system) return t("{browser} on {system}", { browser: say(browser), system: say(system) });
  return browser ? say(browser) : agent || t("Unknown client");
}

export function Sessions() {
  const [sessions, reload] = useFetched(async () => (await call("GET", "api/auth/sessions")).data);
  const end = (/** @type {LoginSession} */ { id }) =>
    call("DELETE", `api/auth/sessions/${id}`)
      .catch((error) => {
        if (!hasStatus(error, 404)) throw error; // ended elsewhere
      })
      .then(reload, complain);
  const endOthers = () =>
    call("DELETE", "api/auth/sessions")
      .then(() => toast(t("All other sessions were ended.")))
      .then(reload, complain);
  return html`
    <${Section} id="sessions" title=${t("Sessions")} about=${t("The devices and browsers that are logged in.")}>
      <ul class="apps">
        ${sessions?.map(
          (one) => html`
          <li key=${one.id}>
            <div class="words"><p class="title">${sayAgent(one.user_agent)}${one.current && html` <span class="span">${t("this one")}</span>`}</p>
              <p class="meta"><span>${one.address}</span><span>${t("Since {when}", { when: sayInstant(one.created_at) })}</span><span>${t("Last used {when}", { when: sayInstant(one.last_used_at) })}</span></p></div>
            ${!one.current && html`<${Sure} id=${`end-${one.id}`} label=${t("End")} question=${t("End this session?")} onClick=${() => end(one)} />`}
          </li>`,
        )}
      </ul>
      ${sessions && sessions.length > 1 && html`<${Sure} id="end-others" label=${t("End all others")} question=${t("End all other sessions?")} onClick=${endOthers} />`}
    <//>
  `;
}
