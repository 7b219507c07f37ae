// How this browser shows dates: the clock of 12 or 24 hours, and the first day of the week. What was not chosen here
// follows the browser's locale.
import { locale } from "./language.js";

const CLOCK = "todo.clock";
const WEEK = "todo.week";

/** "12", "24", or "" for the locale's. */
export const chosenClock = () => localStorage.getItem(CLOCK) ?? "";
/** "0" (Sunday) to "6", or "" for the locale's. */
export const chosenWeekStart = () => localStorage.getItem(WEEK) ?? "";

/**
 * Keeps both for the next load of the page, since formats are made when modules are loaded.
 * @param {{ clock: string, week: string }} chosen "" for the locale's
 */
export function chooseDisplay({ clock, week }) {
  for (const [key, value] of [
    [CLOCK, clock],
    [WEEK, week],
  ]) {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  }
}

/** "12" or "24". */
export const usualClock = () =>
  new Intl.DateTimeFormat(locale, { hour: "numeric" }).resolvedOptions().hour12 ? "12" : "24";
const hasHalves = (chosenClock() || usualClock()) === "12";
/** @type {Intl.DateTimeFormatOptions} */
const clock = hasHalves ? { hour: "numeric", hourCycle: "h12" } : { hour: "2-digit", hourCycle: "h23" };

/**
 * A format of dates in the locale of the page; `hour` follows the clock that was chosen.
 * @type {(options: Intl.DateTimeFormatOptions) => Intl.DateTimeFormat}
 */
export const formatDates = (options) =>
  new Intl.DateTimeFormat(locale, options.hour ? { ...options, ...clock } : options);

/** @typedef {{ firstDay: number }} WeekInfo 1 (Monday) to 7 */

/** The first day of the week in the locale: 0 (Sunday) to 6. */
export function usualWeekStart() {
  const known = /** @type {{ getWeekInfo?: () => WeekInfo, weekInfo?: WeekInfo }} */ (new Intl.Locale(locale));
  const { firstDay } = known.getWeekInfo?.() ?? known.weekInfo ?? { firstDay: 1 }; // Firefox has neither
  return firstDay % 7;
}

/** The first day of the week: 0 (Sunday) to 6. */
export const weekStart = () => Number(chosenWeekStart() || usualWeekStart());
