import { html, useRef, useState } from "../../html.js";
import { t, tn, tt } from "../../language.js";
import { importFile } from "../../transfer.js";
import { sayProblem } from "../../problems.js";
import { toast } from "../../ui.js";
import { Section } from "./form.js";
/** @import { ImportReport, On } from "types/client" */

const SHOWN_WARNINGS = 50;
/** @type {Record<string, (count: number) => string>} */
const NOUNS = {
  tasks: (count) => tn("{count} task", "{count} tasks", count),
  projects: (count) => tn("{count} project", "{count} projects", count),
  comments: (count) => tn("{count} comment", "{count} comments", count),
  views: (count) => tn("{count} view", "{count} views", count),
  tags: (count) => tn("{count} tag", "{count} tags", count),
  channels: (count) => tn("{count} channel", "{count} channels", count),
};
const NOTHING = t("nothing");

/** @param {Record<string, number>} counts */
function sayCounts(counts) {
  const said = Object.entries(counts).filter(([, count]) => count);
  return said.map(([name, count]) => NOUNS[name]?.(count) ?? `${name}: ${count}`).join(", ") || NOTHING;
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
      if (!isCheck) toast(t("Imported {created}.", { created: sayCounts(found.created) }));
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
    if (another) toast(t("One file at a time: put them into a zip."));
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
    <${Section} id="imports" title=${t("Import")} about=${t("An export of TickTick, Todoist, Microsoft To Do, Outlook, Google Tasks, Apple Reminders, Vikunja, Trello, Super Productivity, Taskwarrior, todo.txt, or of this service. What is here already is skipped.")}>
      <div class=${over ? "drop over" : "drop"} id="drop" onDragOver=${drag} onDragLeave=${() => setOver(false)} onDrop=${drop}>
        <p>${tt("Drop a file here, or {choose}", { choose: html`<button class="link" id="choose-file" disabled=${busy} onClick=${() => field.current?.click()}>${t("choose one")}</button>` })}</p>
        <input type="file" id="file" hidden aria-label=${t("File to import")} ref=${field} onChange=${choose} />
      </div>
      <div role="status">
        ${busy && html`<p class="quiet">${report ? t("Importing…") : t("Reading…")} <progress aria-label=${file?.name}></progress></p>`}
        ${failed && html`<p class="failed"><bdi>${file?.name}</bdi>: ${failed}</p>`}
        ${report && html`<${Report} name=${file?.name ?? ""} report=${report} />`}
      </div>
      ${
        report?.dry_run &&
        file &&
        html`<div class="choices">
        <button class="primary" id="import" disabled=${busy || sayCounts(report.created) === NOTHING} onClick=${() => run(file, false)}>${t("Import")}</button>
        <button class="link" id="cancel-import" onClick=${() => setReport(null)}>${t("Cancel")}</button>
      </div>`
      }
    <//>
  `;
}

/**
 * @param {boolean} isCheck
 * @param {boolean} hasSkipped
 * @param {Record<string, unknown>} parts
 */
function sayReport(isCheck, hasSkipped, parts) {
  if (isCheck && hasSkipped) return tt("{file}: would bring {created}; {skipped} here already.", parts);
  if (isCheck) return tt("{file}: would bring {created}.", parts);
  if (hasSkipped) return tt("{file}: brought {created}; {skipped} here already.", parts);
  return tt("{file}: brought {created}.", parts);
}

/** @param {{ name: string, report: ImportReport }} props */
function Report({ name, report: { dry_run: isCheck, created, skipped, failed, errors, warned, warnings } }) {
  const noted = [
    ...errors.map(
      ({ row, uid, errors: found }) =>
        `${row ? t("Row {row}", { row }) : uid}: ${found.map(({ msg }) => msg).join(" ")}`,
    ),
    ...warnings.map(({ row, uid, field, value, message }) =>
      [row ? t("Row {row}", { row }) : uid, field, value, message].filter(Boolean).join(" · "),
    ),
  ];
  const parts = {
    file: html`<bdi>${name}</bdi>`,
    created: html`<b>${sayCounts(created)}</b>`,
    skipped: sayCounts(skipped),
  };
  return html`
    <p>${sayReport(isCheck, sayCounts(skipped) !== NOTHING, parts)}
      ${failed > 0 && html` <span class="failed">${tn("{count} could not be read.", "{count} could not be read.", failed)}</span>`}${warned > 0 && ` ${tn("{count} with a warning.", "{count} with a warning.", warned)}`}</p>
    ${
      noted.length > 0 &&
      html`<details open=${failed > 0}><summary>${t("What was noted ({count})", { count: noted.length })}</summary>
      <ul class="latest" id="noted">${noted.slice(0, SHOWN_WARNINGS).map((text, at) => html`<li key=${at}><bdi>${text}</bdi></li>`)}</ul>
      ${noted.length > SHOWN_WARNINGS && html`<p class="quiet">${t("and {count} more", { count: noted.length - SHOWN_WARNINGS })}</p>`}</details>`
    }
  `;
}
