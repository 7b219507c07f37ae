// Statuses, priorities and actions in words.
import { t } from "./language.js";
/** @import { Priority, Task, TaskStatus } from "types/client" */

/** The statuses by the words for them, in the order in which they are offered. */
export const STATUSES = /** @type {Record<TaskStatus, string>} */ ({
  pending: t("to do"),
  in_progress: t("in progress"),
  waiting: t("waiting"),
  cancelled: t("cancelled"),
  completed: t("done"),
});
/** @type {Record<Priority, string>} */
export const PRIORITY_NAMES = {
  urgent: t("urgent"),
  high: t("high"),
  medium: t("medium"),
  low: t("low"),
  none: t("none"),
};
/** @type {Record<string, string>} */
const ACTIONS = {
  created: t("created"),
  updated: t("updated"),
  deleted: t("deleted"),
  restored: t("restored"),
  purged: t("deleted permanently"),
  completed: t("completed"),
  cancelled: t("cancelled"),
  reopened: t("reopened"),
  skipped: t("skipped"),
  reminded: t("reminded"),
};
/**
 * What happened to a row, in a word.
 * @type {(action: string) => string}
 */
export const sayAction = (action) => ACTIONS[action] ?? action;
/** @type {(task: Task) => boolean} */
export const isOpen = (task) => !task.completed && task.status !== "cancelled";
