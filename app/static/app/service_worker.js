// Keeps the page and its files, by version, so that it opens without the service; and shows pushed reminders, also when
// no window is open. For Snooze and Complete it gets an access token for the refresh cookie, as a window does: nothing
// that authorizes is kept here, and after a logout there is no cookie. Rows are the page's affair: nothing of the API passes here.
import { hasStatus, Problem, read, request, ROOT } from "./api.js";
import { deleteRecord, readRecord, SNOOZE_MINUTES, writeRecord } from "./push_record.js";
/** @import { PushBody } from "types/client" */
/** @import { PushMessage, Shown, WorkerScope } from "types/worker" */
/** @import { PushRecord } from "./push_record.js" */

const worker = /** @type {WorkerScope} */ (/** @type {unknown} */ (globalThis));
const PAGE = new URL("app", ROOT).href;
const CACHES = "todo-";
const ACTIONS = ["snooze", "complete"];

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("message", ({ data }) => data === "activate" && worker.skipWaiting());
worker.addEventListener("fetch", (event) => {
  const { method, url, mode } = event.request;
  if (method !== "GET" || !url.startsWith(PAGE)) return;
  const [path] = url.split(/[?#]/);
  if (mode === "navigate" && path === PAGE) event.respondWith(find(PAGE, event.request));
  else if (path.startsWith(`${PAGE}/`)) event.respondWith(find(path, event.request));
});
worker.addEventListener("push", (event) => event.waitUntil(showPush(event.data?.json())));
worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(act(event.action, event.notification));
});
worker.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event.newSubscription)));

const windows = () => worker.clients.matchAll({ type: "window", includeUncontrolled: true });

/** A version with other settings has another page. */
const cacheName = () => `${CACHES}${worker.kept.version}-${worker.kept.page.replace(/\W/g, "")}`;

/** Fetches everything, or fails: then the browser tries again when it next looks for a new version. */
async function install() {
  const isFirst = !(await caches.keys()).some((name) => name.startsWith(CACHES));
  const cache = await caches.open(cacheName());
  try {
    await Promise.all([keepPage(cache), ...worker.kept.files.map((name) => keepFile(cache, name))]);
  } catch (error) {
    await caches.delete(cacheName());
    throw error;
  }
  if (isFirst) await worker.skipWaiting(); // else the windows that are open go on with their version until they agree
}

/** @param {Cache} cache */
async function keepPage(cache) {
  const page = await fetch(PAGE, { cache: "no-cache" });
  const isCurrent = page.headers.get("etag")?.endsWith(worker.kept.page);
  if (!page.ok || !isCurrent) throw new Error("The page is of another version.");
  await cache.put(PAGE, page);
}

/**
 * During a rollout an old process may return the file of its own version, which it does not call immutable.
 * @param {Cache} cache
 * @param {string} name
 */
async function keepFile(cache, name) {
  const url = `${PAGE}/${worker.kept.version}/${name}`;
  const file = await fetch(url);
  if (!file.ok || !file.headers.get("cache-control")?.includes("immutable")) throw new Error(`${name} is missing.`);
  await cache.put(url, file);
}

/** Forgets old versions but the one before, of which a window may still be open. */
async function activate() {
  const names = (await caches.keys()).filter((name) => name.startsWith(CACHES) && name !== cacheName());
  for (const name of names.slice(0, -1)) await caches.delete(name);
  await worker.clients.claim();
}

/**
 * Returns what is kept, else what the service has. The page is that of this version, files are those of their own.
 * @param {string} url
 * @param {Request} asked
 */
async function find(url, asked) {
  const cacheOfPage = url === PAGE ? cacheName() : undefined;
  return (await caches.match(url, { ignoreVary: true, cacheName: cacheOfPage })) ?? fetch(asked);
}

/**
 * Some browsers end a subscription whose messages are not shown, so each is: without a sound while the user looks at the
 * client, where the bell shows it.
 * @param {PushMessage | undefined} message
 */
