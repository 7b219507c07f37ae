// Connects the parts: session, replica, stream, queue, keyboard, screen.
import { onTrouble, storage, TROUBLES } from "./database.js";
import { today } from "./dates.js";
import { enterDrafts } from "./drafts.js";
import { followFocus, keepPlace } from "./focus.js";
import { html, render } from "./html.js";
import { listen } from "./keyboard.js";
import { t } from "./language.js";
import { go, readPlace } from "./place.js";
import { queue } from "./queue.js";
import { keepOnly, loadReplica } from "./replica.js";
import { comeBack, noteEnd, onSession, session } from "./session.js";
import { changed, onChange, redraw, store } from "./store.js";
import { forget, start } from "./sync.js";
import { announce, complain, setTheme, show, toast } from "./ui.js";
import { forgetWrites } from "./undo.js";
import { App } from "./views/app.js";
import { HEAD_START, loadLater } from "./views/later.js";
import { showChange } from "./outcomes.js";
/** @import { Account } from "types/client" */

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const draw = () => {
  render(html`<${App} />`, root);
  keepPlace();
};

const DISK_PATIENCE = 3000; // milliseconds
let isEarly = true;
/** Not needed for the first paint. What fails is tried again with the next login or reload. */
const followPushes = () => import("./push.js").then(({ followLogin }) => followLogin(session.user)).catch(() => {});
setTimeout(() => {
  isEarly = false;
  followPushes();
  import("./installation.js").then(({ install }) => install()).catch(() => {});
  import("./drag.js").catch(() => {});
}, HEAD_START);

/** @type {string | null} */
let current = null; // the user of this replica
/** @param {Account | null} user */
async function enter(user) {
  if (!isEarly) followPushes();
  if (user?.id === current) return redraw();
  current = user?.id ?? null;
  forget();
  enterDrafts();
  forgetWrites();
  const opened = Promise.allSettled([current && loadReplica(current), queue.enter(), keepOnly(current)]);
  await Promise.race([opened, new Promise((done) => setTimeout(done, DISK_PATIENCE))]);
  if (user?.id !== current) return; // logged out, or in as another
  changed();
  if (user) start(showChange);
}

onChange(draw);
onChange(loadLater);
onChange(() => {
  const online = String(store.online);
  if (document.documentElement.dataset.online === online) return;
  if (document.documentElement.dataset.online) announce(store.online ? t("Online again") : t("Offline"));
  document.documentElement.dataset.online = online; // seen at the button of the lists, where these are closed
});
onTrouble(() => storage.trouble && storage.trouble !== "none" && toast(TROUBLES[storage.trouble], { failed: true }));
addEventListener("beforeunload", (event) => {
  if (storage.trouble === "lost" && queue.size) event.preventDefault();
});
onSession(enter);
let here = readPlace();
addEventListener("hashchange", () => {
  const { list, id } = here;
  here = readPlace();
  const isOther = list !== here.list || id !== here.id;
  show({ editing: null, sidebar: false, ...(isOther ? { selected: null } : {}) });
});
addEventListener("online", () => queue.send());
addEventListener("storage", (event) => {
  if (event.key !== "todo.user" || JSON.parse(event.newValue ?? "null")?.id === current) return;
  if (!event.newValue) noteEnd();
  location.reload(); // logged out or in elsewhere
});
// A click on a notification, while a window is open.
navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data.user === session.user?.id) go({ list: "all", id: "", task: Number(data.task) || 0 });
});
navigator.serviceWorker?.startMessages();
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
