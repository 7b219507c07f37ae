import { html, useState } from "../html.js";
import { logIn, register } from "../session.js";
/** @import { Sending, Thrown } from "types/client" */

export function Login() {
  const [isNew, setNew] = useState(false);
  const [said, setSaid] = useState(/** @type {{ text: string, failed?: boolean } | null} */ (null));
  const [busy, setBusy] = useState(false);

  /** @param {Sending<"email" | "password">} event */
  async function submit(event) {
    event.preventDefault();
    const { email, password } = event.target.elements;
    setBusy(true);
    setSaid(null);
    try {
      const mail = await (isNew ? register : logIn)(email.value, password.value);
      if (mail) setSaid({ text: mail });
    } catch (thrown) {
      const error = /** @type {Thrown} */ (thrown);
      setSaid({
        text: error.retryAfter ? `${error.message} Wait ${error.retryAfter} s.` : error.message,
        failed: true,
      });
    }
    setBusy(false);
  }

  return html`
    <main class="login">
      <form onSubmit=${submit} aria-labelledby="welcome">
        <p class="brand"><${Mark} />Todo</p>
        <h1 id="welcome">${isNew ? "Make an account" : "Welcome back"}</h1>
        <label>E-mail<input name="email" type="email" autocomplete="username" required autofocus /></label>
        <label>
          Password
          <input name="password" type="password" autocomplete=${isNew ? "new-password" : "current-password"} required />
        </label>
        ${said && html`<p class=${said.failed ? "said failed" : "said"} role="alert">${said.text}</p>`}
        <button class="primary" disabled=${busy}>${isNew ? "Register" : "Log in"}</button>
        <p class="quiet">
          ${isNew ? "Already have one?" : "First time here?"}${" "}
          <button type="button" class="link" id="switch" onClick=${() => (setNew(!isNew), setSaid(null))}>${isNew ? "Log in" : "Make an account"}</button>
        </p>
      </form>
    </main>
  `;
}

export const Mark = () => html`
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <circle cx="16" cy="16" r="15" /><path d="M9.5 16.8l4.4 4.4 8.8-9.6" />
  </svg>
`;
