// German texts of the page, by the English ones.

/** @type {Record<string, string>} */
export const TEXTS = {
  "All tasks": "Alle Aufgaben",
  Lists: "Listen",
  "Not found": "Nicht gefunden",
  "There is no such page.": "Diese Seite gibt es nicht.",
  "This project does not exist, or not any more.": "Dieses Projekt gibt es nicht oder nicht mehr.",
};
