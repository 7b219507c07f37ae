// Parts of the page that are not needed to show the tasks: loaded when they are opened, or once the tasks are shown, so
// that they are there offline also.
import { html, useEffect, useState } from "../html.js";
import { t } from "../language.js";
import { store } from "../store.js";
import { complain } from "../ui.js";

export const HEAD_START = 3000; // milliseconds that the tasks have before them
/** @type {(() => Promise<unknown>)[]} */
const waiting = [];

/** @type {Promise<unknown> | null} */
let styles = null;

/** Loads the style sheet of these parts, once. */
function loadStyles() {
  styles ??= new Promise((done, fail) => {
    const link = document.createElement("link");
    Object.assign(link, { rel: "stylesheet", href: new URL("../later.css", import.meta.url).href, onload: done });
    link.onerror = () => {
      styles = null;
      link.remove();
      fail(new Error("no style sheet"));
    };
    document.head.append(link);
  });
  return styles;
}

let isLoading = false;

/** Loads the parts once the tasks are there; what cannot be loaded is tried again when it is opened. */
export function loadLater() {
  if (isLoading || store.revision === null) return;
  isLoading = true;
  setTimeout(() => waiting.forEach((load) => load().catch(() => {})), HEAD_START);
}

/**
 * Returns a component that is loaded when it is first shown. `isRare`: not before.
 * @template {string} N
 * @param {() => Promise<{ [name in N]: any }>} load
 * @param {N} name
 * @param {{ isRare?: boolean, wait?: (props: any) => unknown }} [how]
 */
export function later(load, name, { isRare = false, wait = () => null } = {}) {
  /** @type {{ [name in N]: any } | null} */
  let found = null;
  const fetchIt = async () => void (found ??= (await Promise.all([load(), loadStyles()]))[0]);
  if (!isRare) waiting.push(fetchIt);
  return function Later(/** @type {Record<string, unknown>} */ props) {
    const [, draw] = useState(found !== null);
    const { online } = store;
    useEffect(() => {
      const refuse = () => complain(new Error(t("This part of the page cannot be loaded without the service.")));
      fetchIt().then(() => draw(true), refuse); // it may have come since it was drawn without
    }, [online]);
    return found ? html`<${found[name]} ...${props} />` : wait(props);
  };
}
