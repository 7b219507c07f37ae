import { dropDraft } from "../drafts.js";
import { html } from "../html.js";
import { t, tt } from "../language.js";
import { archived, channels, confirmed, getTask, projectName, projects, views } from "../store.js";
import { show, ui } from "../ui.js";
import { changeChannel, changeComment, changeProject, changeTask, renameView } from "../writes.js";
import { sayField, sayValue } from "../values.js";
import { Dialog } from "./dialog.js";
/** @import { Comment, Conflict as Clash } from "types/client" */

/**
 * @param {Clash["op"]} op
 * @param {Record<string, unknown>} fields
 */
function change({ entity, id = 0, label }, fields) {
  const task = getTask(id);
  const project = [...projects(), ...archived()].find((one) => one.id === id);
  const channel = channels().find((one) => one.id === id);
  if (entity === "task" && task) changeTask(task, fields, label);
  if (entity === "project" && project) changeProject(project, fields);
  const comment = entity === "comment" && /** @type {Comment | undefined} */ (confirmed("comment", id));
  const view = views().find((one) => one.id === id);
  if (comment) changeComment(comment, String(fields.body), {});
  if (entity === "view" && view) renameView(view, String(fields.name));
  if (entity === "channel" && channel) changeChannel(channel, fields, label);
}

/**
 * Sends our change again for the current version, or only its fields without a conflict.
 * @param {string} key of the write
 * @param {boolean} mine
 */
function decide(key, mine) {
  const [first, ...others] = ui.conflicts;
  if (first?.op.key !== key) return; // the dialog was closed by the choice
  const { op, fields } = first;
  show({ conflicts: others });
  if (op.typed) dropDraft(op.typed.name);
  const wanted = Object.entries(op.body ?? {}).filter(([name]) => mine || !fields.includes(name));
  if (wanted.length) change(op, Object.fromEntries(wanted));
}

/**
 * The same field was changed here and elsewhere (412): both values are shown, and the user decides.
 * @param {Clash} props
 */
export function Conflict({ op, current, fields }) {
  // A project is inside of a project, and a task below a task: one field, two kinds of ids.
  const say = (/** @type {string} */ name, /** @type {unknown} */ value) =>
    name === "parent_id" && op.entity === "project"
      ? ((value && projectName(Number(value))) ?? t("nothing"))
      : sayValue(name, value);
  return html`
    <${Dialog} label=${t("Changed elsewhere")} onClose=${() => decide(op.key, false)}>
      <h2>${t("Changed elsewhere")}</h2>
      <p>${tt("“{name}” was changed in another place while you were changing it here.", { name: html`<bdi>${current.title ?? current.name ?? t("A comment")}</bdi>` })}</p>
      <table class="conflict">
        <thead><tr><th scope="col">${t("Field")}</th><th scope="col">${t("There")}</th><th scope="col">${t("Here")}</th></tr></thead>
        <tbody>
          ${fields.map((name) => html`<tr><th scope="row">${sayField(name)}</th><td dir="auto">${say(name, current[name])}</td><td dir="auto">${say(name, op.body?.[name])}</td></tr>`)}
        </tbody>
      </table>
      <div class="choices">
        <button class="primary" id="keep-mine" onClick=${() => decide(op.key, true)}>${t("Keep mine")}</button>
        <button class="secondary" id="keep-theirs" onClick=${() => decide(op.key, false)}>${t("Keep theirs")}</button>
      </div>
    <//>
  `;
}
