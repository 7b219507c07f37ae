// Reminders in words.
import { sayInstant } from "./dates.js";
import { t, tn } from "./language.js";

/** @type {Record<string, string>} */
export const CHOICES = {
  PT0S: t("when it is due"),
  "-PT10M": t("10 minutes before"),
  "-PT30M": t("30 minutes before"),
  "-PT1H": t("1 hour before"),
  "-P1D": t("1 day before"),
  "-P7D": t("1 week before"),
};
/** @type {Record<string, (count: number) => string>} */
const UNITS = {
  D: (count) => tn("{count} day", "{count} days", count),
  H: (count) => tn("{count} hour", "{count} hours", count),
  M: (count) => tn("{count} minute", "{count} minutes", count),
  S: (count) => tn("{count} second", "{count} seconds", count),
};

/**
 * A duration from the due date ("-PT30M") or an instant, in words.
 * @param {string} reminder
 */
export function sayReminder(reminder) {
  if (CHOICES[reminder]) return CHOICES[reminder];
  if (!reminder.includes("P")) return sayInstant(reminder);
  const parts = [...reminder.matchAll(/(\d+)([DHMS])/g)].map(([, number, unit]) => UNITS[unit](Number(number)));
  const time = parts.join(" ");
  return reminder.startsWith("-") ? t("{time} before", { time }) : t("{time} after", { time });
}
