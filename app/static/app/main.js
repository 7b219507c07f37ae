// Connects the parts: session, replica, stream, queue, keyboard, screen.
import { html, render } from "./html.js";
import { listen } from "./keyboard.js";
import { queue } from "./queue.js";
import { onSession, session } from "./session.js";
import { changed, onChange } from "./store.js";
import { forget, start } from "./sync.js";
import { setTheme, show } from "./ui.js";
import { App } from "./views/app.js";
import { showChange } from "./outcomes.js";
/** @import { Account } from "types/client" */

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const draw = () => render(html`<${App} />`, root);

/** @type {string | null} */
let current = null; // the user of this replica
/** @param {Account | null} user */
function enter(user) {
  if (user?.id === current) return changed();
  current = user?.id ?? null;
  forget();
  queue.enter();
  if (user) start(showChange);
}

onChange(draw);
onSession(enter);
addEventListener("hashchange", () => show({ editing: null, sidebar: false }));
addEventListener("online", () => queue.send());
addEventListener("storage", (event) => {
  if (event.key === "todo.user" && JSON.parse(event.newValue ?? "null")?.id !== current) location.reload(); // logged out or in elsewhere
});
listen();
setTheme();
enter(session.user);
draw();
