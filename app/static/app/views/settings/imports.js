import { html, useRef, useState } from "../../html.js";
import { importFile } from "../../transfer.js";
import { sayProblem } from "../../problems.js";
import { toast } from "../../ui.js";
import { Section } from "./form.js";
/** @import { ImportReport, On } from "types/client" */

const SHOWN_WARNINGS = 50;
/** @type {Record<string, string>} */
const NOUNS = {
  tasks: "task",
  projects: "project",
  comments: "comment",
  views: "view",
  tags: "tag",
  channels: "channel",
};

/** @param {Record<string, number>} counts */
function sayCounts(counts) {
  const said = Object.entries(counts).filter(([, count]) => count);
  const one = (/** @type {string} */ name, /** @type {number} */ count) =>
    `${count.toLocaleString("en")} ${NOUNS[name] ?? name.replace(/s$/, "")}${count === 1 ? "" : "s"}`;
  return said.map(([name, count]) => one(name, count)).join(", ") || "nothing";
}

/** A file is checked when it is dropped, and imported when the user has seen what comes of it. */
export function Imports() {
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const [report, setReport] = useState(/** @type {ImportReport | null} */ (null));
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  async function run(/** @type {File} */ chosen, /** @type {boolean} */ isCheck) {
    setFile(chosen);
    setFailed("");
    setBusy(true);
    try {
      const found = await importFile(chosen, isCheck);
      setReport(found);
      if (!isCheck) toast(`Imported ${sayCounts(found.created)}.`);
    } catch (thrown) {
      setReport(null);
      setFailed(sayProblem(thrown));
    }
    setBusy(false);
  }
  const drop = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(false);
    const [dropped, another] = event.dataTransfer?.files ?? [];
    if (another) toast("One file at a time: put them into a zip.");
    else if (dropped && !busy) run(dropped, true);
  };
  const choose = (/** @type {On<HTMLInputElement>} */ event) => {
    const chosen = event.target.files?.[0];
    if (chosen) run(chosen, true);
    event.target.value = ""; // the same file again is a choice also
  };
  const drag = (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`
    <${Section} id="imports" title="Import" about="An export of TickTick, Todoist, Microsoft To Do, Outlook, Google Tasks, Apple Reminders, Vikunja, Trello, Super Productivity, Taskwarrior, todo.txt, or of this service. What is here already is skipped.">
      <div class=${over ? "drop over" : "drop"} id="drop" onDragOver=${drag} onDragLeave=${() => setOver(false)} onDrop=${drop}>
        <p>Drop a file here, or <button class="link" id="choose-file" disabled=${busy} onClick=${() => field.current?.click()}>choose one</button></p>
        <input type="file" id="file" hidden aria-label="File to import" ref=${field} onChange=${choose} />
      </div>
      <div role="status">
        ${busy && html`<p class="quiet">${report ? "Importing…" : "Reading…"} <progress aria-label=${file?.name}></progress></p>`}
        ${failed && html`<p class="failed"><bdi>${file?.name}</bdi>: ${failed}</p>`}
        ${report && html`<${Report} name=${file?.name ?? ""} report=${report} />`}
      </div>
      ${
        report?.dry_run &&
        file &&
        html`<div class="choices">
        <button class="primary" id="import" disabled=${busy || sayCounts(report.created) === "nothing"} onClick=${() => run(file, false)}>Import</button>
        <button class="link" id="cancel-import" onClick=${() => setReport(null)}>Cancel</button>
      </div>`
      }
    <//>
  `;
}

/** @param {{ name: string, report: ImportReport }} props */
function Report({ name, report: { dry_run: isCheck, created, skipped, failed, errors, warned, warnings } }) {
  const noted = [
    ...errors.map(
      ({ row, uid, errors: found }) => `${row ? `Row ${row}` : uid}: ${found.map(({ msg }) => msg).join(" ")}`,
    ),
    ...warnings.map(({ row, uid, field, value, message }) =>
      [row ? `Row ${row}` : uid, field, value, message].filter(Boolean).join(" · "),
    ),
  ];
  return html`
    <p><bdi>${name}</bdi>: ${isCheck ? "would bring" : "brought"} <b>${sayCounts(created)}</b>${sayCounts(skipped) !== "nothing" && `; ${sayCounts(skipped)} here already`}.
      ${failed > 0 && html` <span class="failed">${failed} could not be read.</span>`}${warned > 0 && ` ${warned} with a warning.`}</p>
    ${
      noted.length > 0 &&
      html`<details open=${failed > 0}><summary>${`What was noted (${noted.length})`}</summary>
      <ul class="latest" id="noted">${noted.slice(0, SHOWN_WARNINGS).map((text, at) => html`<li key=${at}><bdi>${text}</bdi></li>`)}</ul>
      ${noted.length > SHOWN_WARNINGS && html`<p class="quiet">${`and ${noted.length - SHOWN_WARNINGS} more`}</p>`}</details>`
    }
  `;
}
