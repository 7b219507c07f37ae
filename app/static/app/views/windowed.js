// Of a long list only the rows near the screen are in the page, between gaps as high as the rows that are left out. Own
// code, because @tanstack/virtual-core is 17 KB compressed, a ninth of the first load, and this is 1.
import { useEffect, useLayoutEffect, useRef, useState } from "../html.js";

const WHOLE_MAX = 100; // a list of no more rows is drawn whole
const MARGIN = 300; // pixels above and below the screen that are drawn also
const USUAL = 52; // pixels of a row before any was measured
const HEAD = 240; // pixels above the list before it is drawn

/** @type {Map<number, number>} */
const heights = new Map(); // pixels, by the id of the task, in any list
let measured = 0; // their sum
let pinned = 0;

/**
 * Keeps the row of a task in the page while it is dragged. 0: none.
 * @param {number} id
 */
export const pin = (id) => void (pinned = id);

/** @param {HTMLElement} list */
function measure(list) {
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll(".row"))) {
    const id = Number(row.dataset.id);
    const head = row.previousElementSibling;
    const height = row.offsetHeight + (head?.matches(".group") ? /** @type {HTMLElement} */ (head).offsetHeight : 0);
    measured += height - (heights.get(id) ?? 0);
    heights.set(id, height);
  }
}

/** @param {number[]} ids */
function topsOf(ids) {
  const usual = heights.size ? measured / heights.size : USUAL;
  const tops = new Float64Array(ids.length + 1);
  ids.forEach((id, at) => (tops[at + 1] = tops[at] + (heights.get(id) ?? usual)));
  return tops;
}

/**
 * The place of the row at that height.
 * @param {Float64Array} tops
 * @param {number} y
 */
function find(tops, y) {
  let [low, high] = [0, tops.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Rows that stay in the page wherever it is scrolled: else the focus, or what is typed in them, would be lost. */
function staying() {
  const focused = Number(document.activeElement?.closest?.(".row")?.dataset.id);
  return [pinned, focused].filter(Boolean);
}

/**
 * Returns the parts of the list to be drawn, each a row by its index or a gap of so many pixels; null: all rows.
 * @param {number[]} ids of the tasks in their order
 */
export function useWindow(ids) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const drawn = useRef({ from: 0, to: 0, tops: new Float64Array(1) });
  const [, draw] = useState(0);
  const [whole, setWhole] = useState(false); // for the printer
  const isLong = ids.length > WHOLE_MAX && !whole;
  /** @type {(tops: Float64Array, margin: number) => [number, number]} */
  const near = (tops, margin) => {
    const top = list.current ? list.current.getBoundingClientRect().top : HEAD - scrollY;
    return [find(tops, -top - margin), find(tops, innerHeight - top + margin)];
  };
  const check = () => {
    const { from, to, tops } = drawn.current;
    const [first, last] = near(tops, MARGIN / 3);
    if (first < from || last > to) draw((times) => times + 1);
  };
  useLayoutEffect(() => {
    if (!isLong || !list.current) return;
    measure(list.current);
    drawn.current.tops = topsOf(ids);
    check();
  });
  useEffect(() => {
    const print = () => setWhole(true);
    const endPrint = () => setWhole(false);
    let width = innerWidth;
    const resize = () => {
      if (innerWidth === width) return check();
      width = innerWidth;
      heights.clear();
      measured = 0;
      draw((times) => times + 1);
    };
    addEventListener("scroll", check, { passive: true });
    addEventListener("resize", resize);
    addEventListener("beforeprint", print);
    addEventListener("afterprint", endPrint);
    return () => {
      removeEventListener("scroll", check);
      removeEventListener("resize", resize);
      removeEventListener("beforeprint", print);
      removeEventListener("afterprint", endPrint);
    };
  }, []); // eslint-disable-line react-hooks/exhaustive-deps -- what it reads is in refs
  if (!isLong) {
    drawn.current = { from: 0, to: ids.length, tops: drawn.current.tops };
    return { list, parts: null };
  }
  const tops = topsOf(ids);
  const [from, to] = near(tops, MARGIN);
  drawn.current = { from, to, tops };
  const shown = new Set(Array.from({ length: to - from + 1 }, (_, at) => from + at));
  for (const id of staying()) if (ids.includes(id)) shown.add(ids.indexOf(id));
  /** @type {({ row: number } | { gap: number })[]} */
  const parts = [];
  let next = 0;
  for (const at of [...shown].sort((one, other) => one - other)) {
    if (at > next) parts.push({ gap: tops[at] - tops[next] });
    parts.push({ row: at });
    next = at + 1;
  }
  if (next < ids.length) parts.push({ gap: tops[ids.length] - tops[next] });
  return { list, parts };
}
