// Web Push in this browser: permission is asked for by a click only, the subscription is a channel of the user, and it
// ends with the login.
import { hasStatus } from "./api.js";
import { createChannel, listKinds } from "./channels.js";
import { register, SCOPE } from "./installation.js";
import { t } from "./language.js";
import { deleteRecord, readRecord, SNOOZE_MINUTES, writeRecord } from "./push_record.js";
import { call, session } from "./session.js";
import { channels, confirm, redraw } from "./store.js";
/** @import { Account, Channel, PushBody } from "types/client" */
/** @import { PushRecord } from "./push_record.js" */

const LOGOUT_PATIENCE = 3000; // milliseconds

/** The service worker has no catalogue. */
const TEXTS = {
  snooze: t("Snooze {minutes} min", { minutes: SNOOZE_MINUTES }),
  complete: t("Complete"),
  failed: t("Not saved:"),
};

/** @type {PushRecord | null} */
let record = null;

export const isPushPossible = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** Why this browser cannot be added, whatever the service offers; null if it can. */
export function pushRefusal() {
  if (!isSecureContext) return t("Browsers allow notifications by https only.");
  if (!isPushPossible())
    return t("This browser has no Web Push. On an iPhone or iPad, add this page to the home screen first.");
  return Notification.permission === "denied"
    ? t("Notifications are blocked: allow them for this site in the settings of the browser.")
    : null;
}

/** The channel of this browser, if the user has added it. */
export const browserChannel = () =>
  (record?.user === session.user?.id && channels().find(({ id }) => id === record?.channel)) || null;

/**
 * @param {ServiceWorkerRegistration} registration
 * @param {string} key
 */
async function subscribe(registration, key) {
  const old = await registration.pushManager.getSubscription();
  if (old && record?.key !== key) await old.unsubscribe(); // a subscription has one key of the service
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

/** @type {(subscription: PushSubscription) => PushBody} */
const bodyOf = (subscription) => /** @type {PushBody} */ (subscription.toJSON());

/** @param {PushRecord} kept */
async function keep(kept) {
  record = { ...kept, texts: TEXTS };
  await writeRecord(record);
  redraw();
}

/** Asks for permission and makes this browser a channel. Call it in a click. */
export async function addBrowser() {
  const user = session.user?.id;
  await Notification.requestPermission();
  record = await readRecord();
  const added = browserChannel(); // by another window
  if (added) return added;
  const refusal = pushRefusal() ?? (Notification.permission === "granted" ? null : t("The browser did not allow it."));
  const kind = (await listKinds()).find((one) => one.kind === "webpush");
  const key = kind?.public_key;
  if (refusal || !user || !key) throw new Error(refusal ?? kind?.reason ?? t("The service does not offer Web Push."));
  const subscription = await subscribe(await register(), key);
  const channel = await createNamed(bodyOf(subscription));
  await keep({ user, channel: channel.id, key, endpoint: subscription.endpoint });
  return channel;
}

/**
 * @param {PushBody} subscription
 * @returns {Promise<Channel>}
 */
async function createNamed(subscription) {
  const body = /** @type {const} */ ({ kind: "webpush", subscription });
  try {
    return await createChannel({ ...body, name: browserName() });
  } catch (error) {
    if (!hasStatus(error, 409)) throw error; // the name is taken: the service chooses one
    return createChannel(body);
  }
}

function browserName() {
  const agent = navigator.userAgent;
  const names = { Edg: "Edge", OPR: "Opera", Firefox: "Firefox", Chrome: "Chrome", Safari: "Safari" };
  const systems = {
    Android: "Android",
    iPhone: "iPhone",
    iPad: "iPad",
    Windows: "Windows",
    Mac: "Mac",
    Linux: "Linux",
  };
  const find = (/** @type {Record<string, string>} */ known) =>
    Object.entries(known).find(([mark]) => agent.includes(mark))?.[1];
  const [browser, system] = [find(names) ?? t("Browser"), find(systems)];
  return system ? t("{browser} on {system}", { browser, system }) : browser;
}

/**
 * Follows the login: of the same user it renews the subscription where the browser or the service has another one; else
 * it ends it.
 * @param {Account | null} user
 */
export async function followLogin(user) {
  if (!isPushPossible()) return;
  record = await readRecord();
  if (!record) return;
  if (record.user !== user?.id) return forgetBrowser();
  const registration = await register();
  const [subscription, kinds] = [await registration.pushManager.getSubscription(), await listKinds()];
  const key = kinds.find((one) => one.kind === "webpush")?.public_key;
  const isCurrent = subscription?.endpoint === record.endpoint && key === record.key;
  if (!isCurrent && key && Notification.permission === "granted") await renew(record, registration, key);
  else if (record.texts?.complete !== TEXTS.complete) await keep(record); // the language was changed
  redraw();
}

/**
 * @param {PushRecord} old
 * @param {ServiceWorkerRegistration} registration
 * @param {string} key
 */
async function renew(old, registration, key) {
  const subscription = await subscribe(registration, key);
  try {
    const { data } = await call("PATCH", `/channels/${old.channel}`, { body: { subscription: bodyOf(subscription) } });
    confirm("channel", data);
    await keep({ ...old, key, endpoint: subscription.endpoint });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    await forgetBrowser(); // the channel was deleted
  }
}

/** Ends the subscription in the browser, and closes its notifications: the next user must not see them. */
async function forgetBrowser() {
  record = null;
  await deleteRecord();
  const registration = await navigator.serviceWorker.getRegistration(SCOPE);
  if (!registration) return;
  for (const shown of await registration.getNotifications()) shown.close();
  await (await registration.pushManager.getSubscription())?.unsubscribe();
}

/** Before a logout: deletes the channel of this browser, also in the service if that can be reached. */
export async function removeBrowser() {
  record ??= await readRecord();
  const channel = browserChannel();
  if (!record) return;
  const gone = channel && call("DELETE", `/channels/${channel.id}`, { signal: AbortSignal.timeout(LOGOUT_PATIENCE) });
  await Promise.allSettled([gone, forgetBrowser()]);
}

/**
 * Closes the notifications of a task that is dealt with.
 * @param {number} task
 */
export async function closeNotifications(task) {
  if (!record) return;
  const registration = await navigator.serviceWorker.getRegistration(SCOPE);
  for (const shown of (await registration?.getNotifications()) ?? []) if (shown.data?.task === task) shown.close();
}
