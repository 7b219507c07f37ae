// One call to the API: JSON in and out, problems as errors. ROOT is the URL of the service, also behind a proxy that
// serves it below a path: this file is {ROOT}app/{version}/api.js.
/** @import { ApiResponse, ProblemBody, UnreadResponse, RequestOptions } from "types/client" */
/** @import { Known, Method, Returned, WithBody } from "types/routes" */
export const ROOT = new URL("../../", import.meta.url).href;

/** The service's description of a failed request (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {Partial<ProblemBody> | null} body
   * @param {Headers} [headers]
   */
  constructor(status, body, headers) {
    super(body?.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = body?.code ?? "";
    this.errors = body?.errors ?? [];
    this.secondFactor = body?.second_factor ?? null;
    this.requestId = body?.request_id ?? headers?.get("x-request-id");
    this.retryAfter = Number(headers?.get("retry-after")) || 0; // seconds
  }
}

/** No response: the network or the service is unavailable. */
export class Unreachable extends Error {
  code = "unreachable";
}

/**
 * @param {unknown} error
 * @param {number[]} statuses
 * @returns {error is Problem}
 */
export const hasStatus = (error, ...statuses) => error instanceof Problem && statuses.includes(error.status);

/** Returns a new key for every write, so that sending it again has no second effect. randomUUID() needs https. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns a uid for a new row. It is the same row for the service, however often its creation is sent. */
export const newUid = () => crypto.randomUUID?.() ?? newKey();

/**
 * Returns the raw response; throws Unreachable and, for 4xx and 5xx, Problem. 304 is a response.
 * @template {Method} M
 * @template {string} P
 * @param {M & Known<M, P>} method
 * @param {P} path
 * @param {RequestOptions & WithBody<M, P>} [options]
 * @returns {Promise<UnreadResponse<Returned<M, P>>>}
 */
export async function request(method, path, options) {
  const { body, file, headers = {}, signal } = options ?? {};
  /** @type {RequestInit} */
  const init = { method, headers, signal, body: file, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...headers, "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), init);
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") throw error;
    throw new Unreachable("The service cannot be reached.");
  }
  if (answer.ok || answer.status === 304) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => null), answer.headers);
}

/**
 * Returns the parsed response: {status, data, etag, revision, next}. `next` is the path of the next page.
 * @template T
 * @param {UnreadResponse<T>} answer
 * @returns {Promise<ApiResponse<T>>}
 */
export async function read(answer) {
  const text = await answer.text();
  const data = text ? JSON.parse(text) : null;
  const next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get("link") ?? "")?.[1] ?? null;
  return {
    status: answer.status,
    data,
    etag: answer.headers.get("etag"),
    revision: Number(answer.headers.get("x-revision")) || 0,
    total: answer.headers.has("x-total-count") ? Number(answer.headers.get("x-total-count")) : (data?.total ?? null),
    replayed: answer.headers.get("idempotent-replayed") === "true",
    next: next && new URL(next, answer.url).href,
  };
}
