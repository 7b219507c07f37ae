// The service worker of this browser: it keeps the page and its files, and shows pushes. A new version waits until the
// user agrees to load it, since a window that is open goes on with its own.
import { ROOT } from "./api.js";
import { show } from "./ui.js";

const WORKER = new URL("app/service_worker.js", ROOT).href;
export const SCOPE = new URL("app", ROOT).pathname;
const LOOK_AFTER = 3_600_000; // milliseconds
const ACTIVE_AFTER = 2000;
const LOADING = "todo.loading"; // in this window: the new version, which the user has agreed to

let lookedAt = Date.now();
/** @type {{ createScriptURL(url: string): string } | undefined} */
let policy;

/** The page's policy allows the URL of a script from this one place. */
function workerUrl() {
  /** @type {{ createPolicy(name: string, rules: object): { createScriptURL(url: string): string } } | undefined} */
  const factory = Reflect.get(globalThis, "trustedTypes");
  policy ??= factory?.createPolicy("service-worker", { createScriptURL: () => WORKER });
  return policy?.createScriptURL(WORKER) ?? WORKER;
}

/** Returns the registration, once its worker is active. */
export async function register() {
  await navigator.serviceWorker.register(workerUrl(), { scope: SCOPE, type: "module", updateViaCache: "none" });
  return navigator.serviceWorker.ready;
}

/** Keeps the page for the next time, and offers new versions. */
export function install() {
  if (!("serviceWorker" in navigator)) return; // by http, browsers have none
  register().then(follow, () => {}); // without it, the page needs the service to open
}

/** @param {ServiceWorkerRegistration} registration */
function follow(registration) {
  const { serviceWorker } = navigator;
  if (sessionStorage.getItem(LOADING) && !registration.waiting) return load(); // it took over while this page loaded
  let isFirst = !serviceWorker.controller; // the one that takes over is of the version of this page
  const offer = () => registration.waiting && serviceWorker.controller && show({ update: true });
  const watch = () => registration.installing?.addEventListener("statechange", offer);
  serviceWorker.addEventListener("controllerchange", () => {
    if (sessionStorage.getItem(LOADING)) load();
    else if (!isFirst) show({ update: true }); // another window has loaded it
    isFirst = false;
  });
  registration.addEventListener("updatefound", watch);
  watch();
  offer();
  const look = () => {
    if (document.hidden || Date.now() - lookedAt < LOOK_AFTER) return;
    lookedAt = Date.now();
    registration.update().catch(() => {}); // offline
  };
  document.addEventListener("visibilitychange", look);
  setInterval(look, LOOK_AFTER);
}

function load() {
  sessionStorage.removeItem(LOADING);
  location.reload();
}

/**
 * Loads the new version. Other windows are offered it still. The browser lets the worker of the old one finish what it
 * does for this page: where that takes long, the page is loaded twice.
 */
export async function update() {
  const registration = await navigator.serviceWorker.getRegistration(SCOPE);
  if (!registration?.waiting) return load(); // another window did
  sessionStorage.setItem(LOADING, "yes");
  registration.waiting.postMessage("activate");
  setTimeout(() => location.reload(), ACTIVE_AFTER);
}