async function showPush(message) {
  const record = await readRecord();
  if (!record || !message) return; // logged out
  const { id, kind, title, text, task_id: task, due_at } = message;
  await worker.registration.showNotification(title, {
    body: text,
    tag: id, // a message that arrives twice is shown once
    timestamp: due_at ? Date.parse(due_at) : Date.now(),
    silent: (await windows()).some((one) => one.focused),
    data: { user: record.user, task, kind },
    actions: task ? actionsOf(record) : [],
  });
}

/** @param {PushRecord} record */
const actionsOf = ({ texts }) => [
  { action: "snooze", title: texts?.snooze ?? `Snooze ${SNOOZE_MINUTES} min` },
  { action: "complete", title: texts?.complete ?? "Complete" },
];

/**
 * @param {string} action
 * @param {Shown} notification
 */
async function act(action, { title, body, tag, data }) {
  const record = await readRecord();
  if (record?.user !== data.user) return openPage(""); // of an earlier login
  if (!data.task || !ACTIONS.includes(action)) return openTask(data);
  try {
    return await write(record, action, data.task, tag);
  } catch (error) {
    if (hasStatus(error, 401, 403)) return openPage("");
    const reason = error instanceof Error ? error.message : String(error);
    return worker.registration.showNotification(title, {
      body: `${record.texts?.failed ?? "Not saved:"} ${reason}\n${body}`,
      tag,
      data,
      actions: hasStatus(error, 404) ? [] : actionsOf(record),
    });
  }
}

/**
 * @param {PushRecord} record
 * @param {string} action
 * @param {number} task
 * @param {string} id of the message: a click on a double of it, or after a lost response, has no second effect
 */
async function write(record, action, task, id) {
  const headers = { ...(await authorize(record)), "Idempotency-Key": `${id}-${action}` };
  if (action === "snooze")
    await request("POST", `api/me/tasks/${task}/snooze`, { body: { minutes: SNOOZE_MINUTES }, headers });
  else await request("PATCH", `api/me/tasks/${task}/complete`, { body: { completed: true }, headers });
}

/**
 * Returns the header with an access token of the user of the record; throws 401 if another or none is logged in.
 * @param {PushRecord} record
 * @returns {Promise<Record<string, string>>}
 */
async function authorize(record, again = true) {
  try {
    const headers = { "X-Refresh-Cookie": "true" };
    const { data } = await read(await request("POST", "api/auth/refresh", { body: {}, headers }));
    if (data.user.id !== record.user) throw new Problem(401, null);
    return { Authorization: `Bearer ${data.access_token}` };
  } catch (error) {
    if (!hasStatus(error, 409) || !again) throw error;
    await new Promise((done) => setTimeout(done, 300)); // a window is refreshing
    return authorize(record, false);
  }
}

/** @param {Shown["data"]} data */
async function openTask({ user, task, kind }) {
  const open = (await windows()).find(({ url }) => url.split(/[?#]/)[0] === PAGE);
  if (!open) return openPage(task ? `#/all?task=${task}` : kind === "digest" ? "#/today" : "");
  if (task) open.postMessage({ user, task });
  return open.focus();
}

/** @param {string} place */
const openPage = (place) => worker.clients.openWindow(PAGE + place);

/**
 * The browser has ended its subscription, and may have made another one.
 * @param {PushSubscription | null | undefined} made
 */
async function renew(made) {
  const record = await readRecord();
  if (!record) return;
  const how = { userVisibleOnly: true, applicationServerKey: record.key };
  const subscription = made ?? (await worker.registration.pushManager.subscribe(how));
  const body = { subscription: /** @type {PushBody} */ (subscription.toJSON()) };
  try {
    await request("PATCH", `api/me/channels/${record.channel}`, { body, headers: await authorize(record) });
    await writeRecord({ ...record, endpoint: subscription.endpoint });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error; // the next window tries again
    await subscription.unsubscribe(); // the channel was deleted
    await deleteRecord();
  }
}
