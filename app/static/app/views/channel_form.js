import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { createChannel, DAYS, KINDS, newTopic, updateChannel } from "../channels.js";
import { sayService, t } from "../language.js";
/** @import { Channel, ChannelCreate, ChannelUpdate, On, Thrown, Typing } from "types/client" */
/** @import { KindField } from "../channels.js" */

const SECRETS = ["token", "urls"];

/**
 * Returns the values of the form. A secret that is left empty is not sent, so it stays.
 * @param {HTMLFormElement} form
 * @param {Channel["kind"]} kind
 * @param {boolean} isNew
 */
function bodyOf(form, kind, isNew) {
  const data = new FormData(form);
  const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
  /** @type {Record<string, unknown>} */
  const body = { all_reminders: data.has("all_reminders") };
  for (const name of ["quiet_from", "quiet_to", "digest_time"]) body[name] = text(name) || null;
  if (text("digest_time")) body.digest_days = data.getAll("digest_days");
  if (text("name")) body.name = text("name");
  for (const { name } of KINDS[kind].fields) {
    if (!SECRETS.includes(name)) body[name] = text(name) || (isNew ? undefined : null);
    else if (text(name)) body[name] = name === "urls" ? text(name).split(/\s+/) : text(name);
    else if (data.has(`remove_${name}`)) body[name] = null;
  }
  return body;
}

/**
 * Adds a channel, or changes one: then its secrets are not shown, and stay unless a new one is typed.
 * @param {{ kind: Channel["kind"], channel?: Channel, zone: string, onClose: (saved?: Channel) => void }} props
 */
export function ChannelForm({ kind, channel, zone, onClose }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const [digest, setDigest] = useState(channel?.digest_time ?? "");
  const [failed, setFailed] = useState(/** @type {{ text: string, fields: unknown[] } | null} */ (null));
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => form.current?.querySelector("input")?.focus(), []); // before anything can be typed

  async function submit(/** @type {On<HTMLFormElement>} */ event) {
    event.preventDefault();
    if (busy) return;
    const body = bodyOf(event.currentTarget, kind, !channel);
    if (body.digest_days instanceof Array && !body.digest_days.length)
      return setFailed({ text: t("A digest needs at least one day."), fields: ["digest_days"] });
    setBusy(true);
    try {
      onClose(
        await (channel
          ? updateChannel(channel, /** @type {ChannelUpdate} */ (body))
          : createChannel(/** @type {ChannelCreate} */ ({ ...body, kind }))),
      );
    } catch (thrown) {
      const error = /** @type {Thrown} */ (thrown);
      const fields = error.errors?.map(({ loc }) => loc.find((part) => part !== "body")) ?? [];
      setFailed({ text: sayService(error.message, error.code), fields });
      setBusy(false);
    }
  }
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    onClose();
  };
  const wrong = (/** @type {string} */ name) => (failed?.fields.includes(name) ? "true" : null);

  return html`
    <form class="channel-form" ref=${form} onSubmit=${submit} onKeyDown=${key} aria-label=${channel ? t("Change {name}", { name: channel.name }) : t("Add {label}", { label: KINDS[kind].label })}>
      <label>${t("Name")}<input name="name" maxlength="100" required=${Boolean(channel)} defaultValue=${channel?.name ?? ""} placeholder=${KINDS[kind].label} aria-invalid=${wrong("name")} /></label>
      ${KINDS[kind].fields.map((field) => html`<${Input} key=${field.name} field=${field} channel=${channel} wrong=${wrong(field.name)} />`)}
      <label class="tick"><input type="checkbox" name="all_reminders" defaultChecked=${channel?.all_reminders ?? true} />${t("All reminders")}<span class="quiet">${t("Off: only those of tasks that name this channel.")}</span></label>
      <fieldset>
        <legend>${t("Quiet hours")}</legend>
        <div class="pair">
          <label>${t("From")}<input type="time" name="quiet_from" defaultValue=${channel?.quiet_from ?? ""} aria-invalid=${wrong("quiet_from")} /></label>
          <label>${t("To")}<input type="time" name="quiet_to" defaultValue=${channel?.quiet_to ?? ""} aria-invalid=${wrong("quiet_to")} /></label>
        </div>
        <p class="quiet">${t("Reminders in these hours are sent at their end.")} ${zone ? t("Times are in your zone, {zone}.", { zone }) : t("Times are in your zone.")}</p>
      </fieldset>
      <fieldset>
        <legend>${t("Daily digest")}</legend>
        <label>${t("Sent at")}<input type="time" name="digest_time" value=${digest} onInput=${(/** @type {Typing} */ event) => setDigest(event.target.value)} aria-invalid=${wrong("digest_time")} /></label>
        ${
          digest
            ? html`<div class="days" role="group" aria-label=${t("Days of the digest")}>
          ${DAYS.map(([day, label]) => html`<label class="tick"><input type="checkbox" name="digest_days" value=${day} defaultChecked=${channel?.digest_days.includes(day) ?? true} />${label}</label>`)}
        </div>`
            : html`<p class="quiet">${t("What is overdue, due today, and was done yesterday. No time: no digest.")}</p>`
        }
      </fieldset>
      ${failed && html`<p class="failed" role="alert">${failed.text}</p>`}
      <div class="choices">
        <button class="primary" disabled=${busy}>${channel ? t("Save") : t("Add")}</button>
        <button type="button" class="secondary" onClick=${() => onClose()}>${t("Cancel")}</button>
      </div>
    </form>
  `;
}

/** @param {{ field: KindField, channel?: Channel, wrong: string | null }} props */
function Input({ field: { name, label, placeholder, help, required }, channel, wrong }) {
  const isSecret = SECRETS.includes(name);
  const isSet = Boolean(channel?.secrets.includes(name));
  const helpId = `help-${name}-${channel?.id ?? "new"}`;
  const rest = {
    name,
    "aria-invalid": wrong,
    "aria-describedby": help ? helpId : null,
    autocomplete: isSecret ? "new-password" : "off", // else browsers fill in the password of the account
    required: required && !isSet,
    placeholder: isSet ? t("Set. Leave empty to keep it.") : placeholder,
  };
  const value =
    name === "url" ? (channel?.url ?? "") : name === "topic" ? (channel ? (channel.topic ?? "") : newTopic()) : "";
  return html`
    <label>${label}
      ${
        name === "urls"
          ? html`<textarea ...${rest} rows="2" spellcheck="false"></textarea>`
          : html`<input ...${rest} type=${isSecret ? "password" : name === "url" ? "url" : "text"} defaultValue=${value} />`
      }
    </label>
    ${help && html`<p class="quiet" id=${helpId}>${help}</p>`}
    ${isSet && !required && html`<label class="tick"><input type="checkbox" name=${`remove_${name}`} />${t("Remove it")}</label>`}
  `;
}
