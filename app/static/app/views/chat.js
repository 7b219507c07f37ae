import { html, useEffect, useRef, useState } from "../html.js";
import { newKey } from "../api.js";
import { call } from "../session.js";
import { store } from "../store.js";
import { show, toast } from "../ui.js";
import { Icon } from "./icon.js";
/** @import { ChatRequest, Sending, Thrown } from "types/client" */

/** @typedef {{ role: string, content: string, tools?: string[], failed?: boolean }} Said */

/** The assistant. Its writes arrive by the stream like those of any client. */
export function Chat() {
  const [said, setSaid] = useState(/** @type {Said[]} */ ([]));
  const [conversation, setConversation] = useState(/** @type {number | null} */ (null));
  const [busy, setBusy] = useState(false);
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [said.length]);

  /** @param {Sending<"message">} event */
  async function submit(event) {
    event.preventDefault();
    const field = event.target.elements.message;
    const message = field.value.trim();
    if (!message || busy) return;
    field.value = "";
    setBusy(true);
    setSaid((all) => [...all, { role: "user", content: message }]);
    try {
      /** @type {ChatRequest} */
      const body = conversation === null ? { message } : { message, conversation_id: conversation };
      const { data } = await call("POST", "/chat", { body, headers: { "Idempotency-Key": newKey() } });
      setConversation(data.conversation_id);
      setSaid((all) => [
        ...all,
        { role: "assistant", content: data.response, tools: data.tool_calls.map((one) => one.tool) },
      ]);
    } catch (thrown) {
      const error = /** @type {Thrown} */ (thrown);
      if (error.code === "chat_not_configured") {
        store.absent.add("chat");
        show({ panel: null });
        toast(error.message);
      } else setSaid((all) => [...all, { role: "assistant", content: error.message, failed: true }]);
    }
    setBusy(false);
  }

  return html`
    <aside class="details chat" aria-label="Assistant">
      <header><h2>Assistant</h2><button class="quiet-button" aria-label="Close the assistant" onClick=${() => show({ panel: null })}><${Icon} name="close" /></button></header>
      <div class="said" role="log" aria-live="polite">
        ${said.map((one) => html`<div class=${`bubble ${one.role}`}><p>${one.content}</p>${one.tools && one.tools.length > 0 && html`<p class="meta">${one.tools.join(", ")}</p>`}</div>`)}
        ${busy && html`<p class="quiet">Thinking…</p>`}
        <div ref=${end}></div>
      </div>
      <form onSubmit=${submit}><input name="message" aria-label="Message" placeholder="Ask about your tasks, or have them changed" maxlength="4000" autocomplete="off" /></form>
    </aside>
  `;
}
