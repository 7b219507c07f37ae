// The language of the page. Texts are English in the code; the catalogue of another language translates them.

/** @type {Record<string, string>} */
export const LANGUAGES = { en: "English", de: "Deutsch" };
const LANGUAGE = "todo.language";
/** @type {(tag: string) => string} */
const primary = (tag) => tag.split("-")[0] ?? tag;

/** The language that was chosen here, or "" for the browser's. */
export const chosenLanguage = () => localStorage.getItem(LANGUAGE) ?? "";

/** @param {string} language of LANGUAGES, or "" for the browser's */
export function chooseLanguage(language) {
  if (language) localStorage.setItem(LANGUAGE, language);
  else localStorage.removeItem(LANGUAGE);
  location.reload(); // texts are read when modules are loaded, also
}

export const language = [chosenLanguage(), ...navigator.languages].map(primary).find((one) => one in LANGUAGES) ?? "en";
/** The first of the browser's locales that has this language: how dates and numbers are written. */
export const locale = navigator.languages.find((one) => primary(one) === language) ?? language;
document.documentElement.lang = language;

/** @type {Record<string, string>} */
const catalogue = language === "en" ? {} : (await import(`./languages/${language}.js`)).TEXTS;
const plural = new Intl.PluralRules(language);
const PLACE = /\{(\w+)\}/g;

/**
 * A text in the language of the page; `{name}` in it stands for the value of that name.
 * @param {string} text in English, a literal: the tests look for it in the catalogues
 * @param {Record<string, string | number>} [values]
 */
export function t(text, values = {}) {
  return (catalogue[text] ?? text).replace(PLACE, (place, name) => String(values[name] ?? place));
}

/**
 * A text that depends on a number, which is its `{count}`. A catalogue has a text for each plural form of its language,
 * such as "few", below `<many>|few`; "one" and "other" are `one` and `many` themselves.
 * @param {string} one in English, a literal
 * @param {string} many in English, a literal
 * @param {number} count
 * @param {Record<string, string | number>} [values]
 */
export function tn(one, many, count, values = {}) {
  const form = plural.select(count);
  const text = form === "one" ? one : `${many}|${form}` in catalogue ? `${many}|${form}` : many;
  return t(text, { count, ...values });
}
