// Where one was: the focus goes to the row next to an element that left the page, and each list keeps its scroll position.
import { hrefTo, readPlace } from "./place.js";

/** @type {{ element: Element, task: string, near: (string | undefined)[], part: string } | null} */
let last = null; // the element that had the focus, and the rows next to its task
/** @type {Map<string, number>} */
const scrolled = new Map(); // by the list, without the open task
let shown = "";

const listKey = () => hrefTo({ ...readPlace(), task: 0 });
/** @type {(task: string | undefined) => HTMLElement | null} */
const findRow = (task) => (task ? document.querySelector(`.row[data-id="${task}"]`) : null);

function noteNear() {
  const row = last && findRow(last.task);
  if (!last || !row) return;
  const { nextElementSibling: next, previousElementSibling: previous } = row;
  last.near = [next, previous].map((one) => /** @type {HTMLElement | null} */ (one)?.dataset.id);
}

/** After a change of the page. */
export function keepPlace() {
  const key = listKey();
  if (key !== shown) {
    shown = key;
    scrollTo(0, scrolled.get(key) ?? 0);
  }
  const active = document.activeElement;
  if (!last || last.element.isConnected || (active && active !== document.body)) return noteNear();
  const { task, near, part } = last;
  last = null;
  const row = [task, ...near].map(findRow).find(Boolean) ?? document.querySelector(".row");
  (row?.querySelector(part) ?? document.querySelector("#main"))?.focus();
}

export function followFocus() {
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => shown === listKey() && scrolled.set(shown, scrollY), { passive: true });
  addEventListener("focusin", ({ target }) => {
    const element = /** @type {HTMLElement} */ (target);
    // Browsers leave what is half seen where it is.
    if (element.matches(":focus-visible") && element.closest(".tabs, .toolbar"))
      element.scrollIntoView({ block: "nearest", inline: "nearest" });
    const row = element.closest(".row");
    const task = row?.dataset.id ?? element.closest(".details")?.dataset.id ?? last?.task ?? "";
    const near = task === last?.task ? last.near : [];
    last = element.closest("dialog, .sidebar")
      ? null
      : { element, task, near, part: row && element.matches(".check") ? ".check" : ".title" };
    noteNear();
  });
}
