// Who is logged in. The access token lives in memory only; the refresh token in an HttpOnly cookie that no script can
// read. The service sets that cookie for who asks with X-Refresh-Cookie; it is sent to /api/auth and nowhere else.
import { Problem, read, request } from "./api.js";

const ASK = { "X-Refresh-Cookie": "true" };
const REMEMBERED = "todo.user"; // not a secret: whom to greet, and whether asking for a token makes sense

let accessToken = null;
let refreshing = null;
const listeners = new Set();
export const session = { user: JSON.parse(localStorage.getItem(REMEMBERED) ?? "null"), timezone: zone() };

function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

export function onSession(listener) {
  listeners.add(listener);
}

function become(user, token) {
  accessToken = token;
  session.user = user;
  if (user) localStorage.setItem(REMEMBERED, JSON.stringify(user));
  else localStorage.removeItem(REMEMBERED);
  for (const listener of listeners) listener(user);
}

export async function register(email, password) {
  const answer = await read(
    await request("POST", "api/auth/register", { body: { email, password, timezone: zone() }, headers: ASK }),
  );
  if (answer.status === 202) return answer.data.detail; // REGISTRATION=mail: the rest is in a mail
  become(answer.data.user, answer.data.access_token);
  return null;
}

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

function bearer() {
  return accessToken ? { Authorization: `Bearer ${accessToken}` } : {};
}

/** A new access token for the cookie; at once for all who ask meanwhile. */
export function refresh() {
  refreshing ??= renew().finally(() => (refreshing = null));
  return refreshing;
}

async function renew(again = true) {
  try {
    const { data } = await read(await request("POST", "api/auth/refresh", { body: {}, headers: ASK }));
    accessToken = data.access_token;
    if (data.user.id !== session.user?.id) become(data.user, data.access_token);
  } catch (error) {
    if (error.status === 409 && again) return pause(300).then(() => renew(false)); // another window is at it
    if (error instanceof Problem && [401, 403].includes(error.status)) become(null, null); // the session has ended
    throw error;
  }
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** A call as the user: below /api/me, with a token, which is renewed once when it has expired. Raw answer. */
export async function send(method, path, options = {}) {
  if (!accessToken) await refresh();
  const url = /^https?:/.test(path) ? path : `api/me${path}`;
  const attempt = () => request(method, url, { ...options, headers: { ...options.headers, ...bearer() } });
  try {
    return await attempt();
  } catch (error) {
    if (error.status !== 401) throw error;
    await refresh();
    return attempt();
  }
}

/** The same, read. */
export const call = async (method, path, options) => read(await send(method, path, options));
