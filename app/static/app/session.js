// The login session. The access token is in memory only; the refresh token in an HttpOnly cookie that no script can
// read. The service sets that cookie for requests with X-Refresh-Cookie; it is sent only to /api/auth.
import { Problem, ROOT, hasStatus, read, request } from "./api.js";
/** @import { Account, ApiResponse, UnreadResponse, RequestOptions, GivenFactor, WaitingLogin } from "types/client" */
/** @import { Known, Method, Returned, WithBody } from "types/routes" */

const ASK = { "X-Refresh-Cookie": "true" };
const REMEMBERED = "todo.user"; // not a secret: the name to show, and whether requesting a token makes sense
const PROVIDER = "todo.provider"; // by which the user signed in, and where to log out also

/** @type {string | null} */
let accessToken = null;
/** @type {Promise<void> | null} */
let refreshing = null;
/** @type {Set<(user: Account | null) => void>} */
const listeners = new Set();
/** @type {{ user: Account | null, timezone: string, waiting: WaitingLogin | null }} */
export const session = {
  user: JSON.parse(localStorage.getItem(REMEMBERED) ?? "null"),
  timezone: zone(),
  waiting: null, // a login whose second factor is missing
};

function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** @param {(user: Account | null) => void} listener */
export function onSession(listener) {
  listeners.add(listener);
}

const ENDED = "todo.ended"; // of a session that the user did not end: the e-mail address to log in again

/** The e-mail address of the session that ended without a logout in this window, if one did. */
export const endedSession = () => sessionStorage.getItem(ENDED);

/** Keeps for the login page that the session ended elsewhere. */
export const noteEnd = () => sessionStorage.setItem(ENDED, session.user?.email ?? "");

/**
 * @param {Account | null} user
 * @param {string | null} token
 */
function become(user, token) {
  accessToken = token;
  if (user) sessionStorage.removeItem(ENDED);
  session.user = user;
  session.waiting = null;
  if (user) localStorage.setItem(REMEMBERED, JSON.stringify(user));
  else localStorage.removeItem(REMEMBERED);
  localStorage.removeItem(PROVIDER);
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
  try {
    const { data } = await read(await request("POST", "api/auth/login", { body: { email, password }, headers: ASK }));
    become(data.user, data.access_token);
  } catch (error) {
    if (!(error instanceof Problem) || !error.secondFactor?.challenge) throw error;
    wait(error.secondFactor);
  }
}

/** @param {WaitingLogin | null} login */
function wait(login) {
  session.waiting = login;
  for (const listener of listeners) listener(session.user);
}

/** Gives up the login that waits for a second factor. */
export const leaveLogin = () => wait(null);

/** Returns what the login that waits needs: its challenge is in a cookie if a sign-in provider came first. */
const describeWaiting = async () =>
  (await read(await request("POST", "api/auth/login/factor/options", { body: waitingChallenge() }))).data;

const waitingChallenge = () => ({ challenge: session.waiting?.challenge ?? undefined });

/** Returns the options for a passkey of the login that waits. */
export const waitingPasskey = async () => (await describeWaiting()).passkey_options ?? {};

/**
 * Finishes the login that waits.
 * @param {GivenFactor} given
 */
export async function finishLogin(given) {
  const provider = session.waiting?.provider;
  const body = { ...given, ...waitingChallenge() };
  const { data } = await read(await request("POST", "api/auth/login/factor", { body, headers: ASK }));
  become(data.user, data.access_token);
  if (provider) localStorage.setItem(PROVIDER, provider);
}

/** Logs in with a passkey alone, any that this device has. */
export async function logInWithPasskey() {
  const { answerPasskey } = await import("./passkeys.js");
  const begun = await read(await request("POST", "api/auth/login/passkey/options"));
  const body = { passkey: await answerPasskey(begun.data.options) };
  const { data } = await read(await request("POST", "api/auth/login/passkey", { body, headers: ASK }));
  become(data.user, data.access_token);
}

export async function logOut() {
  const provider = localStorage.getItem(PROVIDER);
  try {
    await request("POST", "api/auth/logout", { headers: { ...ASK, ...bearer() }, body: {} });
    if (provider) location.assign(new URL(`api/auth/oidc/${provider}/logout`, ROOT));
  } finally {
    become(null, null);
  }
}

/**
 * Asks for a mail by which a password is chosen. The answer is the same for an address without an account.
 * @param {string} email
 */
export const forgetPassword = (email) => request("POST", "api/auth/password/forgot", { body: { email } });

/**
 * Changes the password: other sessions end, and this one goes on with new tokens.
 * @param {string} current
 * @param {string} next
 */
export async function changePassword(current, next) {
  const body = { current_password: current, new_password: next };
  const { data } = await call("PUT", "api/auth/password", { body, headers: ASK });
  accessToken = data.access_token;
}

/** @param {string} password */
export async function deleteAccount(password) {
  await call("DELETE", "api/auth/me", { body: { password } });
  become(null, null);
}

/** Returns the providers by which users can sign in; none where they cannot be asked for. */
export async function loginProviders() {
  try {
    return (await read(await request("GET", "api/auth/oidc"))).data;
  } catch {
    return [];
  }
}

/**
 * Takes up the login with which a provider sent the browser back: its refresh token is in the cookie, or it waits for a
 * second factor. Returns whether the provider was linked to the account instead.
 */
export async function comeBack() {
  const [, what, provider] = /^#(signed-in|second-factor|linked)=([\w-]+)$/.exec(location.hash) ?? [];
  if (!provider) return false;
  history.replaceState(null, "", location.pathname);
  if (what === "linked") return true;
  if (what === "second-factor") {
    wait({ provider, ...(await describeWaiting()) });
    return false;
  }
  await refresh();
  localStorage.setItem(PROVIDER, provider);
  return false;
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
    if (hasStatus(error, 401, 403)) {
      noteEnd();
      become(null, null); // the session has ended
    }
    throw error;
  }
}

/** @type {(milliseconds: number) => Promise<void>} */
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Calls the API as the user: below /api/me, or a path that begins with api/. With a token, which is renewed once when
 * it has expired. Returns the raw response.
 * @template {Method} M
 * @template {string} P
 * @param {M & Known<M, P>} method
 * @param {P} path
 * @param {RequestOptions & WithBody<M, P>} [options]
 * @returns {Promise<UnreadResponse<Returned<M, P>>>}
 */
export async function send(method, path, options) {
  if (!accessToken) await refresh();
  const url = /^(https?:|api\/)/.test(path) ? path : `api/me${path}`;
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
