// Text of users within sentences: what is written from right to left, or turns the direction, stays within itself.
import { t } from "./language.js";

const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;

/** @type {(text: string) => string} */
export const isolate = (text) => (TURNS.test(text) ? `\u2068${text}\u2069` : text);

const SHORT = 40; // characters of a title in a message

/**
 * A name or a title in quotation marks.
 * @param {string} text
 */
export function quote(text) {
  const letters = [...text];
  return t("“{text}”", { text: isolate(letters.length > SHORT ? `${letters.slice(0, SHORT - 1).join("")}…` : text) });
}
