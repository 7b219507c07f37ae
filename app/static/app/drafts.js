// What was typed and is not in the outbox, or was refused: by user and field, in localStorage, so that it survives a
// reload and a logout. Each window has a copy of its own; of two that type in the same field, the next reload shows the
// later text. Passwords and other secrets are never kept here.
import { useLayoutEffect, useState } from "./html.js";
import { session } from "./session.js";
/** @import { Typed, TypedText } from "types/client" */

const KEPT_FOR = 90 * 86_400_000; // milliseconds

/** @type {Map<string, TypedText>} */
const drafts = new Map();
/** @type {Set<(name: string) => void>} */
const listeners = new Set();
const prefix = () => `todo.draft.${session.user?.id}.`;

/** Reads the drafts of the logged-in user: those of another one are not shown. */
export function enterDrafts() {
  drafts.clear();
  if (!session.user) return;
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(prefix())) continue;
    const draft = /** @type {TypedText} */ (JSON.parse(localStorage.getItem(key) ?? "null"));
    if (draft.at > Date.now() - KEPT_FOR) drafts.set(key.slice(prefix().length), draft);
    else localStorage.removeItem(key);
  }
}

/** The rest of the names of the drafts that begin like this. @type {(start: string) => string[]} */
export const draftsOf = (start) =>
  [...drafts.keys()].filter((name) => name.startsWith(start)).map((name) => name.slice(start.length));

/** @type {(name: string) => TypedText | undefined} */
export const readDraft = (name) => drafts.get(name);

/**
 * @param {string} name
 * @param {Omit<TypedText, "at">} draft
 */
export function writeDraft(name, draft) {
  if (!draft.text && draft.before === undefined && !draft.others?.length) return dropDraft(name);
  const dated = { ...draft, at: Date.now() };
  drafts.set(name, dated);
  try {
    localStorage.setItem(prefix() + name, JSON.stringify(dated));
  } catch {
    // the storage is full: the text is kept until a reload
  }
  for (const listener of listeners) listener(name);
}

/** @param {string} name */
export function dropDraft(name) {
  drafts.delete(name);
  localStorage.removeItem(prefix() + name);
  for (const listener of listeners) listener(name);
}

/**
 * Removes a text that was sent. Refused ones wait behind it until they are put back.
 * @param {string} name
 */
export function takeDraft(name) {
  const { others = [] } = readDraft(name) ?? {};
  writeDraft(name, { text: "", others });
}

/**
 * Brings a refused text back to its field. Where something newer is typed in the field, it waits beside it; in a field
 * that changes a text, the newer one was made from it.
 * @param {Typed} typed
 * @param {string} refused
 */
export function restoreDraft({ name, ...rest }, refused) {
  const newer = readDraft(name);
  if (!newer || (!newer.text && rest.before === undefined)) writeDraft(name, { ...newer, ...rest, refused });
  else if (rest.before === undefined)
    writeDraft(name, { ...newer, others: [...(newer.others ?? []), { text: rest.text, refused }] });
}

/**
 * Returns the draft of a field, which is drawn again when it changes.
 * @param {string} name
 */
export function useDraft(name) {
  const [, draw] = useState(0);
  // Before anything can be typed: what is typed between the drawing and a later effect would not be drawn.
  useLayoutEffect(() => {
    const listener = (/** @type {string} */ changed) => void (changed === name && draw((times) => times + 1));
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, [name]);
  return readDraft(name);
}
