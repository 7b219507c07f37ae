import { html, useEffect, useState } from "../html.js";
import { useMissingTask } from "../done.js";
import { t } from "../language.js";
import { go, hrefTo, isKnown, readPlace } from "../place.js";
import { session } from "../session.js";
import { confirmed, getTask, keyOf, redraw, store } from "../store.js";
import { toast, ui } from "../ui.js";
import { HEAD_START, later } from "./later.js";
import { ListsButton, Sidebar } from "./sidebar.js";
import { TaskPage } from "./task_page.js";
import { Toasts } from "./toast.js";
/** @import { Place } from "types/client" */

const wait = () => html`<p class="empty">${store.online ? t("One moment…") : t("Offline")}</p>`;
const ActivityPage = later(() => import("./activity.js"), "Activity", { isRare: true, wait });
const BellPanel = later(() => import("./bell.js"), "BellPanel");
const CalendarPage = later(() => import("./calendar.js"), "Calendar", { wait });
const ChannelsPage = later(() => import("./channels.js"), "Channels", { isRare: true, wait });
const Chat = later(() => import("./chat.js"), "Chat");
const Conflict = later(() => import("./conflict.js"), "Conflict");
const Details = later(() => import("./details.js"), "Details");
const Help = later(() => import("./help.js"), "Help");
const Login = later(() => import("./login.js"), "Login", { isRare: true });
const Mailed = later(() => import("./mailed.js"), "Mailed", { isRare: true });
const Palette = later(() => import("./palette.js"), "Palette");
const Proof = later(() => import("./second_factor.js"), "Proof", { isRare: true });
const Settings = later(() => import("./settings/page.js"), "Settings", { isRare: true, wait });
const Trash = later(() => import("./trash.js"), "Trash", { wait });
const ZoneOffer = later(() => import("./zone_offer.js"), "ZoneOffer");

// As in app.css: the details lie above the list; the lists lie above everything.
const NARROW = "(max-width: 1000px)";
const PHONE = "(max-width: 760px)";

/** @param {Place} place */
function page(place) {
  if (!isKnown(place)) return html`<${Unknown} place=${place} />`;
  if (place.list === "calendar") return html`<${CalendarPage} place=${place} />`;
  if (place.list === "trash") return html`<${Trash} />`;
  if (place.list === "activity") return html`<${ActivityPage} />`;
  if (place.list === "settings") return html`<${Settings} part=${place.id} />`;
  return place.list === "channels" ? html`<${ChannelsPage} />` : html`<${TaskPage} place=${place} />`;
}

/**
 * A place that the URL names and that does not exist.
 * @param {{ place: Place }} props
 */
function Unknown({ place }) {
  useEffect(() => void (document.title = `${t("Not found")} · Todo`), []);
  return html`
    <header class="head">
      <${ListsButton} />
      <h1>${t("Not found")}</h1>
    </header>
    <p class="empty">${place.list === "project" ? t("This project does not exist, or not any more.") : t("There is no such page.")} <a class="link" href=${hrefTo({ list: "all" })}>${t("All tasks")}</a></p>
  `;
}

export function App() {
  const { list } = readPlace();
  if (list === "reset" || list === "confirm") return html`<${Mailed} list=${list} />`;
  return session.user && !session.waiting ? html`<${Frame} />` : html`<${Login} />`;
}

function Frame() {
  const [isSettled, setSettled] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(true), HEAD_START);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    const sizes = [NARROW, PHONE].map((query) => matchMedia(query));
    sizes.forEach((size) => size.addEventListener("change", redraw));
    return () => sizes.forEach((size) => size.removeEventListener("change", redraw));
  }, []);
  const place = readPlace();
  const open = place.task ? getTask(place.task) : null;
  const isGone = useMissingTask(open || confirmed("task", place.task) ? 0 : place.task);
  useEffect(() => {
    if (!isGone) return;
    go({ task: 0 }, { replace: true });
    toast(t("This task does not exist, or not any more."), { failed: true });
  }, [isGone]);
  // What is covered cannot have the focus.
  const isBehind = (open || ui.panel === "chat") && matchMedia(NARROW).matches;
  const isBelow = ui.sidebar && matchMedia(PHONE).matches;
  useEffect(() => {
    if (!isBelow) return undefined;
    document.querySelector(".sidebar a")?.focus();
    return () => setTimeout(() => document.activeElement === document.body && document.querySelector(".menu")?.focus());
  }, [isBelow]);
  return html`
    <button class="skip" hidden=${isBehind || isBelow} onClick=${() => document.querySelector("#main")?.focus()}>${t("Skip to the tasks")}</button>
    <div class=${`frame${open ? " with-details" : ""}${ui.sidebar ? " with-sidebar" : ""}`}>
      <${Sidebar} place=${place} />
      <main id="main" tabindex="-1" inert=${isBehind || isBelow}>${isSettled && html`<${ZoneOffer} />`}${page(place)}</main>
      ${open && html`<${Details} key=${keyOf(open)} task=${open} />`}
      ${ui.panel === "chat" && html`<${Chat} />`}
    </div>
    ${ui.panel === "bell" && html`<${BellPanel} />`}
    ${ui.panel === "help" && html`<${Help} />`}
    ${ui.panel === "palette" && html`<${Palette} />`}
    ${ui.proving && html`<${Proof} proving=${ui.proving} />`}
    ${ui.conflicts.slice(0, 1).map((one) => html`<${Conflict} key=${one.op.key} ...${one} />`)}
    <${Toasts} />
  `;
}
