// Refusals of the service in words for people: by the type of each error and the field that it is about.
/** @import { Thrown } from "types/client" */

/** @type {Record<string, string>} */
const FIELDS = {
  title: "The title",
  text: "The task",
  description: "The notes",
  tags: "A tag",
  due_date: "The due date",
  start_date: "The start",
  deadline: "The deadline",
  estimate_minutes: "The estimate",
  recurrence: "The repetition",
  reminders: "A reminder",
  name: "The name",
  body: "The comment",
  message: "The message",
  email: "The e-mail address",
  password: "The password",
  search: "The search",
  filter: "The filter",
  url: "The URL",
  topic: "The topic",
  token: "The token",
  new_password: "The new password",
  timezone: "The time zone",
};
/** @type {Record<string, (field: string, number: string) => string>} */
const SENTENCES = {
  string_too_long: (field, number) => `${field} can have at most ${number} characters.`,
  string_too_short: (field, number) => `${field} needs at least ${number} characters.`,
  too_long: (field, number) => `${field}: at most ${number} are possible.`,
  blank_text: (field) => `${field} needs at least one visible character.`,
  missing: (field) => `${field} is needed.`,
};

/** @type {(msg: string) => string} */
const typeOf = (msg) => (/^Expected at most \d+ character/.test(msg) ? "string_too_long" : "");

/**
 * @param {{ loc: (string | number)[], msg: string, type: string }} finding
 * @returns {string}
 */
function sayFinding({ loc, msg, type }) {
  const inner = /^(\w+): (Expected .*)/.exec(msg); // of a line of quick add: the field that was read from it
  if (inner) return sayFinding({ loc: ["body", inner[1]], msg: inner[2], type: typeOf(inner[2]) });
  const name = loc.slice(1).findLast((part) => typeof part === "string") ?? "";
  const field = FIELDS[name] ?? `The ${String(name).replaceAll("_", " ") || "text"}`;
  const number = Number(/\d+/.exec(msg)?.[0] ?? 0).toLocaleString("en");
  return SENTENCES[type]?.(field, number) ?? (msg.startsWith("Expected") ? `${field} is not right. ${msg}` : msg);
}

/**
 * Returns one or more sentences.
 * @param {unknown} thrown
 */
export function sayProblem(thrown) {
  const error = /** @type {Thrown} */ (thrown);
  const found = error.errors?.length ? [...new Set(error.errors.map(sayFinding))].slice(0, 3).join(" ") : error.message;
  return error.retryAfter ? `${found} Try again in ${error.retryAfter} s.` : found;
}
