// Files that the user brings. The service recognises the format by the content; the type is a hint.
import { newKey, read } from "./api.js";
import { send } from "./session.js";

/** @type {Record<string, string>} */
const TYPES = { csv: "text/csv", ics: "text/calendar", json: "application/json", txt: "text/plain" };

/**
 * Imports a file, or says what would come of it.
 * @param {File} file
 * @param {boolean} isCheck
 */
export async function importFile(file, isCheck) {
  const ending = file.name.split(".").pop()?.toLowerCase() ?? "";
  const headers = { "Content-Type": TYPES[ending] ?? "application/octet-stream", "Idempotency-Key": newKey() };
  const path = /** @type {"/import"} */ (isCheck ? "/import?dry_run=true" : "/import");
  // A file is not the JSON that the route describes.
  return (await read(await send("POST", path, /** @type {any} */ ({ file, headers })))).data;
}
