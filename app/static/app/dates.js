// Dates in words. A due date is a day ("2026-12-01", the same everywhere) or an instant ("...T09:00:00Z").
import { formatDates } from "./display.js";
import { t, tn } from "./language.js";
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
  [
    minutes >= 60 && t("{count} h", { count: Math.floor(minutes / 60) }),
    minutes % 60 && t("{count} min", { count: minutes % 60 }),
  ]
    .filter(Boolean)
    .join(" ");
/**
 * Sorts as the service does: for the screen an all-day task counts as due at the end of its day.
 * @type {(due: string | null) => string}
 */
export const dueKey = (due) =>
  due === null ? "9999" : isInstant(due) ? `${dueDay(due)}T${dueTime(due)}` : `${due}T24`;

const WEEKDAY = formatDates({ weekday: "long" });
const SHORT_WEEKDAY = formatDates({ weekday: "short" });
const SHORT = formatDates({ weekday: "short", day: "numeric", month: "short" });
const LONG = formatDates({ day: "numeric", month: "short", year: "numeric" });
const TIME = formatDates({ hour: "2-digit", minute: "2-digit" });
const STAMP = formatDates({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const LONG_STAMP = formatDates({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const [TODAY, TOMORROW, YESTERDAY] = [t("Today"), t("Tomorrow"), t("Yesterday")];
/** @type {Record<string, string>} */
const WITHIN = { [TODAY]: t("today"), [TOMORROW]: t("tomorrow"), [YESTERDAY]: t("yesterday") };

/**
 * A time of day ("09:00") by the clock of the page.
 * @param {string} time
 */
export const sayClock = (time) => TIME.format(new Date(`2026-01-01T${time}`));
/**
 * The short name of a day of the week.
 * @param {number} day 0 (Sunday) to 6
 */
export const sayWeekday = (day) => SHORT_WEEKDAY.format(new Date(2026, 1, 1 + day));

/** @param {string} day */
export function sayDay(day) {
  const days = Math.round((new Date(`${day}T12:00`).getTime() - new Date(`${today()}T12:00`).getTime()) / DAY);
  if (days === 0) return TODAY;
  if (days === 1) return TOMORROW;
  if (days === -1) return YESTERDAY;
  const date = new Date(`${day}T12:00`);
  if (days > 1 && days < 7) return WEEKDAY.format(date);
  return (date.getFullYear() === new Date().getFullYear() ? SHORT : LONG).format(date);
}

/**
 * A day within a sentence.
 * @param {string} day
 */
export const sayDayWithin = (day) => WITHIN[sayDay(day)] ?? sayDay(day);
/**
 * The time of a due date by the clock of the page; "" where it is a day.
 * @type {(due: string | null) => string}
 */
export const sayTime = (due) => (due && isInstant(due) ? TIME.format(new Date(due)) : "");
/** @type {(due: string, say?: (day: string) => string) => string} */
export const sayDue = (due, say = sayDay) =>
  isInstant(due) ? t("{day} {time}", { day: say(dueDay(due)), time: sayTime(due) }) : say(due);
/** @type {(due: string) => string} */
export const sayDueWithin = (due) => sayDue(due, sayDayWithin);
/** @type {(at: string) => string} */
export const sayInstant = (at) => {
  const date = new Date(at);
  return (date.getFullYear() === new Date().getFullYear() ? STAMP : LONG_STAMP).format(date);
};

/** @type {Record<string, (count: number) => string>} */
const EVERY = {
  DAILY: (count) => tn("every day", "every {count} days", count),
  WEEKLY: (count) => tn("every week", "every {count} weeks", count),
  MONTHLY: (count) => tn("every month", "every {count} months", count),
  YEARLY: (count) => tn("every year", "every {count} years", count),
};
const DAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
/** @type {Record<string, string>} */
const ORDINALS = {
  1: t("first"),
  2: t("second"),
  3: t("third"),
  4: t("fourth"),
  5: t("fifth"),
  "-1": t("last"),
  "-2": t("second to last"),
};
const MONTH = formatDates({ month: "long" });

/** @type {(number: string) => string} */
const sayOrdinal = (number) => ORDINALS[Number(number)] ?? `${number}.`;
/** @type {(day: string) => string} */
const sayRuleDay = (day) => {
  const [, number, name] = /^([+-]?\d*)(\w\w)$/.exec(day) ?? ["", "", day];
  const weekday = DAYS.includes(name) ? sayWeekday(DAYS.indexOf(name)) : name;
  return number ? t("{ordinal} {day}", { ordinal: sayOrdinal(number), day: weekday }) : weekday;
};
/** @type {(day: string) => string} */
const sayMonthDay = (day) => {
  if (ORDINALS[day] && day.startsWith("-")) return t("the {ordinal} day", { ordinal: ORDINALS[day] });
  return day.startsWith("-")
    ? t("the {number}th to last day", { number: day.slice(1) })
    : t("day {number}", { number: day });
};
/** @type {(month: string) => string} */
const sayMonth = (month) => MONTH.format(new Date(2026, Number(month) - 1, 1));
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
  const every = EVERY[FREQ ?? ""];
  if (!every || Object.keys(others).length) return rule;
  const isWeekday = BYDAY === "MO,TU,WE,TH,FR" && !BYSETPOS && INTERVAL === "1";
  const weekdays = isWeekday ? undefined : sayList(BYDAY, sayRuleDay);
  const chosen =
    weekdays && BYSETPOS ? t("{ordinal} of {days}", { ordinal: sayOrdinal(BYSETPOS), days: weekdays }) : weekdays;
  const days = [chosen, sayList(BYMONTHDAY, sayMonthDay)].filter(Boolean).join(", ");
  const months = sayList(BYMONTH, sayMonth);
  const until = UNTIL && `${UNTIL.slice(0, 4)}-${UNTIL.slice(4, 6)}-${UNTIL.slice(6, 8)}T12:00`;
  let said = isWeekday ? t("every weekday") : every(Number(INTERVAL));
  if (days) said = t("{rule} on {days}", { rule: said, days });
  if (months) said = t("{rule} in {months}", { rule: said, months });
  if (COUNT)
    said =
      COUNT === "1"
        ? t("{rule}, once", { rule: said })
        : tn("{rule}, {count} time", "{rule}, {count} times", Number(COUNT), { rule: said });
  return until ? t("{rule} until {date}", { rule: said, date: LONG.format(new Date(until)) }) : said;
}
