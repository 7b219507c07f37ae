// Fields of rows and their values in words.
import { isInstant, sayDay, sayDue, sayInstant, sayMinutes, sayRule } from "./dates.js";
import { STATUSES } from "./statuses.js";
import { channels, getTask, projectName } from "./store.js";
import { sayReminder } from "./reminders.js";
/** @import { TaskStatus } from "types/client" */

/** @type {Record<string, string>} */
const LABELS = {
  description: "notes",
  due_date: "due",
  start_date: "start",
  estimate_minutes: "estimate",
  favorite: "starred",
  project_id: "project",
  parent_id: "part of",
  recurrence: "repeats",
  recurrence_from: "counted from",
  remind_channels: "sent to",
  completed: "done",
  archived_at: "archived",
};
/** Fields that follow from others, or that people do not know. */
export const HIDDEN = ["position", "completed_at", "remind_at", "series_id", "updated_at", "uid"];
/** @type {Record<string, (value: any) => string>} */
const SAY = {
  due_date: sayDue,
  start_date: sayDue,
  deadline: sayDay,
  estimate_minutes: sayMinutes,
  favorite: (value) => (value ? "yes" : "no"),
  recurrence: sayRule,
  recurrence_from: (value) => (value === "completion" ? "the day it is done" : "the due date"),
  project_id: (value) => projectName(value) ?? "a project that is gone",
  parent_id: (value) => getTask(value)?.title ?? "a task that is gone",
  reminders: (value) => value.map(sayReminder).join(", "),
  remind_channels: (value) =>
    channels()
      .filter(({ id }) => value.includes(id))
      .map(({ name }) => name)
      .join(", "),
  completed: (value) => (value ? "yes" : "no"),
  status: (/** @type {TaskStatus} */ value) => STATUSES[value] ?? value,
  active: (value) => (value ? "yes" : "no"),
};
/** @type {Record<string, string>} */
const NONE = { project_id: "Inbox", reminders: "none", tags: "none", recurrence: "never", remind_channels: "all" };

/** @type {(field: string) => string} */
export const sayField = (field) => LABELS[field] ?? field.replaceAll("_", " ");

/** @type {(field: string, value: unknown) => string} */
export function sayValue(field, value) {
  if (value === null || value === undefined || value === "") return NONE[field] ?? "nothing";
  if (Array.isArray(value) && !value.length) return field === "remind_channels" ? "none" : (NONE[field] ?? "none");
  if (SAY[field]) return SAY[field](value);
  if (Array.isArray(value)) return value.join(", ");
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) && isInstant(text) ? sayInstant(text) : text;
}
