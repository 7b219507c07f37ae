// The conversation with the assistant: its answer as it comes, and what waits for a word of the user.
import { newKey, Problem } from "./api.js";
import { eventsOf } from "./event_stream.js";
import { t } from "./language.js";
import { call, send, session } from "./session.js";
/** @import { ChatAnswer, ChatRequest, ToolCall } from "types/client" */

/** @typedef {{ role: string, content: string, tools?: string[], waits?: boolean, failed?: boolean }} Said */

const LATEST = 50; // messages
const key = () => `todo.talk.${session.user?.id}`;

/** The conversation of this window, which a reload goes on with. @returns {number | null} */
export const currentConversation = () => Number(sessionStorage.getItem(key())) || null;

/** @param {number | null} id */
export function keepConversation(id) {
  if (id === null) sessionStorage.removeItem(key());
  else sessionStorage.setItem(key(), String(id));
}

/** @type {(call: ToolCall) => boolean} */
const isWaiting = ({ result }) => result.status === "needs_confirmation";

/** @type {(tool: string) => string} */
const sayTool = (tool) => tool.replaceAll("_", " ");

/**
 * @param {ToolCall[]} calls
 * @returns {Pick<Said, "tools" | "waits">}
 */
const describe = (calls) => ({
  tools: calls.filter((one) => !isWaiting(one)).map(({ tool }) => sayTool(tool)),
  waits: calls.some(isWaiting),
});

/**
 * Returns what was said in a conversation, the latest messages of it.
 * @param {number} id
 * @returns {Promise<Said[]>}
 */
export async function readConversation(id) {
  const { data } = await call("GET", `/conversations/${id}/messages?limit=${LATEST}`);
  return data.map(({ role, content, tool_calls: calls }) => ({ role, content, ...describe(calls) }));
}

/**
 * Sends a message, and returns the answer. `onText` gets the answer so far, as it comes.
 * @param {ChatRequest} body
 * @param {(text: string) => void} onText
 * @returns {Promise<Said>}
 */
export async function ask(body, onText) {
  const headers = { Accept: "text/event-stream", "Idempotency-Key": newKey() };
  const answer = await send("POST", "/chat", { body, headers });
  keepConversation(Number(answer.headers.get("x-conversation-id")) || null);
  let text = "";
  for await (const events of eventsOf(answer)) {
    for (const { event, data } of events) {
      const value = data && JSON.parse(data);
      if (event === "delta") onText((text += value.text));
      else if (event === "error") throw new Problem(value.status, value);
      else if (event === "done") return finish(value);
    }
  }
  throw new Error(t("The answer broke off. What was done stands in the history of the tasks."));
}

/**
 * @param {ChatAnswer} answer
 * @returns {Said}
 */
const finish = ({ response, tool_calls: calls }) => ({ role: "assistant", content: response, ...describe(calls) });
