import { hasStatus } from "../../api.js";
import { sayInstant } from "../../dates.js";
import { html, useEffect, useState } from "../../html.js";
import { t } from "../../language.js";
import { withProof } from "../../proof.js";
import { call, loginProviders } from "../../session.js";
import { complain } from "../../ui.js";
import { Sure } from "../tools.js";
import { Section } from "./form.js";
/** @import { LoginProvider, ProviderLink } from "types/client" */

/** The sign-in providers by which the user can log in, and those to add. Fetched when it is shown. */
export function Links() {
  const [links, setLinks] = useState(/** @type {ProviderLink[]} */ ([]));
  const [providers, setProviders] = useState(/** @type {LoginProvider[]} */ ([]));
  useEffect(() => {
    Promise.all([loginProviders(), call("GET", "api/auth/links")]).then(([known, { data }]) => {
      setProviders(known);
      setLinks(data);
    }, complain);
  }, []);
  const add = (/** @type {LoginProvider} */ { id }) =>
    withProof(() => call("POST", `api/auth/oidc/${id}/link`)).then(({ data }) => location.assign(data.url), complain);
  const remove = (/** @type {ProviderLink} */ link) =>
    withProof(() => call("DELETE", `api/auth/links/${link.id}`))
      .catch((error) => {
        if (!hasStatus(error, 404)) throw error; // removed elsewhere
      })
      .then(() => setLinks((shown) => shown.filter((one) => one !== link)), complain);
  const free = providers.filter(({ id }) => !links.some(({ provider }) => provider === id));
  if (!links.length && !free.length) return null;
  return html`
    <${Section} id="providers" title=${t("Sign-in providers")} about=${t("Ways to log in besides a password.")}>
    <ul class="apps" id="links">
      ${links.map(
        (link) => html`
        <li key=${link.id}>
          <div class="words"><p class="title">${link.name}</p>
            <p class="meta"><span>${link.email || link.subject}</span><span>${t("Last used {when}", { when: sayInstant(link.last_used_at) })}</span></p></div>
          <${Sure} id=${`unlink-${link.id}`} label=${t("Remove")} question=${t("Remove {name}?", { name: link.name })} onClick=${() => remove(link)} />
        </li>`,
      )}
      ${free.map(
        (provider) => html`
        <li key=${provider.id}>
          <div class="words"><p class="title">${provider.name}</p></div>
          <button class="link" id=${`link-${provider.id}`} onClick=${() => add(provider)}>${t("Link")}<span class="unseen"> ${provider.name}</span></button>
        </li>`,
      )}
    </ul>
    <//>
  `;
}
