import { html, useEffect, useRef, useState } from "../html.js";
import { hasStatus } from "../api.js";
import { ask, currentConversation, keepConversation, readConversation } from "../assistant.js";
import { dropDraft, restoreDraft, useDraft, writeDraft } from "../drafts.js";
import { t } from "../language.js";
import { session } from "../session.js";
import { redraw, store } from "../store.js";
import { sayProblem } from "../problems.js";
import { complain, show, toast } from "../ui.js";
import { Conversations } from "./conversations.js";
import { FieldNote, isTooLong } from "./fields.js";
import { Icon } from "./icon.js";
import { Markdown } from "./markdown.js";
/** @import { Thrown, Typing } from "types/client" */
/** @import { Said } from "../assistant.js" */

const MESSAGE_MAX = 4000; // characters

/**
 * What was said, and the answer so far while one is coming: they go on while the panel is closed.
 * @typedef {{ user?: string, said: Said[], coming: string | null }} Talk
 */
/** @type {Talk} */
let talk = { said: [], coming: null };

/**
 * @param {Talk} of
 * @param {Partial<Talk>} change
 */
function tell(of, change) {
  Object.assign(of, change);
  redraw();
}

/** The assistant. Its writes arrive by the stream like those of any client. */
export function Chat() {
  if (talk.user !== session.user?.id) talk = { user: session.user?.id, said: [], coming: null };
  const { said, coming } = talk;
  const [isListing, setListing] = useState(false); // the earlier conversations
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [said.length, coming]);
  const { online } = store;
  useEffect(() => {
    const id = currentConversation();
    if (!id || !online || talk.said.length) return;
    const mine = talk;
    readConversation(id).then(
      (messages) => currentConversation() === id && mine.said.length === 0 && tell(mine, { said: messages }),
      (error) => hasStatus(error, 404) && keepConversation(null), // deleted elsewhere
    );
  }, [online]);

  const typed = useDraft("chat");
  const text = typed?.text ?? "";
  /**
   * @param {string} message
   * @param {boolean} [confirm]
   */
  async function say(message, confirm) {
    const mine = talk;
    setListing(false);
    const before = mine.said.map((one) => ({ ...one, waits: false }));
    tell(mine, { said: [...before, { role: "user", content: message }], coming: "" });
    try {
      const asked = { message, confirm, conversation_id: currentConversation() };
      const answer = await ask(asked, (partly) => tell(mine, { coming: partly }));
      tell(mine, { said: [...mine.said, answer] });
    } catch (thrown) {
      const error = /** @type {Thrown} */ (thrown);
      if (error.code === "chat_not_configured") {
        store.absent.add("chat");
        show({ panel: null });
        toast(sayProblem(error));
      } else tell(mine, { said: [...mine.said, { role: "assistant", content: sayProblem(error), failed: true }] });
      restoreDraft({ name: "chat", text: message }, t("It was not sent."));
    }
    tell(mine, { coming: null });
  }
  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    const message = text.trim();
    if (!message || coming !== null || isTooLong(message, MESSAGE_MAX)) return;
    dropDraft("chat");
    say(message);
  }
  const begin = () => {
    keepConversation(null);
    tell(talk, { said: [] });
    setListing(false);
  };
  /** @param {number} id */
  const open = async (id) => {
    const messages = await readConversation(id).catch(complain);
    if (!messages) return;
    keepConversation(id);
    tell(talk, { said: messages });
    setListing(false);
    document.querySelector(".chat input")?.focus();
  };
  const last = said.at(-1);
  return html`
    <aside class="details chat" aria-label=${t("Assistant")}>
      <header><h2>${t("Assistant")}</h2>
        ${coming === null && html`<button class="link" id="talks" aria-pressed=${String(isListing)} onClick=${() => setListing(!isListing)}>${t("Earlier")}</button>`}
        ${said.length > 0 && coming === null && html`<button class="link" id="new-talk" onClick=${begin}>${t("New")}</button>`}
        <button class="quiet-button" aria-label=${t("Close the assistant")} onClick=${() => show({ panel: null })}><${Icon} name="close" /></button>
      </header>
      ${isListing && html`<div class="said"><${Conversations} onOpen=${open} onGone=${() => tell(talk, { said: [] })} /></div>`}
      <div class="said" role="log" aria-live="polite" hidden=${isListing}>
        ${said.map((one, at) => html`<${Bubble} key=${at} said=${one} />`)}
        ${coming && html`<${Bubble} said=${{ role: "assistant", content: coming }} />`}
        ${coming === "" && html`<p class="quiet">${t("Thinking…")}</p>`}
        ${
          last?.waits &&
          coming === null &&
          html`<div class="choices" role="group" aria-label=${t("Do it?")}>
          <button class="primary" id="confirm-calls" onClick=${() => say(t("Yes"), true).catch(complain)}>${t("Yes, do it")}</button>
          <button class="secondary" id="drop-calls" onClick=${() => say(t("No"), false).catch(complain)}>${t("No")}</button>
        </div>`
        }
        <div ref=${end}></div>
      </div>
      <form onSubmit=${submit}>
        <input name="message" dir="auto" aria-label=${t("Message")} placeholder=${t("Ask about your tasks, or have them changed")} autocomplete="off" value=${text} onInput=${(/** @type {Typing} */ event) => writeDraft("chat", { text: event.target.value })} />
        <${FieldNote} id="chat-note" name="chat" text=${text} max=${MESSAGE_MAX} />
      </form>
    </aside>
  `;
}

/** @param {{ said: Said }} props */
const Bubble = ({ said: { role, content, tools = [], failed } }) => html`
  <div class=${`bubble ${role}${failed ? " failed" : ""}`}>
    ${role === "user" || failed ? html`<p dir="auto">${content}</p>` : html`<${Markdown} text=${content} />`}
    ${tools.length > 0 && html`<p class="meta">${t("Done: {tools}", { tools: tools.join(", ") })}</p>`}
  </div>
`;
