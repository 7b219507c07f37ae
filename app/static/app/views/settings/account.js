import { html, useState } from "../../html.js";
import { sayInstant } from "../../dates.js";
import { t, tt } from "../../language.js";
import { withProof } from "../../proof.js";
import { call, changePassword, deleteAccount, forgetPassword, session } from "../../session.js";
import { complain, toast } from "../../ui.js";
import { Form, Section, useFetched } from "./form.js";
/** @import { Account as AccountRow } from "types/client" */

export function Account() {
  const [account, reload] = useFetched(async () => (await call("GET", "api/auth/me")).data);
  if (!account) return null;
  return html`
    <${Profile} account=${account} onChange=${reload} />
    <${Email} account=${account} onChange=${reload} />
    <${Password} email=${account.email} />
    <${TimeZone} zone=${account.timezone} onChange=${reload} />
    <${Deletion} />
  `;
}

/** @typedef {{ account: AccountRow, onChange: () => Promise<void> }} AccountProps */

/** @param {AccountProps} props */
function Profile({ account, onChange }) {
  const save = async (/** @type {Record<string, string>} */ { name }) => {
    await call("PATCH", "api/auth/me", { body: { name } });
    await onChange();
    toast(t("Your name is saved."));
  };
  return html`
    <${Section} id="profile" title=${t("Profile")} about=${t("Account since {when}.", { when: sayInstant(account.created_at) })}>
      <${Form} id="profile-form" label=${t("Save")} onSend=${save} key=${account.name}>
        <label>${t("Name")}<input name="name" autocomplete="name" dir="auto" maxlength="100" defaultValue=${account.name} /></label>
      <//>
    <//>
  `;
}

/** @param {AccountProps} props */
function Email({ account: { email, pending_email: pending, email_confirmed_at: confirmed }, onChange }) {
  const [changing, setChanging] = useState(false);
  const change = async (/** @type {Record<string, string>} */ { email: next, password }) => {
    const body = { email: next, current_password: password };
    const { data } = await withProof(() => call("PATCH", "api/auth/me", { body }));
    setChanging(false);
    await onChange();
    toast(
      data.pending_email
        ? t("A mail was sent to {email}.", { email: data.pending_email })
        : t("Your e-mail address is changed."),
    );
  };
  const ask = () => forgetPassword(email).then(() => toast(t("A mail was sent to {email}.", { email })), complain);
  return html`
    <${Section} id="email" title=${t("E-mail")}>
      <p><bdi>${email}</bdi> <span class="quiet">${confirmed ? t("Confirmed {confirmed}.", { confirmed: sayInstant(confirmed) }) : t("Not confirmed.")}</span></p>
      ${!confirmed && html`<p class="quiet">${t("It is confirmed when you choose a password by a mail that is sent to it.")} <button class="link" id="confirm-email" onClick=${ask}>${t("Send me that mail")}</button></p>`}
      ${pending && html`<p class="missing">${tt("Waits until you confirm {email}: open the link in the mail that was sent there.", { email: html`<bdi>${pending}</bdi>` })}</p>`}
      ${
        changing
          ? html`
          <${Form} id="email-form" label=${t("Change")} onSend=${change} onCancel=${() => setChanging(false)}>
            <label>${t("New e-mail address")}<input name="email" type="email" autocomplete="email" required /></label>
            <label>${t("Your password")}<input name="password" type="password" autocomplete="current-password" maxlength="128" required /></label>
          <//>`
          : html`<button class="secondary" id="change-email" onClick=${() => setChanging(true)}>${t("Change")}</button>`
      }
    <//>
  `;
}

/** @param {{ email: string }} props */
function Password({ email }) {
  const change = async (/** @type {Record<string, string>} */ { current, next }) => {
    await withProof(() => changePassword(current, next));
    toast(t("Your password is changed. Other sessions were ended."));
  };
  const ask = () => forgetPassword(email).then(() => toast(t("A mail was sent to {email}.", { email })), complain);
  return html`
    <${Section} id="password" title=${t("Password")}>
      <${Form} id="password-form" label=${t("Change")} onSend=${change}>
        <input type="email" class="unseen" autocomplete="username" value=${email} readonly tabindex="-1" aria-hidden="true" />
        <label>${t("Your password now")}<input name="current" type="password" autocomplete="current-password" maxlength="128" required /></label>
        <label>${t("New password")}<input name="next" type="password" autocomplete="new-password" maxlength="128" aria-describedby="password-rule" required /></label>
        <p class="quiet" id="password-rule">${t("At least {count} characters, and none of the common ones.", { count: 8 })} ${t("Other sessions end.")}</p>
      <//>
      <p class="quiet">${t("Forgotten, or none yet?")} <button class="link" id="forgotten" onClick=${ask}>${t("Send me a mail")}</button></p>
    <//>
  `;
}

/** @param {{ zone: string, onChange: () => Promise<void> }} props */
function TimeZone({ zone, onChange }) {
  const save = async (/** @type {Record<string, string>} */ { timezone }) => {
    await call("PATCH", "/settings", { body: { timezone } });
    await onChange();
    toast(t("Your account is in {timezone} now.", { timezone }));
  };
  const here = session.timezone;
  return html`
    <${Section} id="zone" title=${t("Time zone")} about=${t("Decides what “today” and “at 9” mean, and when reminders come.")}>
      <${Form} id="zone-form" label=${t("Save")} onSend=${save} key=${zone}>
        <label>${t("Time zone")}<input name="timezone" list="zones" defaultValue=${zone} autocomplete="off" spellcheck="false" required /></label>
        <datalist id="zones">${Intl.supportedValuesOf("timeZone").map((one) => html`<option key=${one} value=${one} />`)}</datalist>
      <//>
      ${here !== zone && html`<button class="link" id="use-device-zone" onClick=${() => save({ timezone: here }).catch(complain)}>${t("Use {zone}, as this device", { zone: here })}</button>`}
    <//>
  `;
}

function Deletion() {
  const [sure, setSure] = useState(false);
  const erase = (/** @type {Record<string, string>} */ { password }) => withProof(() => deleteAccount(password));
  return html`
    <${Section} id="deletion" title=${t("Delete the account")} about=${t("Removes the account and everything in it forever. Export your data first if you may want it again.")}>
      ${
        sure
          ? html`
          <${Form} id="deletion-form" label=${t("Delete everything")} onSend=${erase} onCancel=${() => setSure(false)}>
            <label>${t("Your password")}<input name="password" type="password" autocomplete="current-password" maxlength="128" required /></label>
          <//>`
          : html`<button class="link" id="delete-account" onClick=${() => setSure(true)}>${t("Delete the account…")}</button>`
      }
    <//>
  `;
}
