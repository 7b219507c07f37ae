// The language of the page. Texts are English in the code; the catalogue of another language translates them.

/** @type {Record<string, string>} */
export const LANGUAGES = { en: "English", de: "Deutsch" };
const RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"]; // not of Intl: Firefox does not tell the direction of a locale
const LANGUAGE = "todo.language";
/** @type {(tag: string) => string} */
const primary = (tag) => tag.split("-")[0] ?? tag;

/** The language that was chosen here, or "" for the browser's. */
export const chosenLanguage = () => localStorage.getItem(LANGUAGE) ?? "";

/**
 * Keeps the language for the next load of the page: texts are read when modules are loaded, also.
 * @param {string} language of LANGUAGES, or "" for the browser's
 */
export function chooseLanguage(language) {
  if (language) localStorage.setItem(LANGUAGE, language);
  else localStorage.removeItem(LANGUAGE);
}

/** The browser's locales, without those that Intl does not read, such as "C". */
const locales = navigator.languages.filter((tag) => {
  try {
    return Intl.getCanonicalLocales(tag);
  } catch {
    return false;
  }
});
export const usualLanguage = locales.map(primary).find((one) => one in LANGUAGES) ?? "en";
export const language = chosenLanguage() in LANGUAGES ? chosenLanguage() : usualLanguage;
const region = new Intl.Locale(locales[0] ?? "en").region;
/** How dates and numbers are written: the first of the browser's locales with this language, else its region's way. */
export const locale = locales.find((one) => primary(one) === language) ?? (region ? `${language}-${region}` : language);
document.documentElement.lang = language;
document.documentElement.dir = RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr";

/** @type {{ TEXTS: Record<string, string>, PROBLEMS: Record<string, string> }} */
const { TEXTS: catalogue, PROBLEMS: problems } =
  language === "en" ? { TEXTS: {}, PROBLEMS: {} } : await import(`./languages/${language}.js`);
const plural = new Intl.PluralRules(language);
const PLACE = /\{(\w+)\}/g;
const NUMBERS = new Intl.NumberFormat(locale);
/** @type {(number: number) => string} */
export const sayNumber = (number) => NUMBERS.format(number);
/** @type {(value: unknown) => string} */
const say = (value) => (typeof value === "number" ? sayNumber(value) : String(value));

/**
 * A text in the language of the page; `{name}` in it stands for the value of that name.
 * @param {string} text in English, a literal: the tests look for it in the catalogues
 * @param {Readonly<Record<string, unknown>>} [values]
 */
export function t(text, values = {}) {
  return (catalogue[text] ?? text).replace(PLACE, (place, name) => say(values[name] ?? place));
}

/**
 * A text for a template, in whose places elements are put: a link, a name in bold.
 * @param {string} text in English, a literal
 * @param {Readonly<Record<string, unknown>>} values
 * @returns {unknown[]}
 */
export const tt = (text, values) =>
  (catalogue[text] ?? text).split(PLACE).map((part, at) => (at % 2 ? (values[part] ?? `{${part}}`) : part));

/**
 * A text that depends on a number, which is its `{count}`. A catalogue has a text for each plural form of its language,
 * such as "few", below `<many>|few`; "one" and "other" are `one` and `many` themselves.
 * @param {string} one in English, a literal
 * @param {string} many in English, a literal
 * @param {number} count
 * @param {Readonly<Record<string, unknown>>} [values]
 */
export function tn(one, many, count, values = {}) {
  const form = plural.select(count);
  const text = form === "one" ? one : `${many}|${form}` in catalogue ? `${many}|${form}` : many;
  return t(text, { count, ...values });
}

/**
 * A sentence of the service, which speaks English: by itself, else by the code of an error, which stands for several.
 * @type {(text: string, code?: string) => string}
 */
export const sayService = (text, code = "") => problems[text] ?? problems[code] ?? text;
