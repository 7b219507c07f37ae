import { html } from "../html.js";
import { getTask } from "../store.js";
import { show, ui } from "../ui.js";
import { changeTask } from "../writes.js";
import { Dialog } from "./dialog.js";
/** @import { Conflict as Clash } from "types/client" */

/** @type {(value: unknown) => string} */
const say = (value) =>
  value === null || value === "" ? "nothing" : Array.isArray(value) ? value.join(", ") || "none" : String(value);

/**
 * Sends our change again for the current version, or only its fields without a conflict.
 * @param {boolean} mine
 */
function decide(mine) {
  if (!ui.conflict) return; // the dialog was closed by the choice
  const { op, fields } = ui.conflict;
  show({ conflict: null });
  const wanted = Object.entries(op.body ?? {}).filter(([name]) => mine || !fields.includes(name));
  const task = getTask(op.id ?? null);
  if (op.entity === "task" && task && wanted.length) changeTask(task, Object.fromEntries(wanted), op.label);
}

/**
 * The same field was changed here and elsewhere (412): both values are shown, and the user decides.
 * @param {Clash} props
 */
export function Conflict({ op, current, fields }) {
  return html`
    <${Dialog} label="Changed elsewhere" onClose=${() => decide(false)}>
      <h2>Changed elsewhere</h2>
      <p>“${current.title ?? current.name}” was changed in another place while you were changing it here.</p>
      <table class="conflict">
        <thead><tr><th scope="col">Field</th><th scope="col">There</th><th scope="col">Here</th></tr></thead>
        <tbody>
          ${fields.map((name) => html`<tr><th scope="row">${name.replace("_", " ")}</th><td>${say(current[name])}</td><td>${say(op.body?.[name])}</td></tr>`)}
        </tbody>
      </table>
      <div class="choices">
        <button class="primary" id="keep-mine" onClick=${() => decide(true)}>Keep mine</button>
        <button class="secondary" id="keep-theirs" onClick=${() => decide(false)}>Keep theirs</button>
      </div>
    <//>
  `;
}
