import { html, useEffect, useState } from "../html.js";
import { KINDS, listDeliveries, listKinds, sayChannel, sayDelivery, settingHelp, testChannel } from "../channels.js";
import { sayService, t } from "../language.js";
import { sayProblem } from "../problems.js";
import { browserChannel, pushRefusal } from "../push.js";
import { call, forgetPassword, session } from "../session.js";
import { channels, store } from "../store.js";
import { announce, complain, toast } from "../ui.js";
import { changeChannel, deleteChannel } from "../writes.js";
import { Bell } from "./bell_button.js";
import { ChannelForm } from "./channel_form.js";
import { allow } from "./push_offer.js";
import { SettingsTabs } from "./settings/tabs.js";
import { Sure } from "./tools.js";
import { ListsButton } from "./sidebar.js";
/** @import { Channel, ChannelDelivery, ChannelKind } from "types/client" */

const REFRESH_DELAY = 10_000; // milliseconds: results of deliveries are not in the stream
const LATEST_SHOWN = 8;

/** The ways in which reminders reach the user. */
export function Channels() {
  const rows = channels();
  const kinds = useFetched(listKinds, [store.online]);
  const settings = useFetched(async () => (await call("GET", "/settings")).data, [store.online]);
  const [adding, setAdding] = useState(/** @type {Channel["kind"] | null} */ (null));
  const zone = settings?.timezone ?? "";
  useEffect(() => void (document.title = `${t("Channels")} · Todo`), []);
  const close = (/** @type {Channel | undefined} */ saved) => {
    const kind = adding;
    setAdding(null);
    if (saved) announce(t("Added {name}", { name: saved.name }));
    setTimeout(() => document.querySelector(saved ? `#test-${saved.id}` : `#add-${kind}`)?.focus());
  };
  return html`
    <header class="head">
      <${ListsButton} />
      <h1>${t("Channels")}</h1>
      <${Bell} />
    </header>
    <${SettingsTabs} chosen="channels" />
    <p class="quiet">${t("The ways in which reminders and the daily digest reach you.")}</p>
    ${rows.length > 0 && html`<ul class="channels" aria-label=${t("Your channels")}>${rows.map((channel) => html`<${Row} key=${channel.id} channel=${channel} zone=${zone} />`)}</ul>`}
    <h2 class="part">${t("Add a channel")}</h2>
    ${!kinds && !store.online && html`<p class="quiet">${t("This needs the service, which cannot be reached.")}</p>`}
    <ul class="channels" aria-label=${t("Kinds of channels")}>
      ${kinds?.filter(isToAdd).map(
        (kind) => html`
        <li class="channel kind" key=${kind.kind}>
          <div class="words"><h3>${kind.kind === "webpush" ? t("This browser") : KINDS[kind.kind].label}</h3><p class="quiet">${KINDS[kind.kind].help}</p><${Missing} kind=${kind} /></div>
          ${
            adding === kind.kind
              ? html`<${ChannelForm} kind=${kind.kind} zone=${zone} onClose=${close} />`
              : isOffered(kind) &&
                html`<button class="secondary" id=${`add-${kind.kind}`} onClick=${() => (kind.kind === "webpush" ? allow() : setAdding(kind.kind))}>${t("Add")}<span class="unseen"> ${KINDS[kind.kind].label}</span></button>`
          }
        </li>`,
      )}
    </ul>
  `;
}

/**
 * Fetches when shown, and again when one of `inputs` has changed; null until then.
 * @template T
 * @param {() => Promise<T>} fetchIt
 * @param {unknown[]} inputs
 * @returns {T | null}
 */
function useFetched(fetchIt, inputs) {
  const [got, setGot] = useState(/** @type {T | null} */ (null));
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the caller names them
  useEffect(() => void fetchIt().then(setGot, complain), inputs);
  return got;
}

/** @type {(kind: ChannelKind) => boolean} */
const isToAdd = ({ kind }) => kind !== "webpush" || !browserChannel();

/** @type {(kind: ChannelKind) => boolean} */
const isOffered = ({ kind, available }) => available && (kind !== "webpush" || !pushRefusal());

/**
 * Why a kind cannot be used yet, and how that is changed.
 * @param {{ kind: ChannelKind }} props
 */
