// Dates in words. A due date is a day ("2026-12-01", the same everywhere) or an instant ("...T09:00:00Z").
import { isOpen } from "./statuses.js";
/** @import { Task } from "types/client" */
const DAY = 86_400_000;
/** @type {(number: number) => string} */
const two = (number) => String(number).padStart(2, "0");

/** @type {(date: Date) => string} */
export const dayOf = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
/**
 * The local day so many days from today.
 * @param {number} days
 */
export function dayIn(days) {
  const now = new Date();
  return dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, 12));
}
export const today = () => dayIn(0);
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
// A row from the outbox of an earlier version has no start and no deadline.
/** @type {(moment: string | null) => boolean} */
const isPast = (moment) => Boolean(moment && (isInstant(moment) ? new Date(moment) < new Date() : moment < today()));
/** @type {(moment: string | null) => boolean} */
const isAhead = (moment) => Boolean(moment && (isInstant(moment) ? new Date(moment) > new Date() : moment > today()));
/** @type {(task: Task, moment: string | null) => boolean} */
export const isMissed = (task, moment) => isOpen(task) && isPast(moment);
/**
 * By its due date or its deadline.
 * @type {(task: Task) => boolean}
 */
export const isOverdue = (task) => isMissed(task, task.due_date) || isMissed(task, task.deadline);
/** @type {(task: Task) => boolean} */
export const startsLater = (task) => isOpen(task) && isAhead(task.start_date);
/** @type {(minutes: number) => string} */
export const sayMinutes = (minutes) =>
  [minutes >= 60 && `${Math.floor(minutes / 60)} h`, minutes % 60 && `${minutes % 60} min`].filter(Boolean).join(" ");
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
const LONG_STAMP = format({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

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
export const sayInstant = (at) => {
  const date = new Date(at);
  return (date.getFullYear() === new Date().getFullYear() ? STAMP : LONG_STAMP).format(date);
};

/** @type {Record<string, string>} */
const UNITS = { DAILY: "day", WEEKLY: "week", MONTHLY: "month", YEARLY: "year" };
/** @type {Record<string, string>} */
const DAYS = { MO: "Mon", TU: "Tue", WE: "Wed", TH: "Thu", FR: "Fri", SA: "Sat", SU: "Sun" };
/** @type {Record<string, string>} */
const ORDINALS = {
  1: "first ",
  2: "second ",
  3: "third ",
  4: "fourth ",
  5: "fifth ",
  "-1": "last ",
  "-2": "second to last ",
};
const MONTHS = Array.from({ length: 12 }, (_, month) => format({ month: "long" }).format(new Date(2026, month, 1)));

/** @type {(day: string) => string} */
const sayWeekday = (day) => {
  const [, number, name] = /^([+-]?\d*)(\w\w)$/.exec(day) ?? ["", "", day];
  return (number && (ORDINALS[Number(number)] ?? `${number}. `)) + (DAYS[name] ?? name);
};
/** @type {(day: string) => string} */
const sayMonthDay = (day) =>
  day.startsWith("-") ? `the ${ORDINALS[Number(day)] ?? `${day.slice(1)}th to last `}day` : `day ${day}`;
/** @type {(list: string | undefined, say: (one: string) => string) => string | undefined} */
const sayList = (list, say) => list?.split(",").map(say).join(", ");

/**
 * A recurrence rule in words. What has none is shown as it is.
 * @param {string} rule
 */
export function sayRule(rule) {
  /** @type {Record<string, string | undefined>} */
  const {
    FREQ,
    INTERVAL = "1",
    BYDAY,
    BYMONTHDAY,
    BYMONTH,
    BYSETPOS,
    COUNT,
    UNTIL,
    WKST: _,
    ...others
  } = Object.fromEntries(rule.split(";").map((part) => part.split("=")));
  const unit = UNITS[FREQ ?? ""];
  if (!unit || Object.keys(others).length) return rule;
  const isWeekday = BYDAY === "MO,TU,WE,TH,FR" && !BYSETPOS;
  const every = Number(INTERVAL) > 1 ? `every ${INTERVAL} ${unit}s` : `every ${isWeekday ? "weekday" : unit}`;
  const days = isWeekday ? undefined : sayList(BYDAY, sayWeekday);
  const position = BYSETPOS && `${ORDINALS[Number(BYSETPOS)] ?? `${BYSETPOS}. `}of `;
  const on = [days && (position ?? "") + days, sayList(BYMONTHDAY, sayMonthDay)].filter(Boolean).join(", ");
  const months = sayList(BYMONTH, (month) => MONTHS[Number(month) - 1] ?? month);
  const until = UNTIL && `${UNTIL.slice(0, 4)}-${UNTIL.slice(4, 6)}-${UNTIL.slice(6, 8)}T12:00`;
  return [
    every,
    on && ` on ${on}`,
    months && ` in ${months}`,
    COUNT && (COUNT === "1" ? ", once" : `, ${COUNT} times`),
    until && ` until ${LONG.format(new Date(until))}`,
  ]
    .filter(Boolean)
    .join("");
}
