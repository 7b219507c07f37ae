// The pages to which mails of the service lead. Their token is in the fragment of the URL, which is sent to nobody.
import { html, useState } from "../html.js";
import { request } from "../api.js";
import { go } from "../place.js";
import { session } from "../session.js";
import { Mark } from "./icon.js";
import { Form } from "./settings/form.js";

/** @type {Record<string, { title: string, about: string, button: string, done: string }>} */
const PAGES = {
  reset: {
    title: "Choose a new password",
    about: "All sessions end, on every device.",
    button: "Save",
    done: "Your password is saved. Log in with it.",
  },
  confirm: {
    title: "Confirm your new e-mail address",
    about: "From then on you log in with it.",
    button: "Confirm",
    done: "Your e-mail address is confirmed.",
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
            ? html`<p role="status">${done}</p><button class="primary" id="go-on" onClick=${leave}>${session.user ? "To the tasks" : "Log in"}</button>`
            : html`
            <${Form} id="mailed-form" label=${button} onSend=${use}>
              <p class="quiet">${about}</p>
              ${
                list === "reset" &&
                html`<label>New password<input name="password" type="password" autocomplete="new-password" minlength="8" maxlength="128" aria-describedby="password-rule" required autofocus /></label>
                <p class="quiet" id="password-rule">At least 8 characters, and none of the common ones.</p>`
              }
            <//>`
        }
      </div>
    </main>
  `;
}
