// Dates as people say them. A due date is a day ("2026-12-01", the same everywhere) or an instant ("...T09:00:00Z").
const DAY = 86_400_000;
const two = (number) => String(number).padStart(2, "0");

export const dayOf = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
export const today = () => dayOf(new Date());
export const isInstant = (due) => due.length > 10;
/** The day on which something is due here. */
export const dueDay = (due) => (isInstant(due) ? dayOf(new Date(due)) : due);
export const dueTime = (due) => {
  if (!due || !isInstant(due)) return "";
  const date = new Date(due);
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
};
/** The day and perhaps a time of this place as a due date. */
export const makeDue = (day, time) => (day && time ? new Date(`${day}T${time}`).toISOString() : day || null);
export const isOverdue = (task) =>
  !task.completed &&
  task.due_date !== null &&
  (isInstant(task.due_date) ? new Date(task.due_date) < new Date() : task.due_date < today());
/** Sorts as the service does: an all-day task at the end of its day is good enough for a screen. */
export const dueKey = (due) =>
  due === null ? "9999" : isInstant(due) ? `${dueDay(due)}T${dueTime(due)}` : `${due}T24`;

const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const WEEKDAY = format({ weekday: "long" });
const SHORT = format({ weekday: "short", day: "numeric", month: "short" });
const LONG = format({ day: "numeric", month: "short", year: "numeric" });
const STAMP = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export function sayDay(day) {
  const days = Math.round((new Date(`${day}T12:00`) - new Date(`${today()}T12:00`)) / DAY);
  if (days === 0) return "Today";
  if (days === 1) return "Tomorrow";
  if (days === -1) return "Yesterday";
  const date = new Date(`${day}T12:00`);
  if (days > 1 && days < 7) return WEEKDAY.format(date);
  return (date.getFullYear() === new Date().getFullYear() ? SHORT : LONG).format(date);
}

export const sayDue = (due) => sayDay(dueDay(due)) + (isInstant(due) ? ` ${dueTime(due)}` : "");
export const sayInstant = (at) => STAMP.format(new Date(at));

const UNITS = { DAILY: "day", WEEKLY: "week", MONTHLY: "month", YEARLY: "year" };
const DAYS = { MO: "Mon", TU: "Tue", WE: "Wed", TH: "Thu", FR: "Fri", SA: "Sat", SU: "Sun" };
/** A recurrence rule in words, as far as it is one of the usual ones. */
export function sayRule(rule) {
  const parts = Object.fromEntries(rule.split(";").map((part) => part.split("=")));
  const unit = UNITS[parts.FREQ];
  if (!unit) return rule;
  if (parts.BYDAY === "MO,TU,WE,TH,FR") return "every weekday";
  const every = Number(parts.INTERVAL ?? 1) > 1 ? `every ${parts.INTERVAL} ${unit}s` : `every ${unit}`;
  const days = parts.BYDAY?.split(",")
    .map((day) => DAYS[day] ?? day)
    .join(", ");
  const on = days ?? (parts.BYMONTHDAY ? `day ${parts.BYMONTHDAY}` : "");
  return on ? `${every} on ${on}` : every;
}
