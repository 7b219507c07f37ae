// Dates in words. A due date is a day ("2026-12-01", the same everywhere) or an instant ("...T09:00:00Z").
/** @import { Task } from "types/client" */
const DAY = 86_400_000;
/** @type {(number: number) => string} */
const two = (number) => String(number).padStart(2, "0");

/** @type {(date: Date) => string} */
export const dayOf = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
export const today = () => dayOf(new Date());
/** @type {(due: string) => boolean} */
export const isInstant = (due) => due.length > 10;
/**
 * The local day of a due date.
 * @type {(due: string) => string}
 */
export const dueDay = (due) => (isInstant(due) ? dayOf(new Date(due)) : due);
/** @type {(due: string | null) => string} */
export const dueTime = (due) => {
  if (!due || !isInstant(due)) return "";
  const date = new Date(due);
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
};
/**
 * Returns a local day, with or without a time, as a due date.
 * @type {(day: string, time?: string) => string | null}
 */
export const makeDue = (day, time) => (day && time ? new Date(`${day}T${time}`).toISOString() : day || null);
/** @type {(task: Task) => boolean} */
export const isOverdue = (task) =>
  !task.completed &&
  task.due_date !== null &&
  (isInstant(task.due_date) ? new Date(task.due_date) < new Date() : task.due_date < today());
/**
 * Sorts as the service does: for the screen an all-day task counts as due at the end of its day.
 * @type {(due: string | null) => string}
 */
export const dueKey = (due) =>
  due === null ? "9999" : isInstant(due) ? `${dueDay(due)}T${dueTime(due)}` : `${due}T24`;

/** @type {(options: Intl.DateTimeFormatOptions) => Intl.DateTimeFormat} */
const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const WEEKDAY = format({ weekday: "long" });
const SHORT = format({ weekday: "short", day: "numeric", month: "short" });
const LONG = format({ day: "numeric", month: "short", year: "numeric" });
const STAMP = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** @param {string} day */
export function sayDay(day) {
  const days = Math.round((new Date(`${day}T12:00`).getTime() - new Date(`${today()}T12:00`).getTime()) / DAY);
  if (days === 0) return "Today";
  if (days === 1) return "Tomorrow";
  if (days === -1) return "Yesterday";
  const date = new Date(`${day}T12:00`);
  if (days > 1 && days < 7) return WEEKDAY.format(date);
  return (date.getFullYear() === new Date().getFullYear() ? SHORT : LONG).format(date);
}

/** @type {(due: string) => string} */
export const sayDue = (due) => sayDay(dueDay(due)) + (isInstant(due) ? ` ${dueTime(due)}` : "");
/** @type {(at: string) => string} */
export const sayInstant = (at) => STAMP.format(new Date(at));

/** @type {Record<string, string>} */
const UNITS = { DAILY: "day", WEEKLY: "week", MONTHLY: "month", YEARLY: "year" };
/** @type {Record<string, string>} */
const DAYS = { MO: "Mon", TU: "Tue", WE: "Wed", TH: "Thu", FR: "Fri", SA: "Sat", SU: "Sun" };
/**
 * A recurrence rule in words, if it is one of the usual ones.
 * @param {string} rule
 */
export function sayRule(rule) {
  /** @type {Record<string, string | undefined>} */
  const parts = Object.fromEntries(rule.split(";").map((part) => part.split("=")));
  const unit = UNITS[parts.FREQ ?? ""];
  if (!unit) return rule;
  if (parts.BYDAY === "MO,TU,WE,TH,FR") return "every weekday";
  const every = Number(parts.INTERVAL ?? 1) > 1 ? `every ${parts.INTERVAL} ${unit}s` : `every ${unit}`;
  const days = parts.BYDAY?.split(",")
    .map((day) => DAYS[day] ?? day)
    .join(", ");
  const on = days ?? (parts.BYMONTHDAY ? `day ${parts.BYMONTHDAY}` : "");
  return on ? `${every} on ${on}` : every;
}
