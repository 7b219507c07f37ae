// Kinds of channels in words, and the calls of their page. A form that may hold a secret is sent at once: the outbox
// would keep it in the browser.
import { newKey } from "./api.js";
import { sayService, t } from "./language.js";
import { call } from "./session.js";
import { confirm } from "./store.js";
import { sayClock, sayInstant, sayWeekday } from "./dates.js";
/** @import { Channel, ChannelCreate, ChannelDelivery, ChannelUpdate } from "types/client" */

/**
 * @typedef {object} KindField
 * @property {"url" | "topic" | "token" | "urls"} name
 * @property {string} label
 * @property {string} [placeholder]
 * @property {string} [help]
 * @property {boolean} [required]
 */

/** @typedef {{ label: string, help: string, fields: KindField[] }} KindTexts */

/** @type {Record<Channel["kind"], KindTexts>} */
export const KINDS = {
  webpush: { label: t("Browser"), help: t("Notifications of this browser, also when no window is open."), fields: [] },
  ntfy: {
    label: "ntfy",
    help: t("Push to phones and desktops. Subscribe to the same topic in the ntfy app."),
    fields: [
      { name: "url", label: t("Server"), placeholder: "https://ntfy.sh" },
      { name: "topic", label: t("Topic"), help: t("Anyone who knows it can read it and send to it."), required: true },
      { name: "token", label: t("Access token"), help: t("If the server asks for one.") },
    ],
  },
  gotify: {
    label: "Gotify",
    help: t("Your own Gotify server. Create an application there, and copy its token."),
    fields: [
      { name: "url", label: t("Server"), placeholder: "https://gotify.example.com", required: true },
      { name: "token", label: t("Application token"), required: true },
    ],
  },
  apprise: {
    label: "Apprise",
    help: t("Telegram, Matrix, Slack, Discord, SMS and about 150 others, by an Apprise API server."),
    fields: [
      { name: "url", label: t("URL"), placeholder: "https://apprise.example.com/notify/my-key", required: true },
      {
        name: "urls",
        label: t("Services"),
        placeholder: "tgram://…",
        help: t("One URL per line. Empty: those that the server has stored."),
      },
    ],
  },
  mail: { label: t("Mail"), help: t("To the confirmed address of your account."), fields: [] },
};

/** @type {Record<string, string>} */
const SETTINGS_HELP = {
  SMTP_URL: t(
    "To offer mail, set SMTP_URL (such as smtps://user:password@mail.example.com) and MAIL_FROM, and start the service again.",
  ),
  VAPID_PRIVATE_KEY: t(
    "To offer it, set VAPID_PRIVATE_KEY to a key of openssl ecparam -genkey -name prime256v1 -noout, and start the service again.",
  ),
};

/**
 * Returns how to set a setting that is missing, if the reason names one.
 * @param {string} reason
 */
export const settingHelp = (reason) =>
  Object.entries(SETTINGS_HELP).find(([name]) => reason.includes(name))?.[1] ?? null;

/** A topic that cannot be guessed. */
export const newTopic = () => `todo-${newKey().slice(0, 16)}`;

const WEEKDAYS = Object.fromEntries(
  ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map((day, at) => [day, sayWeekday((at + 1) % 7)]),
);
export const DAYS = Object.entries(WEEKDAYS);

/** @param {string[]} days */
export function sayDays(days) {
  if (days.length === DAYS.length) return t("every day");
  if (days.join() === "mon,tue,wed,thu,fri") return t("on weekdays");
  return t("on {days}", { days: days.map((day) => WEEKDAYS[day] ?? day).join(", ") });
}

/** @param {Channel} channel */
export function sayChannel({ kind, url, topic, all_reminders, quiet_from, quiet_to, digest_time, digest_days }) {
  return [
    KINDS[kind].label,
    kind !== "mail" && [url?.replace(/^https:\/\//, ""), topic].filter(Boolean).join("/"),
    all_reminders ? t("all reminders") : t("only tasks that name it"),
    quiet_from && t("quiet {from}–{to}", { from: sayClock(quiet_from), to: sayClock(quiet_to ?? "") }),
    digest_time && t("digest {time} {days}", { time: sayClock(digest_time), days: sayDays(digest_days) }),
  ].filter(Boolean);
}

/** @type {Record<ChannelDelivery["kind"], string>} */
const MESSAGES = { reminder: t("Reminder"), digest: t("Digest"), test: t("Test") };

/**
 * The result of the latest attempt to send a message.
 * @param {ChannelDelivery} delivery
 */
export function sayDelivery({ kind, outcome, status, error, latency_ms, attempts, attempted_at, next_attempt_at }) {
  const when = attempted_at ? sayInstant(attempted_at) : "";
  const what = MESSAGES[kind];
  const reason = sayService(error ?? "");
  if (outcome === "delivered") {
    const more = [status, latency_ms !== null && `${latency_ms} ms`].filter(Boolean).join(", ");
    return [t("{what} delivered {when}", { what, when }).trim(), more && `(${more})`].filter(Boolean).join(" ");
  }
  if (outcome === "skipped") return t("{what} not sent: {reason}", { what, reason });
  if (outcome === "failed")
    return t("{what} failed {when}: {reason}", {
      what,
      when,
      reason: reason || t("status {status}", { status: status ?? 0 }),
    });
  const next = next_attempt_at ? sayInstant(next_attempt_at) : t("soon");
  return attempts
    ? t("{what} not delivered yet: {reason} Next attempt {next}.", { what, reason, next })
    : t("{what} is sent {next}.", { what, next });
}

export const listKinds = async () => (await call("GET", "/channels/kinds")).data;

/** @param {number} id */
export const listDeliveries = async (id) => (await call("GET", `/channels/${id}/deliveries`)).data;

/** @param {number} id */
export const testChannel = async (id) =>
  (await call("POST", `/channels/${id}/test`, { headers: { "Idempotency-Key": newKey() } })).data;

/** @param {ChannelCreate} body */
export async function createChannel(body) {
  const { data } = await call("POST", "/channels", { body, headers: { "Idempotency-Key": newKey() } });
  confirm("channel", data);
  return data;
}

/**
 * @param {Channel} channel
 * @param {ChannelUpdate} body
 */
export async function updateChannel({ id, version }, body) {
  const { data } = await call("PATCH", `/channels/${id}`, { body, headers: { "If-Match": `"${version}"` } });
  confirm("channel", data);
  return data;
}
