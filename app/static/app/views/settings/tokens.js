import { html, useState } from "../../html.js";
import { ROOT } from "../../api.js";
import { sayInstant } from "../../dates.js";
import { t, tn, tt } from "../../language.js";
import { withProof } from "../../proof.js";
import { call } from "../../session.js";
import { complain } from "../../ui.js";
import { Sure } from "../tools.js";
import { focusWhenShown, Form, Section, useFetched } from "./form.js";
import { Copy, ShownOnce } from "./shown_once.js";
/** @import { ApiToken, ApiTokenCreated } from "types/client" */

/** @type {Record<ApiToken["scope"], string>} */
const SCOPES = { read: t("Only reads"), write: t("Reads and changes") };
const DAY = 86_400_000;
/** @type {[days: number, label: string][]} */
const LIVES = [
  [30, tn("{count} day", "{count} days", 30)],
  [90, tn("{count} day", "{count} days", 90)],
  [365, t("A year")],
  [0, t("Until I revoke it")],
];

/** @param {ApiToken} token */
const sayLife = ({ expires_at: end }) => {
  if (!end) return t("Until it is revoked");
  return new Date(end) < new Date()
    ? t("Expired {when}", { when: sayInstant(end) })
    : t("Until {when}", { when: sayInstant(end) });
};

export function Tokens() {
  const [tokens, reload] = useFetched(async () => (await call("GET", "api/auth/tokens")).data);
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState(/** @type {ApiTokenCreated | null} */ (null));
  const add = async (/** @type {Record<string, string>} */ { name, scope, days }) => {
    const expires_at = Number(days) ? new Date(Date.now() + Number(days) * DAY).toISOString() : null;
    const body = { name, scope: /** @type {ApiToken["scope"]} */ (scope), expires_at };
    const { data } = await withProof(() => call("POST", "api/auth/tokens", { body }));
    setAdding(false);
    setMade(data);
    await reload();
  };
  const revoke = (/** @type {ApiToken} */ { id }) =>
    withProof(() => call("DELETE", `api/auth/tokens/${id}`)).then(reload, complain);
  return html`
    <${Section} id="tokens" title=${t("API tokens")} about=${t("For scripts, calendar apps, and agents that cannot ask you by themselves. Each is a password for your tasks.")}>
      ${made && html`<${ShownOnce} id="token" label=${t("The token {name}.", { name: made.name })} text=${made.token} onKept=${() => setMade(null)}><${Recipe} token=${made.token} /><//>`}
      <ul class="apps">
        ${tokens?.map(
          (token) => html`
          <li key=${token.id}>
            <div class="words"><p class="title">${token.name} <code class="quiet">${token.hint}</code></p>
              <p class="meta"><span>${SCOPES[token.scope]}</span><span>${sayLife(token)}</span><span>${token.last_used_at ? t("Last used {when}", { when: sayInstant(token.last_used_at) }) : t("Not used yet")}</span></p></div>
            <${Sure} id=${`revoke-${token.id}`} label=${t("Revoke")} question=${t("Revoke {name}?", { name: token.name })} onClick=${() => revoke(token)} />
          </li>`,
        )}
      </ul>
      ${!adding && html`<button class="secondary" id="add-token" onClick=${() => setAdding(true)}>${t("New token")}</button>`}
      ${
        adding &&
        html`
        <${Form} id="token-form" label=${t("Create")} onSend=${add} onCancel=${() => setAdding(false)}>
          <label>${t("Name")}<input name="name" maxlength="100" placeholder=${t("My script")} required ref=${focusWhenShown} /></label>
          <label>${t("Access")}<select name="scope">${Object.entries(SCOPES).map(([scope, label]) => html`<option key=${scope} value=${scope}>${label}</option>`)}</select></label>
          <label>${t("Valid for")}<select name="days">${LIVES.map(([days, label]) => html`<option key=${days} value=${days} selected=${days === LIVES[1][0]}>${label}</option>`)}</select></label>
        <//>`
      }
    <//>
  `;
}

const HAS_CALDAV = document.querySelector("meta[name=caldav]")?.getAttribute("content") === "on";

/**
 * How an agent or a calendar app is connected with the token.
 * @param {{ token: string }} props
 */
function Recipe({ token }) {
  const command = `claude mcp add --transport http todo ${ROOT}mcp --header "Authorization: Bearer ${token}"`;
  return html`
    <details>
      <summary>${t("Use it with an agent (MCP)")}</summary>
      <p class="quiet">${tt("The URL is {url}, with the header {header} and the token. In Claude Code:", { url: html`<code>${ROOT}mcp</code>`, header: html`<code>Authorization: Bearer</code>` })}</p>
      <p><code class="secret">${command}</code></p>
      <${Copy} text=${command} label=${t("Copy the command")} />
    </details>
    ${
      HAS_CALDAV &&
      html`<details>
        <summary>${t("Use it in a calendar app (CalDAV)")}</summary>
        <p class="quiet">${tt("The server is {url}, the user name anything, and the password the token.", { url: html`<code>${ROOT}dav/</code>` })}</p>
        <${Copy} text=${`${ROOT}dav/`} label=${t("Copy the server")} />
      </details>`
    }
  `;
}
