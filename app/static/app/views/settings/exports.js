import { html, useState } from "../../html.js";
import { t } from "../../language.js";
import { send } from "../../session.js";
import { complain } from "../../ui.js";
import { Section } from "./form.js";

/** @type {[path: string, name: string, label: string, about: string][]} */
const EXPORTS = [
  [
    "/export?format=zip",
    "todo.zip",
    t("Everything, in all formats"),
    t("A zip file with a page that says what is in it."),
  ],
  ["/export?format=json", "todo.json", t("Everything, as JSON"), t("What this service reads again without loss.")],
  ["/export?format=csv", "todo.csv", t("Tasks, as CSV"), t("For spreadsheets, and other products.")],
  ["/export?format=ics", "todo.ics", t("Tasks, as iCalendar"), t("For calendars and reminder apps.")],
  [
    "/export?format=txt",
    "todo.txt",
    t("Tasks, as todo.txt"),
    t("A task a line, for editors and apps that read todo.txt."),
  ],
  ["/export?format=todoist", "todoist.csv", t("Open tasks, for Todoist"), t("Import it there as a template.")],
  [
    "api/auth/me/export",
    "account.json",
    t("The account, as JSON"),
    t("Profile, sessions and tokens, without secrets."),
  ],
];

export function Exports() {
  const [busy, setBusy] = useState("");
  async function take(/** @type {string} */ path, /** @type {string} */ name) {
    setBusy(name);
    try {
      const file = await (await send("GET", path)).blob();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once it is saved
    } catch (error) {
      complain(error);
    }
    setBusy("");
  }
  return html`
    <${Section} id="exports" title=${t("Export")}>
      <ul class="apps">
        ${EXPORTS.map(
          ([path, name, label, about]) => html`
          <li key=${name}>
            <div class="words"><p class="title">${label}</p><p class="meta"><span>${about}</span></p></div>
            <button class="secondary" id=${`export-${name.replace(".", "-")}`} disabled=${busy === name} onClick=${() => take(path, name)}>${t("Download")}<span class="unseen"> ${label}</span></button>
          </li>`,
        )}
      </ul>
    <//>
  `;
}
