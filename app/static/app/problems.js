// Refusals of the service in words for people: by the type of each error and the field that it is about.
import { sayService, t } from "./language.js";
/** @import { Thrown } from "types/client" */

/** @type {Record<string, string>} */
const FIELDS = {
  title: t("The title"),
  text: t("The task"),
  description: t("The notes"),
  tags: t("A tag"),
  due_date: t("The due date"),
  start_date: t("The start"),
  deadline: t("The deadline"),
  estimate_minutes: t("The estimate"),
  recurrence: t("The repetition"),
  reminders: t("A reminder"),
  name: t("The name"),
  body: t("The comment"),
  message: t("The message"),
  email: t("The e-mail address"),
  password: t("The password"),
  search: t("The search"),
  filter: t("The filter"),
  url: t("The URL"),
  topic: t("The topic"),
  token: t("The token"),
  new_password: t("The new password"),
  timezone: t("The time zone"),
};
/** @type {Record<string, (field: string, number: number) => string>} */
const SENTENCES = {
  string_too_long: (field, number) => t("{field} can have at most {number} characters.", { field, number }),
  string_too_short: (field, number) => t("{field} needs at least {number} characters.", { field, number }),
  too_long: (field, number) => t("{field}: at most {number} are possible.", { field, number }),
  blank_text: (field) => t("{field} needs at least one visible character.", { field }),
  missing: (field) => t("{field} is needed.", { field }),
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
  const field = FIELDS[name] ?? (name ? t("The {name}", { name: String(name).replaceAll("_", " ") }) : t("The text"));
  const number = Number(/\d+/.exec(msg)?.[0] ?? 0);
  return (
    SENTENCES[type]?.(field, number) ??
    (msg.startsWith("Expected") ? t("{field} is not right. {reason}", { field, reason: msg }) : msg)
  );
}

/**
 * Returns one or more sentences.
 * @param {unknown} thrown
 */
export function sayProblem(thrown) {
  const error = /** @type {Thrown} */ (thrown);
  const found = error.errors?.length
    ? [...new Set(error.errors.map(sayFinding))].slice(0, 3).join(" ")
    : sayService(error.message, error.code);
  return error.retryAfter
    ? t("{problem} Try again in {seconds} s.", { problem: found, seconds: error.retryAfter })
    : found;
}
