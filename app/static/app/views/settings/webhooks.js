import { html, useState } from "../../html.js";
import { sayInstant } from "../../dates.js";
import { t } from "../../language.js";
import { call } from "../../session.js";
import { complain, toast } from "../../ui.js";
import { Sure } from "../tools.js";
import { focusWhenShown, Form, Section, useFetched } from "./form.js";
import { ShownOnce } from "./shown_once.js";
/** @import { Webhook, WebhookDelivery, WebhookEvent } from "types/client" */

const LATEST_DELIVERIES = 20;

export function Webhooks() {
  const [hooks, reload] = useFetched(async () => (await call("GET", "/webhooks")).data);
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState("");
  const add = async (/** @type {Record<string, string>} */ { url, events }) => {
    const body = { url, events: /** @type {WebhookEvent[]} */ (events.split(/[\s,]+/).filter(Boolean)) };
    const { data } = await call("POST", "/webhooks", { body });
    setAdding(false);
    setSecret(data.secret);
    await reload();
  };
  return html`
    <${Section} id="webhooks" title=${t("Webhooks")} about=${t("A URL of yours that is told of every change, signed with a secret.")}>
      ${secret && html`<${ShownOnce} id="webhook-secret" label=${t("The secret that signs the messages.")} text=${secret} onKept=${() => setSecret("")} />`}
      <ul class="apps">
        ${hooks?.map((hook) => html`<${Hook} key=${hook.id} hook=${hook} onChange=${reload} onSecret=${setSecret} />`)}
      </ul>
      ${
        adding
          ? html`
          <${Form} id="webhook-form" label=${t("Create")} onSend=${add} onCancel=${() => setAdding(false)}>
            <label>${t("URL")}<input name="url" type="url" placeholder="https://example.com/hook" required ref=${focusWhenShown} /></label>
            <label>${t("Events")}<input name="events" placeholder=${t("All, or: task.created task.completed")} spellcheck="false" autocapitalize="off" /></label>
          <//>`
          : html`<button class="secondary" id="add-webhook" onClick=${() => setAdding(true)}>${t("New webhook")}</button>`
      }
    <//>
  `;
}

/** @param {{ hook: Webhook, onChange: () => Promise<void>, onSecret: (secret: string) => void }} props */
function Hook({
  hook: { id, url, events, active, disabled_reason: reason, failing_since: failing },
  onChange,
  onSecret,
}) {
  const [deliveries, setDeliveries] = useState(/** @type {WebhookDelivery[] | null} */ (null));
  const look = () => call("GET", `/webhooks/${id}/deliveries`).then(({ data }) => setDeliveries(data), complain);
  const test = () =>
    call("POST", `/webhooks/${id}/test`).then(
      () => toast(t("A test is on its way. Its result stands under Deliveries.")),
      complain,
    );
  const rotate = () => call("POST", `/webhooks/${id}/rotate`).then(({ data }) => onSecret(data.secret), complain);
  const pause = () => call("PATCH", `/webhooks/${id}`, { body: { active: !active } }).then(onChange, complain);
  const remove = () => call("DELETE", `/webhooks/${id}`).then(onChange, complain);
  return html`
    <li class="wraps">
      <div class="words"><p class="title">${url}</p>
        <p class="meta"><span>${events.length ? events.join(", ") : t("Every event")}</span>${!active && html`<span class="failed">${reason ?? t("Paused")}</span>`}${active && failing && html`<span class="failed">${t("Failing since {when}", { when: sayInstant(failing) })}</span>`}</p></div>
      <div class="choices">
        <button class="link" id=${`test-webhook-${id}`} onClick=${test}>${t("Test")}</button>
        <button class="link" onClick=${pause}>${active ? t("Pause") : t("Resume")}</button>
        <button class="link" id=${`deliveries-${id}`} aria-expanded=${String(deliveries !== null)} onClick=${() => (deliveries ? setDeliveries(null) : look())}>${t("Deliveries")}</button>
        <${Sure} id=${`rotate-${id}`} label=${t("New secret")} question=${t("Replace the secret?")} onClick=${rotate} />
        <${Sure} id=${`delete-webhook-${id}`} question=${t("Delete it?")} onClick=${remove} />
      </div>
      ${
        deliveries &&
        html`<ol class="latest" aria-label=${t("Latest deliveries")}>
        ${!deliveries.length && html`<li class="quiet">${t("None yet.")}</li>`}
        ${deliveries.slice(0, LATEST_DELIVERIES).map((one) => html`<li key=${one.id} class=${isDelivered(one) ? "quiet" : "failed"}>${sayWebhookDelivery(one)}</li>`)}
      </ol>`
      }
    </li>
  `;
}

/** @param {WebhookDelivery} delivery */
const isDelivered = ({ status }) => status !== null && status >= 200 && status < 300;

/** @param {WebhookDelivery} delivery */
const sayWebhookDelivery = ({ at, event, attempt, status, error, latency_ms: latency }) =>
  [
    sayInstant(at),
    event,
    attempt > 1 && t("attempt {number}", { number: attempt }),
    error ?? `${status}, ${latency} ms`,
  ]
    .filter(Boolean)
    .join(" · ");
