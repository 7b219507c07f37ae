/** @import { Task, TaskStatus } from "types/client" */

/** The statuses by the words for them, in the order in which they are offered. */
export const STATUSES = /** @type {Record<TaskStatus, string>} */ ({
  pending: "to do",
  in_progress: "in progress",
  waiting: "waiting",
  cancelled: "cancelled",
  completed: "done",
});
/** @type {(task: Task) => boolean} */
export const isOpen = (task) => !task.completed && task.status !== "cancelled";
