import { html, useEffect, useState } from "../html.js";
import { sayInstant } from "../dates.js";
import { t } from "../language.js";
import { call } from "../session.js";
import { sayAction } from "../statuses.js";
import { complain } from "../ui.js";
import { HIDDEN, sayField, sayThrough, sayValue } from "../values.js";
/** @import { HistoryEntry, On, Task } from "types/client" */

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
      <summary>${t("History")}</summary>
      <ol>
        ${entries.map(
          (entry) => html`
          <li key=${entry.revision}>
            <p><strong>${entry.changes.length && entry.changes.every(({ field }) => field === "position") ? t("moved") : sayAction(entry.action)}</strong> <span class="quiet">${sayInstant(entry.at)}${entry.through === "api" ? "" : `, ${sayThrough(entry.through)}`}</span></p>
            ${entry.action !== "created" && entry.changes.filter(({ field }) => !HIDDEN.includes(field)).map((one) => html`<p class="meta">${sayField(one.field)}: <del><bdi>${sayValue(one.field, one.from)}</bdi></del> → <ins><bdi>${sayValue(one.field, one.to)}</bdi></ins></p>`)}
          </li>`,
        )}
      </ol>
    </details>
  `;
}
