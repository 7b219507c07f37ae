import { html, useState } from "../../html.js";
import { ROOT } from "../../api.js";
import { sayInstant } from "../../dates.js";
import { t } from "../../language.js";
import { call } from "../../session.js";
import { complain } from "../../ui.js";
import { Sure } from "../tools.js";
import { focusWhenShown, Form, Section, useFetched } from "./form.js";
import { ShownOnce } from "./shown_once.js";
/** @import { Calendar, CalendarCreated } from "types/client" */

export function Calendars() {
  const [feeds, reload] = useFetched(async () => (await call("GET", "/calendar")).data);
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState(/** @type {CalendarCreated | null} */ (null));
  const add = async (/** @type {Record<string, string>} */ { name }) => {
    const { data } = await call("POST", "/calendar", { body: { name } });
    setAdding(false);
    setMade(data);
    await reload();
  };
  const revoke = (/** @type {Calendar} */ { id }) => call("DELETE", `/calendar/${id}`).then(reload, complain);
  return html`
    <${Section} id="calendars" title=${t("Calendar feeds")} about=${t("A URL to which a calendar subscribes: it shows what is due, and changes nothing. Everyone who has the URL can read your tasks.")}>
      ${made && html`<${ShownOnce} id="feed" label=${t("The URL of {name}.", { name: made.name })} text=${new URL(made.url, ROOT).href} onKept=${() => setMade(null)} />`}
      <ul class="apps">
        ${feeds?.map(
          (feed) => html`
          <li key=${feed.id}>
            <div class="words"><p class="title">${feed.name}</p><p class="meta"><span>${t("Since {when}", { when: sayInstant(feed.created_at) })}</span></p></div>
            <${Sure} id=${`revoke-feed-${feed.id}`} label=${t("Revoke")} question=${t("Revoke {name}?", { name: feed.name })} onClick=${() => revoke(feed)} />
          </li>`,
        )}
      </ul>
      ${
        adding
          ? html`
          <${Form} id="feed-form" label=${t("Create")} onSend=${add} onCancel=${() => setAdding(false)}>
            <label>${t("Name")}<input name="name" maxlength="100" placeholder=${t("My calendar")} required ref=${focusWhenShown} /></label>
          <//>`
          : html`<button class="secondary" id="add-feed" onClick=${() => setAdding(true)}>${t("New feed")}</button>`
      }
    <//>
  `;
}
