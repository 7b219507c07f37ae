// What a write did, in words.
import { isolate, quote } from "./bidi.js";
import { t, tn } from "./language.js";
/** @import { Change } from "types/client" */

/** @type {Record<string, (what: string) => string>} */
const ACTIONS = {
  created: (what) => t("Added {what}", { what }),
  updated: (what) => t("Changed {what}", { what }),
  deleted: (what) => t("Deleted {what}", { what }),
  restored: (what) => t("Restored {what}", { what }),
  purged: (what) => t("Deleted {what} permanently", { what }),
  completed: (what) => t("Completed {what}", { what }),
  reopened: (what) => t("Reopened {what}", { what }),
  cancelled: (what) => t("Cancelled {what}", { what }),
  skipped: (what) => t("Skipped {what} once", { what }),
  reminded: (what) => t("Reminded of {what}", { what }),
};
/** @type {Record<string, (name: string) => string>} */
const KINDS = {
  project: (name) => t("the project {name}", { name: quote(name) }),
  view: (name) => t("the view {name}", { name: quote(name) }),
  channel: (name) => t("the channel {name}", { name: quote(name) }),
  tag: (name) => t("the colour of {tag}", { tag: `@${isolate(name)}` }),
};

/** @param {Change[]} changes of one write */
export function sayChange(changes) {
  const [{ entity, action, data }] = changes;
  const { title, name: called } = /** @type {{ title?: string, name?: string }} */ (data);
  const first = title ? quote(title) : called ? (KINDS[entity]?.(called) ?? quote(called)) : t("a comment");
  const count = changes.length - 1;
  const what = count ? tn("{first} and {count} more", "{first} and {count} more", count, { first }) : first;
  return ACTIONS[action]?.(what) ?? what;
}
