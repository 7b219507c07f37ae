// Asking for a second factor: after a password or a provider, and before what needs a recent one.
import { html, useState } from "../html.js";
import { t } from "../language.js";
import { HAS_PASSKEYS, answerPasskey } from "../passkeys.js";
import { sayProblem } from "../problems.js";
import { call, finishLogin, leaveLogin, session, waitingPasskey } from "../session.js";
import { show } from "../ui.js";
import { Dialog } from "./dialog.js";
/** @import { GivenFactor, Proving, Sending } from "types/client" */

const HELP = t("Enter the code that your authenticator app shows, or a recovery code.");
const PASSKEY_HELP = t("Use your passkey, or enter a recovery code.");

/**
 * Runs what a user asked for: `failed` says why it failed, `busy` that it is running.
 * @returns {{ failed: string, busy: boolean, run: (work: () => Promise<void>) => Promise<boolean> }}
 */
export function useAttempt() {
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  const run = async (/** @type {() => Promise<void>} */ work) => {
    setBusy(true);
    setFailed("");
    try {
      await work();
      return true;
    } catch (thrown) {
      setFailed(sayProblem(thrown));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { failed, busy, run };
}

/**
 * A field for a code, and a button for a passkey where there is one. `onGiven` throws what is shown here.
 * @param {{ label?: string, methods?: string[], askPasskey?: () => Promise<Record<string, unknown>>, onGiven: (given: GivenFactor) => Promise<void>, children?: unknown }} props
 */
export function FactorForm({ label = t("Continue"), methods = [], askPasskey, onGiven, children }) {
  const { failed, busy, run } = useAttempt();
  async function submit(/** @type {Sending<"code">} */ event) {
    event.preventDefault();
    const field = event.target.elements.code;
    if (!(await run(() => onGiven({ code: field.value })))) field.select();
  }
  const ask = HAS_PASSKEYS && methods.includes("passkey") ? askPasskey : undefined;
  const give = () => run(async () => onGiven({ passkey: await answerPasskey(await (ask?.() ?? {})) }));
  return html`
    <form class="code-form" onSubmit=${submit}>
      ${ask && html`<button type="button" class="primary" id="use-passkey" disabled=${busy} onClick=${give}>${t("Use a passkey")}</button>`}
      <label>${t("Code")}<input name="code" autocomplete="one-time-code" autocapitalize="off" spellcheck="false" maxlength="64" required ref=${focusOnce} /></label>
      ${failed && html`<p class="failed" role="alert">${failed}</p>`}
      <div class="choices"><button class=${ask ? "secondary" : "primary"} disabled=${busy}>${label}</button>${children}</div>
    </form>
  `;
}

/** @param {HTMLInputElement | null} field */
const focusOnce = (field) => field?.value === "" && document.activeElement !== field && field.focus();

/** @param {string[]} methods */
const help = (methods) => (methods.length && !methods.includes("totp") ? PASSKEY_HELP : HELP);

/** The second half of a login. */
export function SecondFactor() {
  const { methods = [] } = session.waiting ?? {};
  return html`
    <h1 id="welcome">${t("One more step")}</h1>
    <p class="quiet">${help(methods)}</p>
    <${FactorForm} methods=${methods} askPasskey=${waitingPasskey} onGiven=${finishLogin}>
      <button type="button" class="link" id="back" onClick=${() => leaveLogin()}>${t("Back")}</button>
    <//>
  `;
}

/**
 * Asks a user who is logged in to prove the factor again.
 * @param {{ proving: Proving }} props
 */
export function Proof({ proving }) {
  const [proved, setProved] = useState(false);
  const close = () => {
    show({ proving: null });
    if (!proved) proving.refuse(new Error(t("Nothing was changed: it needs your second factor.")));
  };
  const prove = async (/** @type {GivenFactor} */ given) => {
    await call("POST", "api/auth/factors/proof", { body: given });
    setProved(true);
    show({ proving: null });
    proving.allow();
  };
  const askPasskey = async () => (await call("POST", "api/auth/factors/proof/options")).data.options;
  return html`
    <${Dialog} label=${t("Confirm that it is you")} onClose=${close}>
      <h2>${t("Confirm that it is you")}</h2>
      <p>${help(proving.methods)}</p>
      <${FactorForm} methods=${proving.methods} askPasskey=${askPasskey} onGiven=${prove}>
        <button type="button" class="link" id="cancel-proof" onClick=${close}>${t("Cancel")}</button>
      <//>
    <//>
  `;
}
