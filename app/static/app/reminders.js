// Reminders in words.
import { sayInstant } from "./dates.js";

/** @type {Record<string, string>} */
export const CHOICES = {
  PT0S: "when it is due",
  "-PT10M": "10 minutes before",
  "-PT30M": "30 minutes before",
  "-PT1H": "1 hour before",
  "-P1D": "1 day before",
  "-P7D": "1 week before",
};
/** @type {Record<string, string>} */
const UNITS = { D: "day", H: "hour", M: "minute", S: "second" };

/**
 * A duration from the due date ("-PT30M") or an instant, in words.
 * @param {string} reminder
 */
export function sayReminder(reminder) {
  if (CHOICES[reminder]) return CHOICES[reminder];
  if (!reminder.includes("P")) return sayInstant(reminder);
  const parts = [...reminder.matchAll(/(\d+)([DHMS])/g)].map(
    ([, number, unit]) => `${number} ${UNITS[unit]}${number === "1" ? "" : "s"}`,
  );
  return `${parts.join(" ")} ${reminder.startsWith("-") ? "before" : "after"}`;
}
