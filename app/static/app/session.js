// The login session. The access token is in memory only; the refresh token in an HttpOnly cookie that no script can
// read. The service sets that cookie for requests with X-Refresh-Cookie; it is sent only to /api/auth.
import { hasStatus, read, request } from "./api.js";
/** @import { Account, ApiResponse, UnreadResponse, RequestOptions } from "types/client" */
/** @import { Known, Method, Returned, WithBody } from "types/routes" */

const ASK = { "X-Refresh-Cookie": "true" };
const REMEMBERED = "todo.user"; // not a secret: the name to show, and whether requesting a token makes sense

/** @type {string | null} */
let accessToken = null;
/** @type {Promise<void> | null} */
let refreshing = null;
/** @type {Set<(user: Account | null) => void>} */
const listeners = new Set();
/** @type {{ user: Account | null, timezone: string }} */
export const session = { user: JSON.parse(localStorage.getItem(REMEMBERED) ?? "null"), timezone: zone() };

function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** @param {(user: Account | null) => void} listener */
export function onSession(listener) {
  listeners.add(listener);
}

/**
 * @param {Account | null} user
 * @param {string | null} token
 */
function become(user, token) {
  accessToken = token;
  session.user = user;
  if (user) localStorage.setItem(REMEMBERED, JSON.stringify(user));
  else localStorage.removeItem(REMEMBERED);
  for (const listener of listeners) listener(user);
}

/**
 * @param {string} email
 * @param {string} password
 */
export async function register(email, password) {
  const answer = await read(
    await request("POST", "api/auth/register", { body: { email, password, timezone: zone() }, headers: ASK }),
  );
  if ("detail" in answer.data) return answer.data.detail; // REGISTRATION=mail: the rest is in a mail
  become(answer.data.user, answer.data.access_token);
  return null;
}

/**
 * @param {string} email
 * @param {string} password
 */
export async function logIn(email, password) {
  const { data } = await read(await request("POST", "api/auth/login", { body: { email, password }, headers: ASK }));
  become(data.user, data.access_token);
}

export async function logOut() {
  try {
    await request("POST", "api/auth/logout", { headers: { ...ASK, ...bearer() }, body: {} });
  } finally {
    become(null, null);
  }
}

/** @returns {Record<string, string>} */
function bearer() {
  return accessToken ? { Authorization: `Bearer ${accessToken}` } : {};
}

/** Requests a new access token for the cookie; concurrent callers share the request. */
export function refresh() {
  refreshing ??= renew().finally(() => (refreshing = null));
  return refreshing;
}

/** @returns {Promise<void>} */
async function renew(again = true) {
  try {
    const { data } = await read(await request("POST", "api/auth/refresh", { body: {}, headers: ASK }));
    accessToken = data.access_token;
    if (data.user.id !== session.user?.id) become(data.user, data.access_token);
  } catch (error) {
    if (hasStatus(error, 409) && again) return pause(300).then(() => renew(false)); // another window is refreshing
    if (hasStatus(error, 401, 403)) become(null, null); // the session has ended
    throw error;
  }
}

/** @type {(milliseconds: number) => Promise<void>} */
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Calls the API as the user: below /api/me, with a token, which is renewed once when it has expired. Returns the raw
 * response.
 * @template {Method} M
 * @template {string} P
 * @param {M & Known<M, P>} method
 * @param {P} path
 * @param {RequestOptions & WithBody<M, P>} [options]
 * @returns {Promise<UnreadResponse<Returned<M, P>>>}
 */
export async function send(method, path, options) {
  if (!accessToken) await refresh();
  const url = /^https?:/.test(path) ? path : `api/me${path}`;
  const attempt = () => {
    const whole = { ...options, headers: { ...options?.headers, ...bearer() } };
    return request(method, /** @type {P} */ (url), /** @type {RequestOptions & WithBody<M, P>} */ (whole));
  };
  try {
    return await attempt();
  } catch (error) {
    if (!hasStatus(error, 401)) throw error;
    await refresh();
    return attempt();
  }
}

/**
 * Calls the API as the user, and returns the parsed response.
 * @template {Method} M
 * @template {string} P
 * @param {M & Known<M, P>} method
 * @param {P} path
 * @param {RequestOptions & WithBody<M, P>} [options]
 * @returns {Promise<ApiResponse<Returned<M, P>>>}
 */
export const call = async (method, path, options) => read(await send(method, path, options));
