import { html, useEffect, useRef, useState } from "../html.js";
import { hasStatus } from "../api.js";
import { ask, currentConversation, keepConversation, readConversation } from "../assistant.js";
import { dropDraft, restoreDraft, useDraft, writeDraft } from "../drafts.js";
import { t } from "../language.js";
import { session } from "../session.js";
import { store } from "../store.js";
import { sayProblem } from "../problems.js";
import { complain, show, toast } from "../ui.js";
import { Conversations } from "./conversations.js";
import { FieldNote, isTooLong } from "./fields.js";
import { Icon } from "./icon.js";
import { Markdown } from "./markdown.js";
/** @import { Thrown, Typing } from "types/client" */
/** @import { Said } from "../assistant.js" */

const MESSAGE_MAX = 4000; // characters

/** What was said, also while the panel is closed. @type {{ user?: string, said: Said[] }} */
let talk = { said: [] };

/** The assistant. Its writes arrive by the stream like those of any client. */
export function Chat() {
  if (talk.user !== session.user?.id) talk = { user: session.user?.id, said: [] };
  const [said, setSaid] = useState(talk.said);
  talk.said = said;
  const [coming, setComing] = useState(/** @type {string | null} */ (null)); // the answer so far
  const [isListing, setListing] = useState(false); // the earlier conversations
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [said.length, coming]);
  const { online } = store;
  useEffect(() => {
    const id = currentConversation();
    if (!id || !online || talk.said.length) return;
    readConversation(id).then(
      (messages) => currentConversation() === id && setSaid((all) => (all.length ? all : messages)),
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
    setComing("");
    setListing(false);
    setSaid((all) => [...all.map((one) => ({ ...one, waits: false })), { role: "user", content: message }]);
    try {
      const answer = await ask({ message, confirm, conversation_id: currentConversation() }, setComing);
      setSaid((all) => [...all, answer]);
    } catch (thrown) {
      const error = /** @type {Thrown} */ (thrown);
      if (error.code === "chat_not_configured") {
        store.absent.add("chat");
        show({ panel: null });
        toast(sayProblem(error));
      } else setSaid((all) => [...all, { role: "assistant", content: sayProblem(error), failed: true }]);
      restoreDraft({ name: "chat", text: message }, t("It was not sent."));
    }
    setComing(null);
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
    setSaid([]);
    setListing(false);
  };
  /** @param {number} id */
  const open = async (id) => {
    const messages = await readConversation(id).catch(complain);
    if (!messages) return;
    keepConversation(id);
    setSaid(messages);
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
      ${isListing && html`<div class="said"><${Conversations} onOpen=${open} onGone=${() => setSaid([])} /></div>`}
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
