// Where the words of a search are: marked in titles and tags, and a line with the words around them in notes and comments.
import { fold } from "../folding.js";
import { html } from "../html.js";
import { t } from "../language.js";
import { comments } from "../store.js";
/** @import { Task } from "types/client" */

const AROUND = 36; // characters before and behind a hit

/** @type {(search: string) => string[]} */
const wordsOf = (search) => fold(search).split(/\s+/).filter(Boolean);

/**
 * The parts of a text in which the words are, as pairs of its indexes, in order and apart.
 * @param {string} text
 * @param {string[]} words folded
 * @returns {[start: number, end: number][]}
 */
function hitsIn(text, words) {
  let folded = "";
  /** @type {number[]} */
  const starts = []; // of the letter of the text from which each folded one comes
  /** @type {number[]} */
  const ends = [];
  let at = 0;
  for (const letter of text) {
    const plain = fold(letter);
    at += letter.length;
    if (!plain && ends.length) ends[ends.length - 1] = at; // an accent of the letter before it
    for (let place = 0; place < plain.length; place += 1) {
      starts.push(at - letter.length);
      ends.push(at);
    }
    folded += plain;
  }
  /** @type {[number, number][]} */
  const found = [];
  for (const word of words) {
    for (let place = folded.indexOf(word); place >= 0; place = folded.indexOf(word, place + word.length))
      found.push([starts[place], ends[place + word.length - 1]]);
  }
  found.sort(([a], [b]) => a - b);
  /** @type {[number, number][]} */
  const apart = [];
  for (const [start, end] of found) {
    const last = apart.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else apart.push([start, end]);
  }
  return apart;
}

/**
 * @param {string} text
 * @param {[number, number][]} hits
 */
function markedParts(text, hits) {
  let at = 0;
  const parts = hits.flatMap(([start, end]) => {
    const before = text.slice(at, start);
    at = end;
    return [before, html`<mark>${text.slice(start, end)}</mark>`];
  });
  return [...parts, text.slice(at)];
}

/**
 * A text with the words of the search marked.
 * @param {{ text: string, search: string }} props
 */
export const Marked = ({ text, search }) => markedParts(text, hitsIn(text, wordsOf(search)));

/**
 * The words around the first hit.
 * @param {string} text
 * @param {string[]} words
 */
function excerpt(text, words) {
  const line = text.replace(/\s+/g, " ").trim();
  const [start, end] = hitsIn(line, words)[0] ?? [0, 0];
  const space = line.lastIndexOf(" ", Math.max(0, start - AROUND));
  const from = start <= AROUND ? 0 : space < 0 ? start - AROUND : space + 1;
  const next = line.indexOf(" ", end + AROUND);
  const to = line.length <= end + AROUND ? line.length : next < 0 ? line.length : next;
  const shown = `${from ? "… " : ""}${line.slice(from, to)}${to < line.length ? " …" : ""}`;
  return markedParts(shown, hitsIn(shown, words));
}

/**
 * The places of the words that are neither in the title nor in the tags.
 * @param {{ task: Task, search: string }} props
 */
export function Hit({ task, search }) {
  const has = (/** @type {string} */ text, /** @type {string[]} */ some) => {
    const folded = fold(text);
    return some.filter((word) => folded.includes(word));
  };
  const shown = [task.title, ...task.tags].join(" ");
  let missing = wordsOf(search);
  const seen = has(shown, missing);
  missing = missing.filter((word) => !seen.includes(word));
  /** @type {[label: string, text: string, words: string[]][]} */
  const lines = [];
  /** @type {[label: string, text: string][]} */
  const places = [
    [t("In the notes:"), task.description ?? ""],
    ...comments(task.id).map(({ body }) => /** @type {[string, string]} */ ([t("In a comment:"), body])),
  ];
  for (const [label, text] of places) {
    const words = has(text, missing);
    if (words.length) lines.push([label, text, words]);
    missing = missing.filter((word) => !words.includes(word));
  }
  return html`
    ${lines.map(([label, text, words]) => html`<p class="hit"><span>${label}</span> <bdi>${excerpt(text, words)}</bdi></p>`)}
    ${missing.length > 0 && html`<p class="hit">${t("In a comment that is not kept here")}</p>`}
  `;
}
