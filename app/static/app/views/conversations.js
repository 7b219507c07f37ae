// The earlier conversations with the assistant: opened, so that they can go on, or deleted.
import { currentConversation, keepConversation } from "../assistant.js";
import { sayInstant } from "../dates.js";
import { html, useEffect, useState } from "../html.js";
import { t } from "../language.js";
import { call } from "../session.js";
import { store } from "../store.js";
import { complain } from "../ui.js";
import { Sure } from "./tools.js";
/** @typedef {{ id: number, title: string, created_at: string }} Conversation */

const PAGE = 50;

/** @param {{ onOpen: (id: number) => void, onGone: () => void }} props */
export function Conversations({ onOpen, onGone }) {
  const [rows, setRows] = useState(/** @type {Conversation[] | null} */ (null));
  const [isEnd, setEnd] = useState(true);
  /** @param {number} [before] */
  const read = async (before) => {
    const { data } = await call("GET", `/conversations?limit=${PAGE}${before ? `&before=${before}` : ""}`);
    setRows((all) => [...(before ? (all ?? []) : []), ...data]);
    setEnd(data.length < PAGE);
  };
  const isWanted = store.online && !rows;
  useEffect(() => {
    if (isWanted) read().catch(complain);
  }, [isWanted]);
  const remove = async (/** @type {number} */ id) => {
    await call("DELETE", `/conversations/${id}`);
    setRows((all) => all?.filter((one) => one.id !== id) ?? null);
    if (currentConversation() !== id) return;
    keepConversation(null);
    onGone();
  };
  if (!rows && !store.online)
    return html`<p class="quiet">${t("This needs the service, which cannot be reached.")}</p>`;
  if (!rows) return html`<p class="quiet">${t("One moment…")}</p>`;
  return html`
    ${!rows.length && html`<p class="quiet">${t("No conversations yet.")}</p>`}
    <ul class="talks">
      ${rows.map(
        ({ id, title, created_at: at }) => html`
        <li key=${id}>
          <button class="title" dir="auto" onClick=${() => onOpen(id)}>${title}</button>
          <p class="meta">${sayInstant(at)} <${Sure} id=${`delete-talk-${id}`} question=${t("Delete it?")} onClick=${() => remove(id).catch(complain)}><span class="unseen">: ${title}</span><//></p>
        </li>`,
      )}
    </ul>
    ${!isEnd && html`<button class="more" onClick=${() => read(rows.at(-1)?.id).catch(complain)}>${t("Earlier")}</button>`}
  `;
}
