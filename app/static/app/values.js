// Fields of rows and their values in words.
import { isInstant, sayDay, sayDue, sayInstant, sayMinutes, sayRule } from "./dates.js";
import { t } from "./language.js";
import { PRIORITY_NAMES, STATUSES } from "./statuses.js";
import { channels, getTask, projectName } from "./store.js";
import { sayReminder } from "./reminders.js";
/** @import { Priority, TaskStatus } from "types/client" */

/** @type {Record<string, string>} */
const LABELS = {
  description: t("notes"),
  due_date: t("due"),
  start_date: t("start"),
  estimate_minutes: t("estimate"),
  favorite: t("starred"),
  project_id: t("project"),
  parent_id: t("part of"),
  recurrence: t("repeats"),
  recurrence_from: t("counted from"),
  remind_channels: t("sent to"),
  completed: t("done"),
  archived_at: t("archived"),
  title: t("title"),
  priority: t("priority"),
  status: t("status"),
  deadline: t("deadline"),
  tags: t("tags"),
  reminders: t("reminders"),
  name: t("name"),
  color: t("colour"),
  body: t("text"),
  active: t("active"),
};
/** Fields that follow from others, or that people do not know. */
export const HIDDEN = ["position", "completed_at", "remind_at", "series_id", "updated_at", "uid"];
/** @type {Record<string, (value: any) => string>} */
const SAY = {
  due_date: sayDue,
  start_date: sayDue,
  deadline: sayDay,
  estimate_minutes: sayMinutes,
  favorite: (value) => (value ? t("yes") : t("no")),
  recurrence: sayRule,
  recurrence_from: (value) => (value === "completion" ? t("the day it is done") : t("the due date")),
  project_id: (value) => projectName(value) ?? t("a project that is gone"),
  parent_id: (value) => getTask(value)?.title ?? t("a task that is gone"),
  reminders: (value) => value.map(sayReminder).join(", "),
  remind_channels: (value) =>
    channels()
      .filter(({ id }) => value.includes(id))
      .map(({ name }) => name)
      .join(", "),
  completed: (value) => (value ? t("yes") : t("no")),
  status: (/** @type {TaskStatus} */ value) => STATUSES[value] ?? value,
  priority: (/** @type {Priority} */ value) => PRIORITY_NAMES[value] ?? value,
  active: (value) => (value ? t("yes") : t("no")),
};
/** @type {Record<string, string>} */
const NONE = {
  project_id: t("Inbox"),
  reminders: t("none"),
  tags: t("none"),
  recurrence: t("never"),
  remind_channels: t("all"),
};

/** @type {Record<string, string>} */
const SOURCES = {
  mcp: t("by an agent"),
  chat: t("by the assistant"),
  import: t("by an import"),
  retention: t("by the service, when its time had come"),
  reminder: t("by a reminder"),
  "reminder:late": t("by a reminder"),
  delivery: t("by the service, after failures"),
};
/**
 * What has made a write: an API token is meant by its name.
 * @type {(through: string) => string}
 */
export const sayThrough = (through) => SOURCES[through] ?? t("by {name}", { name: through.replace(/^\w+:/, "") });

/** @type {(field: string) => string} */
export const sayField = (field) => LABELS[field] ?? field.replaceAll("_", " ");

/** @type {(field: string, value: unknown) => string} */
export function sayValue(field, value) {
  if (value === null || value === undefined || value === "") return NONE[field] ?? t("nothing");
  if (Array.isArray(value) && !value.length)
    return field === "remind_channels" ? t("none") : (NONE[field] ?? t("none"));
  if (SAY[field]) return SAY[field](value);
  if (Array.isArray(value)) return value.join(", ");
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) && isInstant(text) ? sayInstant(text) : text;
}
