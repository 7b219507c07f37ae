// The filter language in the search field: docs/filters.md. The service reads it; here is what tells it from words.
/** @import { Place, TaskFilter } from "types/client" */

const FIELDS =
  "text|search|title|description|tags?|project|parent|status|priority|due(_date)?|start(_date)?|deadline|estimate(_minutes)?" +
  "|created(_at)?|updated(_at)?|completed(_at)?|overdue|available|favorite|recurring|has|is";
const FILTER_SIGNS = [
  new RegExp(`(^|[\\s(!-])(${FIELDS})\\s*(:|[<>=]|!=)`, "i"),
  /(^|[\s)])(AND|OR|NOT)(?=[\s("])|&&|\|\|/, // in capitals: "bread and butter" are words
  /(^|[\s(!-])[@#]\p{L}/u,
  /"[^"]+"/,
];
const NAMES_STATUS = /(status|completed(_at)?|is)\s*(:|[<>=]|!=)|\bcompleted\b/i;

/** @param {string} text */
export const isFilter = (text) => FILTER_SIGNS.some((sign) => sign.test(text));

/**
 * The status that a list shows: a filter that names one itself is not narrowed to what is open.
 * @param {Place} place
 */
export const statusOf = ({ search, status }) =>
  status === "pending" && isFilter(search) && NAMES_STATUS.test(search) ? "all" : status;

/**
 * The text of the search field as a parameter of the API's list.
 * @param {string} text
 * @returns {{ filter: string } | { search: string } | Record<string, never>}
 */
export function searchParameter(text) {
  const trimmed = text.trim();
  if (!trimmed) return {};
  return isFilter(trimmed) ? { filter: trimmed } : { search: trimmed.slice(0, 200) };
}

/**
 * The parameters of a view as a text for the search field.
 * @param {TaskFilter} parameters
 */
export function searchText({ search, filter }) {
  if (!search || !filter) return filter || search || "";
  const words = search.split(/\s+/).map((word) => `"${word.replace(/["\\]/g, "\\$&")}"`);
  return `(${filter}) ${words.join(" ")}`;
}
