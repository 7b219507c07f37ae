// The pages to which mails of the service lead. Their token is in the fragment of the URL, which is sent to nobody.
import { html, useState } from "../html.js";
import { request } from "../api.js";
import { t } from "../language.js";
import { go } from "../place.js";
import { session } from "../session.js";
import { Mark } from "./icon.js";
import { Form } from "./settings/form.js";

/** @type {Record<string, { title: string, about: string, button: string, done: string }>} */
const PAGES = {
  reset: {
    title: t("Choose a new password"),
    about: t("All sessions end, on every device."),
    button: t("Save"),
    done: t("Your password is saved. Log in with it."),
  },
  confirm: {
    title: t("Confirm your new e-mail address"),
    about: t("From then on you log in with it."),
    button: t("Confirm"),
    done: t("Your e-mail address is confirmed."),
  },
};

/** @param {{ list: string }} props */
export function Mailed({ list }) {
  const [isDone, setDone] = useState(false);
  const { title, about, button, done } = PAGES[list];
  const token = new URLSearchParams(location.hash.split("?")[1]).get("token") ?? "";
  const use = async (/** @type {Record<string, string>} */ { password }) => {
    if (list === "confirm") await request("POST", "api/auth/email/confirm", { body: { token } });
    else await request("POST", "api/auth/password/reset", { body: { token, new_password: password } });
    setDone(true);
  };
  const leave = () => go({ list: "all", id: "" }, { replace: true }); // the token is used up: not kept in the history
  return html`
    <main class="login">
      <div class="sign-in">
        <p class="brand"><${Mark} />Todo</p>
        <h1 id="welcome">${title}</h1>
        ${
          isDone
            ? html`<p role="status">${done}</p><button class="primary" id="go-on" onClick=${leave}>${session.user ? t("To the tasks") : t("Log in")}</button>`
            : html`
            <${Form} id="mailed-form" label=${button} onSend=${use}>
              <p class="quiet">${about}</p>
              ${
                list === "reset" &&
                html`<label>${t("New password")}<input name="password" type="password" autocomplete="new-password" minlength="8" maxlength="128" aria-describedby="password-rule" required autofocus /></label>
                <p class="quiet" id="password-rule">${t("At least {count} characters, and none of the common ones.", { count: 8 })}</p>`
              }
            <//>`
        }
      </div>
    </main>
  `;
}
