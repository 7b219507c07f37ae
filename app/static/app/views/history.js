import { html, useEffect, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { call } from "../session.js";
import { complain } from "../ui.js";
/** @import { HistoryEntry, On, Task } from "types/client" */

/** @type {(value: unknown) => string} */
const say = (value) =>
  value === null || value === "" ? "nothing" : Array.isArray(value) ? value.join(", ") || "none" : String(value);

/**
 * Fetched when it is opened, and again when the task has changed.
 * @param {{ task: Task }} props
 */
export function History({ task }) {
  const [open, setOpen] = useState(false);
  const [entries, setEntries] = useState(/** @type {HistoryEntry[]} */ ([]));
  useEffect(() => {
    if (open && task.id > 0)
      call("GET", `/tasks/${task.id}/history?limit=50`).then(({ data }) => setEntries(data), complain);
  }, [open, task.id, task.version]);
  return html`
    <details class="history" onToggle=${(/** @type {On<HTMLDetailsElement>} */ event) => setOpen(event.currentTarget.open)}>
      <summary>History</summary>
      <ol>
        ${entries.map(
          (entry) => html`
          <li key=${entry.revision}>
            <p><strong>${entry.action}</strong> <span class="quiet">${sayInstant(entry.at)}${entry.through === "api" ? "" : `, ${entry.through}`}</span></p>
            ${entry.action !== "created" && entry.changes.map((one) => html`<p class="meta">${one.field.replace("_", " ")}: <del>${say(one.from)}</del> → <ins>${say(one.to)}</ins></p>`)}
          </li>`,
        )}
      </ol>
    </details>
  `;
}
