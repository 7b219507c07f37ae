import { html, useState } from "../../html.js";
import { sayInstant } from "../../dates.js";
import { t } from "../../language.js";
import { HAS_PASSKEYS, makePasskey } from "../../passkeys.js";
import { withProof } from "../../proof.js";
import { call } from "../../session.js";
import { complain, toast } from "../../ui.js";
import { useAttempt } from "../second_factor.js";
import { Sure } from "../tools.js";
import { Section } from "./form.js";
/** @import { Passkey, Sending } from "types/client" */

/** @param {{ passkeys: Passkey[], isFirst: boolean, onCodes: (codes: string[]) => void, onChange: () => void }} props */
export function Passkeys({ passkeys, isFirst, onCodes, onChange }) {
  const [adding, setAdding] = useState(false);
  const remove = (/** @type {Passkey} */ { id, name }) =>
    withProof(() => call("DELETE", `api/auth/factors/passkeys/${id}`)).then(() => {
      toast(t("{name} was removed. Delete it on your device too.", { name }));
      onChange();
    }, complain);
  const added = (/** @type {string[]} */ codes) => {
    setAdding(false);
    toast(isFirst ? t("The passkey was added. Other sessions were ended.") : t("The passkey was added."));
    onCodes(codes);
  };
  return html`
    <${Section} id="passkeys" title=${t("Passkeys")} about=${t("Log in with your finger, face or PIN instead of a password. With a passkey, a password alone does not log in any more.")}>
      ${
        passkeys.length > 0 &&
        html`<ul class="apps">
        ${passkeys.map(
          (passkey) => html`
          <li key=${passkey.id}>
            <div class="words"><p class="title">${passkey.name}</p>
              <p class="meta"><span>${t("Added {when}", { when: sayInstant(passkey.created_at) })}</span><span>${passkey.last_used_at ? t("Last used {when}", { when: sayInstant(passkey.last_used_at) }) : t("Not used yet")}</span></p></div>
            <${Sure} id=${`passkey-${passkey.id}`} label=${t("Remove")} question=${t("Remove {name}?", { name: passkey.name })} onClick=${() => remove(passkey)} />
          </li>`,
        )}
      </ul>`
      }
      ${HAS_PASSKEYS && !adding && html`<button class="secondary" id="add-passkey" onClick=${() => setAdding(true)}>${t("Add a passkey")}</button>`}
      ${adding && html`<${NewPasskey} onAdded=${added} onCancel=${() => setAdding(false)} />`}
      ${!HAS_PASSKEYS && html`<p class="quiet">${t("This browser or address cannot use passkeys: they need https and a host name.")}</p>`}
    <//>
  `;
}

/** @param {{ onAdded: (codes: string[]) => void, onCancel: () => void }} props */
function NewPasskey({ onAdded, onCancel }) {
  const { failed, busy, run } = useAttempt();
  const add = (/** @type {Sending<"name" | "password">} */ event) => {
    event.preventDefault();
    const { name, password } = event.target.elements;
    run(async () => {
      const asked = { body: { password: password.value } };
      const { data } = await withProof(() => call("POST", "api/auth/factors/passkeys/options", asked));
      const body = { name: name.value, passkey: await makePasskey(data.options) };
      const made = await withProof(() => call("POST", "api/auth/factors/passkeys", { body }));
      onAdded(made.data.recovery_codes);
    });
  };
  return html`
    <form class="code-form" onSubmit=${add}>
      <label>${t("Name of the device")}<input name="name" maxlength="100" placeholder=${t("My phone")} required ref=${(/** @type {HTMLInputElement | null} */ field) => field?.value === "" && field.focus()} /></label>
      <label>${t("Your password")}<input name="password" type="password" autocomplete="current-password" maxlength="128" required /></label>
      ${failed && html`<p class="failed" role="alert">${failed}</p>`}
      <div class="choices"><button class="primary" disabled=${busy}>${t("Continue")}</button><button type="button" class="link" onClick=${onCancel}>${t("Cancel")}</button></div>
    </form>
  `;
}
