import { html, useState } from "../../html.js";
import { send } from "../../session.js";
import { complain } from "../../ui.js";
import { Section } from "./form.js";

/** @type {[path: string, name: string, label: string, about: string][]} */
const EXPORTS = [
  ["/export?format=zip", "todo.zip", "Everything, in all formats", "A zip file with a page that says what is in it."],
  ["/export?format=json", "todo.json", "Everything, as JSON", "What this service reads again without loss."],
  ["/export?format=csv", "todo.csv", "Tasks, as CSV", "For spreadsheets, and other products."],
  ["/export?format=ics", "todo.ics", "Tasks, as iCalendar", "For calendars and reminder apps."],
  ["/export?format=txt", "todo.txt", "Tasks, as todo.txt", "A task a line, for editors and apps that read todo.txt."],
  ["/export?format=todoist", "todoist.csv", "Open tasks, for Todoist", "Import it there as a template."],
  ["api/auth/me/export", "account.json", "The account, as JSON", "Profile, sessions and tokens, without secrets."],
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
    <${Section} id="exports" title="Export">
      <ul class="apps">
        ${EXPORTS.map(
          ([path, name, label, about]) => html`
          <li key=${name}>
            <div class="words"><p class="title">${label}</p><p class="meta"><span>${about}</span></p></div>
            <button class="secondary" id=${`export-${name.replace(".", "-")}`} disabled=${busy === name} onClick=${() => take(path, name)}>Download<span class="unseen"> ${label}</span></button>
          </li>`,
        )}
      </ul>
    <//>
  `;
}
