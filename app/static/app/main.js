// Connects the parts: session, replica, stream, queue, keyboard, screen.
import { today } from "./dates.js";
import { enterDrafts } from "./drafts.js";
import { followFocus, keepPlace } from "./focus.js";
import { html, render } from "./html.js";
import { listen } from "./keyboard.js";
import { go } from "./place.js";
import { followLogin } from "./push.js";
import { queue } from "./queue.js";
import { comeBack, noteEnd, onSession, session } from "./session.js";
import { changed, onChange, redraw } from "./store.js";
import { forget, start } from "./sync.js";
import { complain, setTheme, show } from "./ui.js";
import { forgetWrites } from "./undo.js";
import { App } from "./views/app.js";
import { loadLater } from "./views/later.js";
import { showChange } from "./outcomes.js";
/** @import { Account } from "types/client" */

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const draw = () => {
  render(html`<${App} />`, root);
  keepPlace();
};

/** @type {string | null} */
let current = null; // the user of this replica
/** @param {Account | null} user */
function enter(user) {
  followLogin(user).catch(() => {}); // tried again with the next login or reload
  if (user?.id === current) return redraw();
  current = user?.id ?? null;
  forget();
  enterDrafts();
  forgetWrites();
  queue.enter();
  if (user) start(showChange);
}

onChange(draw);
onChange(loadLater);
onSession(enter);
addEventListener("hashchange", () => show({ editing: null, sidebar: false }));
addEventListener("online", () => queue.send());
addEventListener("storage", (event) => {
  if (event.key !== "todo.user" || JSON.parse(event.newValue ?? "null")?.id === current) return;
  if (!event.newValue) noteEnd();
  location.reload(); // logged out or in elsewhere
});
let day = today();
/** Over midnight, what was due tomorrow is due today. */
function followDay() {
  if (today() === day) return;
  day = today();
  changed();
}
setInterval(followDay, 60_000);
document.addEventListener("visibilitychange", followDay);
listen();
followFocus();
setTheme();
enter(session.user);
draw();
comeBack().then((linked) => linked && go({ list: "settings", id: "security" }), complain);
