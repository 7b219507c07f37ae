import { ROOT } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { t } from "../language.js";
import { HAS_PASSKEYS } from "../passkeys.js";
import { sayProblem } from "../problems.js";
import {
  endedSession,
  forgetPassword,
  logIn,
  logInWithPasskey,
  loginProviders,
  register,
  session,
} from "../session.js";
import { Mark } from "./icon.js";
import { later } from "./later.js";
/** @import { LoginProvider, Sending } from "types/client" */

const PASSWORD_MIN = 8;
const MAIL_SENT = t("If there is an account with this address, a mail was sent to it. Its link is good for an hour.");
const IS_OPEN = document.querySelector("meta[name=registration]")?.getAttribute("content") !== "closed";
const SecondFactor = later(() => import("./second_factor.js"), "SecondFactor", { isRare: true });

/** @type {Record<string, { title: string, button: string, send: (email: string, password: string) => Promise<string | null | void> }>} */
const FORMS = {
  login: { title: t("Welcome back"), button: t("Log in"), send: logIn },
  register: { title: t("Create account"), button: t("Create account"), send: register },
  forgot: {
    title: t("Forgot your password?"),
    button: t("Send me a mail"),
    send: async (email) => {
      await forgetPassword(email);
      return MAIL_SENT;
    },
  },
};

export function Login() {
  const [form, setForm] = useState("login");
  const [said, setSaid] = useState(/** @type {{ text: string, failed?: boolean } | null} */ (null));
  const [busy, setBusy] = useState(false);
  const [providers, setProviders] = useState(/** @type {LoginProvider[]} */ ([]));
  useEffect(() => void loginProviders().then(setProviders), []);
  const ended = endedSession();

  /** @param {() => Promise<string | null | void>} work */
  async function attempt(work) {
    setBusy(true);
    setSaid(null);
    try {
      const mail = await work();
      if (mail) setSaid({ text: mail });
    } catch (thrown) {
      setSaid({ text: sayProblem(thrown), failed: true });
    }
    setBusy(false);
  }

  /** @param {Sending<"email" | "password">} event */
  function submit(event) {
    event.preventDefault();
    const { email, password } = event.target.elements;
    attempt(() => FORMS[form].send(email.value, password?.value));
  }

  const turn = (/** @type {string} */ next) => {
    setForm(next);
    setSaid(null);
  };
  const isNew = form === "register";
  if (session.waiting) {
    return html`
      <main class="login"><div class="sign-in"><p class="brand"><${Mark} />Todo</p><${SecondFactor} /></div></main>
    `;
  }
  return html`
    <main class="login">
      <form class="sign-in" onSubmit=${submit} aria-labelledby="welcome">
        <p class="brand"><${Mark} />Todo</p>
        <h1 id="welcome">${FORMS[form].title}</h1>
        <label>${t("E-mail")}<input name="email" type="email" autocomplete="username" defaultValue=${ended ?? ""} required autofocus /></label>
        ${
          form !== "forgot" &&
          html`
          <label>
            ${t("Password")}
            <input name="password" type="password" autocomplete=${isNew ? "new-password" : "current-password"} aria-describedby=${isNew ? "password-rule" : null} required />
          </label>`
        }
        ${isNew && html`<p class="quiet" id="password-rule">${t("At least {count} characters, and none of the common ones.", { count: PASSWORD_MIN })}</p>`}
        ${ended !== null && !said && html`<p class="said" id="ended" role="status">${t("You were logged out: the session has ended, or was ended in another place. What you typed is kept.")}</p>`}
        ${said && html`<p class=${said.failed ? "said failed" : "said"} role="alert">${said.text}</p>`}
        <button class="primary" disabled=${busy}>${FORMS[form].button}</button>
        ${form === "login" && html`<button type="button" class="link" id="forgot" onClick=${() => turn("forgot")}>${t("Forgot your password?")}</button>`}
        ${HAS_PASSKEYS && form === "login" && html`<button type="button" class="secondary" id="passkey-login" disabled=${busy} onClick=${() => attempt(logInWithPasskey)}>${t("Log in with a passkey")}</button>`}
        ${providers.map(
          ({ id, name, start_path }) =>
            html`<a key=${id} class="secondary" href=${new URL(start_path, ROOT).href}>${t("Continue with {name}", { name })}</a>`,
        )}
        ${form === "forgot" && html`<button type="button" class="link" id="remembered" onClick=${() => turn("login")}>${t("Log in")}</button>`}
        ${
          IS_OPEN &&
          form !== "forgot" &&
          html`<p class="quiet">
          ${isNew ? t("Already have one?") : t("First time here?")}${" "}
          <button type="button" class="link" id="switch" onClick=${() => turn(isNew ? "login" : "register")}>${isNew ? t("Log in") : t("Create account")}</button>
        </p>`
        }
      </form>
    </main>
  `;
}
