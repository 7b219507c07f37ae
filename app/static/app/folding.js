// Text without case and accents, as the service's search compares it (search_fold() in its migrations).
const FOREIGN = /[\u0080-\uffff]/;
const ACCENTS = [
  [0x0300, 0x036f],
  [0x1ab0, 0x1aff],
  [0x1dc0, 0x1dff],
  [0x20d0, 0x20ff],
  [0xfe20, 0xfe2f],
];
/** @type {Record<string, string>} */
const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ł: "l", đ: "d", ð: "d", ħ: "h", ŧ: "t", ı: "i", ς: "σ" };
const ANY_LETTER = new RegExp(`[${Object.keys(LETTERS).join("")}]`, "g");

/** @type {(mark: string) => string} */
function keepOthers(mark) {
  const code = mark.charCodeAt(0);
  return ACCENTS.some(([first, last]) => code >= first && code <= last) ? "" : mark;
}

/** @type {(text: string) => string} */
export const fold = (text) =>
  FOREIGN.test(text)
    ? text
        .normalize("NFKD")
        .replace(/\p{M}/gu, keepOthers)
        .toLowerCase()
        .replace(ANY_LETTER, (letter) => LETTERS[letter] ?? letter)
    : text.toLowerCase();
