// What a pressed finger or mouse button begins on a row: its grip drags the row, a finger once it has rested; a finger that
// rests elsewhere selects the row. The modules that do so are loaded then.
import { getTask } from "./store.js";
import { complain } from "./ui.js";
/** @import { On } from "types/client" */

const HOLD = 400; // milliseconds that a finger rests; before, it scrolls
const SHAKE = 8; // pixels
const ENDS = ["pointerup", "pointercancel"];
const BROWSERS_OWN = ["click", "contextmenu"]; // what a browser does after a finger has rested, or when it is lifted

/** @param {On<HTMLElement, PointerEvent>} event */
export function press(event) {
  let isDown = true;
  const lift = () => {
    isDown = false;
    for (const name of ENDS) removeEventListener(name, lift);
  };
  for (const name of ENDS) addEventListener(name, lift);
  const drag = () => import("./drag.js").then(({ startDrag }) => isDown && startDrag(event), complain);
  const isGrip = event.target.closest(".grip, .chip");
  if (event.pointerType !== "touch") return event.target.closest(".chip") ? onceMoved(event, drag) : void drag();
  const task = getTask(Number(event.target.closest(".row")?.dataset.id));
  hold(event, () => {
    if (isGrip) drag();
    else if (task) import("./selection.js").then(({ holdSelected }) => holdSelected(task), complain);
  });
}

/**
 * Acts once the mouse has moved: until then it may be a click.
 * @param {PointerEvent} event
 * @param {() => void} act
 */
function onceMoved({ clientX, clientY }, act) {
  /** @type {(event: PointerEvent) => void} */
  const move = (now) => {
    if (Math.hypot(now.clientX - clientX, now.clientY - clientY) <= SHAKE) return;
    give();
    act();
  };
  const give = () => {
    removeEventListener("pointermove", move);
    for (const name of ENDS) removeEventListener(name, give);
  };
  addEventListener("pointermove", move);
  for (const name of ENDS) addEventListener(name, give);
}

/**
 * Acts once the finger has rested.
 * @param {On<HTMLElement, PointerEvent>} event
 * @param {() => void} act
 */
function hold({ clientX, clientY }, act) {
  const give = () => {
    clearTimeout(timer);
    for (const name of ENDS) removeEventListener(name, give);
    removeEventListener("pointermove", move);
  };
  /** @type {(event: PointerEvent) => void} */
  const move = (now) => void (Math.hypot(now.clientX - clientX, now.clientY - clientY) > SHAKE && give());
  const timer = setTimeout(() => {
    give();
    act();
    navigator.vibrate?.(10);
    for (const name of BROWSERS_OWN) addEventListener(name, swallow, true);
    const stop = () => {
      for (const name of BROWSERS_OWN) removeEventListener(name, swallow, true);
    };
    addEventListener("pointerdown", stop, { capture: true, once: true });
    for (const name of ENDS) addEventListener(name, () => setTimeout(stop, HOLD), { once: true }); // keys click, too
  }, HOLD);
  for (const name of ENDS) addEventListener(name, give);
  addEventListener("pointermove", move);
}

const swallow = (/** @type {Event} */ event) => {
  if (!(/** @type {On} */ (event).target.closest(".row, .chip"))) return;
  event.preventDefault();
  event.stopPropagation();
};