function Missing({ kind }) {
  const reason = kind.reason ?? (kind.kind === "webpush" ? pushRefusal() : null);
  if (!reason) return null;
  const help = settingHelp(reason);
  const confirmMail = async () => {
    const email = session.user?.email ?? "";
    try {
      await forgetPassword(email);
      toast(t("A mail was sent to {email}. Choose a password as it describes, then open this page again.", { email }));
    } catch (error) {
      complain(error);
    }
  };
  return html`
    <p class="missing">${sayService(reason)} ${help}</p>
    ${kind.kind === "mail" && !help && html`<button class="secondary" id="confirm-mail" onClick=${confirmMail}>${t("Send me that mail")}</button>`}
  `;
}

/**
 * @param {number} id
 * @param {unknown} inputs
 */
function useDeliveries(id, inputs) {
  const [latest, setLatest] = useState(/** @type {ChannelDelivery[]} */ ([]));
  useEffect(() => {
    const look = () => document.hidden || listDeliveries(id).then(setLatest, () => {}); // offline: the earlier ones
    look();
    const timer = setInterval(look, REFRESH_DELAY);
    return () => clearInterval(timer);
  }, [id, inputs]);
  return latest;
}

/** @param {{ channel: Channel, zone: string }} props */
function Row({ channel, zone }) {
  const { id, name, active } = channel;
  const [editing, setEditing] = useState(false);
  const [testing, setTesting] = useState(false);
  const [tested, setTested] = useState(/** @type {{ text: string, failed: boolean } | null} */ (null));
  const deliveries = useDeliveries(id, `${channel.version} ${tested?.text}`);
  async function test() {
    if (testing) return;
    setTesting(true);
    setTested(null);
    try {
      const result = await testChannel(id);
      setTested({ text: sayDelivery(result), failed: result.outcome !== "delivered" });
    } catch (error) {
      setTested({ text: sayProblem(error), failed: true });
    }
    setTesting(false);
  }
  const close = () => {
    setEditing(false);
    setTimeout(() => document.querySelector(`#edit-${id}`)?.focus());
  };
  const remove = () => {
    deleteChannel(channel);
    setTimeout(() => document.querySelector(".channels button")?.focus());
  };
  const last = deliveries[0];
  return html`
    <li class=${active ? "channel" : "channel paused"} data-id=${id}>
      <div class="words">
        <h2>${name}${channel === browserChannel() && html` <span class="span">${t("this browser")}</span>`}</h2>
        <p class="meta">${sayChannel(channel).join(" · ")}</p>
        ${!active && html`<p class="missing">${sayService(channel.disabled_reason ?? t("Switched off."))}</p>`}
        ${!tested && last && html`<p class=${last.outcome === "failed" ? "last failed" : "last quiet"}>${sayDelivery(last)}</p>`}
        <p class=${tested?.failed ? "last failed" : "last"} role="status">${testing ? t("Sending a test…") : tested?.text}</p>
      </div>
      <div class="choices">
        <button class="secondary" id=${`test-${id}`} aria-disabled=${String(testing)} onClick=${test}>${t("Test")}<span class="unseen"> ${name}</span></button>
        <button class="secondary" id=${`edit-${id}`} aria-expanded=${String(editing)} onClick=${() => setEditing(!editing)}>${t("Change")}<span class="unseen"> ${name}</span></button>
        <button class="secondary" id=${`pause-${id}`} onClick=${() => changeChannel(channel, { active: !active }, active ? t("Paused {name}", { name }) : t("Resumed {name}", { name }))}>${active ? t("Pause") : t("Resume")}<span class="unseen"> ${name}</span></button>
        <${Sure} id=${`delete-${id}`} question=${t("Delete it?")} onClick=${remove}><span class="unseen"> ${name}</span><//>
      </div>
      ${editing && html`<${ChannelForm} kind=${channel.kind} channel=${channel} zone=${zone} onClose=${close} />`}
      ${
        deliveries.length > 1 &&
        html`<details class="latest"><summary>${t("Latest messages")}</summary>
        <ol>${deliveries.slice(0, LATEST_SHOWN).map((one) => html`<li key=${one.id} class=${one.outcome === "failed" ? "failed" : "quiet"}>${sayDelivery(one)}</li>`)}</ol>
      </details>`
      }
    </li>
  `;
}
