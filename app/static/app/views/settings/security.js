import { html, useState } from "../../html.js";
import { sayInstant } from "../../dates.js";
import { t, tn, tt } from "../../language.js";
import { withProof } from "../../proof.js";
import { call } from "../../session.js";
import { complain, toast } from "../../ui.js";
import { Dialog } from "../dialog.js";
import { FactorForm } from "../second_factor.js";
import { Sure } from "../tools.js";
import { focusWhenShown, Section, useFetched } from "./form.js";
import { Links } from "./links.js";
import { Passkeys } from "./passkeys.js";
import { Sessions } from "./sessions.js";
/** @import { Factors, GivenFactor, Sending, TotpSecret } from "types/client" */

export function Security() {
  const [factors, load] = useFetched(async () => (await call("GET", "api/auth/factors")).data);
  const [codes, setCodes] = useState(/** @type {string[]} */ ([]));
  const take = (/** @type {string[]} */ made) => {
    setCodes(made);
    load();
  };
  return html`
    ${codes.length > 0 && html`<${Codes} codes=${codes} onClose=${() => setCodes([])} />`}
    ${factors && html`<${Totp} factors=${factors} onCodes=${take} onChange=${load} />`}
    ${factors && html`<${Passkeys} passkeys=${factors.passkeys} isFirst=${!hasFactor(factors)} onCodes=${take} onChange=${load} />`}
    ${factors && hasFactor(factors) && html`<${Recovery} left=${factors.recovery_codes_left} onCodes=${take} />`}
    <${Links} />
    <${Sessions} />
  `;
}

/** @param {Factors} factors */
const hasFactor = ({ totp, passkeys }) => totp !== null || passkeys.length > 0;

/** @param {{ factors: Factors, onCodes: (codes: string[]) => void, onChange: () => void }} props */
function Totp({ factors: { totp }, onCodes, onChange }) {
  const [begun, setBegun] = useState(/** @type {TotpSecret | "password" | null} */ (null));
  const remove = () =>
    withProof(() => call("DELETE", "api/auth/factors/totp")).then(() => {
      toast(t("The authenticator app is off."));
      onChange();
    }, complain);
  const confirm = async (/** @type {GivenFactor} */ { code = "" }) => {
    const { data } = await withProof(() => call("POST", "api/auth/factors/totp/confirm", { body: { code } }));
    setBegun(null);
    toast(
      data.recovery_codes.length
        ? t("The authenticator app is on. Other sessions were ended.")
        : t("The authenticator app is on."),
    );
    onCodes(data.recovery_codes);
  };
  const about = totp
    ? [
        t("On since {when}.", { when: sayInstant(totp.confirmed_at) }),
        totp.last_used_at && t("Last used {when}.", { when: sayInstant(totp.last_used_at) }),
      ]
        .filter(Boolean)
        .join(" ")
    : t("After your password you also enter the code that an app on your phone shows.");
  return html`
    <${Section} id="totp" title=${t("Authenticator app")} about=${about}>
      ${totp && html`<${Sure} id="totp-off" label=${t("Turn off")} question=${t("Turn off the authenticator app?")} onClick=${remove} />`}
      ${!totp && !begun && html`<button class="secondary" id="totp-on" onClick=${() => setBegun("password")}>${t("Turn on")}</button>`}
      ${begun === "password" && html`<${Password} onDone=${setBegun} onCancel=${() => setBegun(null)} />`}
      ${
        begun !== null &&
        begun !== "password" &&
        html`
        <p>${tt("Scan this with the app, or {open} on this device.", { open: html`<a href=${begun.uri}>${t("open it")}</a>` })} ${t("By hand:")} <code class="secret">${inGroups(begun.secret)}</code></p>
        <${QrCode} code=${begun.qr_code} />
        <${FactorForm} label=${t("Confirm")} onGiven=${confirm}><button type="button" class="link" onClick=${() => setBegun(null)}>${t("Cancel")}</button><//>`
      }
    <//>
  `;
}

/** @param {string} secret */
const inGroups = (secret) => secret.replace(/(.{4})(?=.)/g, "$1 ");

/** @param {{ onDone: (begun: TotpSecret) => void, onCancel: () => void }} props */
function Password({ onDone, onCancel }) {
  const begin = (/** @type {Sending<"password">} */ event) => {
    event.preventDefault();
    const password = event.target.elements.password.value;
    withProof(() => call("POST", "api/auth/factors/totp", { body: { password } })).then(
      ({ data }) => onDone(data),
      complain,
    );
  };
  return html`
    <form class="code-form" onSubmit=${begin}>
      <label>${t("Your password")}<input name="password" type="password" autocomplete="current-password" maxlength="128" required ref=${focusWhenShown} /></label>
      <div class="choices"><button class="primary">${t("Continue")}</button><button type="button" class="link" onClick=${onCancel}>${t("Cancel")}</button></div>
    </form>
  `;
}

/** @param {{ code: TotpSecret["qr_code"] }} props */
const QrCode = ({ code: { size, path } }) => html`
  <svg class="qr" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${t("QR code with the secret")}>
    <rect width=${size} height=${size} fill="#fff" /><path d=${path} fill="#000" />
  </svg>
`;

/** @param {{ left: number, onCodes: (codes: string[]) => void }} props */
function Recovery({ left, onCodes }) {
  const renew = () =>
    withProof(() => call("POST", "api/auth/factors/recovery-codes")).then(
      ({ data }) => onCodes(data.recovery_codes),
      complain,
    );
  return html`
    <${Section} id="recovery" title=${t("Recovery codes")} about=${`${tn("{count} code is left.", "{count} codes are left.", left)} ${t("Each replaces your second factor once, if you have lost it.")}`}>
      <${Sure} id="renew-codes" label=${t("Make new ones")} question=${t("Replace the old codes?")} onClick=${renew} />
    <//>
  `;
}

/** @param {{ codes: string[], onClose: () => void }} props */
function Codes({ codes, onClose }) {
  const copy = () => navigator.clipboard.writeText(codes.join("\n")).then(() => toast(t("Copied.")), complain);
  return html`
    <${Dialog} label=${t("Recovery codes")} onClose=${onClose}>
      <h2>${t("Recovery codes")}</h2>
      <p>${t("Keep these where you keep what must not get lost. Each opens your account once if you have lost your second factor. They are not shown again.")}</p>
      <ol class="codes">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ol>
      <div class="choices">
        <button class="primary" id="codes-kept" onClick=${onClose}>${t("I have kept them")}</button>
        ${navigator.clipboard && html`<button class="secondary" onClick=${copy}>${t("Copy")}</button>`}
      </div>
    <//>
  `;
}
