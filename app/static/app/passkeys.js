import { t } from "./language.js";
// Passkeys: the browser's side of WebAuthn. The service says whether its domain can have them.
/** @typedef {Record<string, unknown>} Json */

const isOffered = document.querySelector("meta[name=passkeys]")?.getAttribute("content") === "on";
export const HAS_PASSKEYS =
  isOffered && typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function" && isSecureContext;

/**
 * Makes a passkey; the device asks its user.
 * @param {Json} options
 */
export async function makePasskey(options) {
  const json = /** @type {PublicKeyCredentialCreationOptionsJSON} */ (/** @type {unknown} */ (options));
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return answerOf(await asking(navigator.credentials.create({ publicKey })));
}

/**
 * Uses a passkey; the device asks its user.
 * @param {Json} options
 */
export async function answerPasskey(options) {
  const json = /** @type {PublicKeyCredentialRequestOptionsJSON} */ (/** @type {unknown} */ (options));
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return answerOf(await asking(navigator.credentials.get({ publicKey })));
}

/** @param {Credential | null} credential */
const answerOf = (credential) => /** @type {Json} */ (/** @type {PublicKeyCredential} */ (credential).toJSON());

/** @param {Promise<Credential | null>} ceremony */
async function asking(ceremony) {
  try {
    return await ceremony;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    const known = error.name === "InvalidStateError";
    const text = known ? t("This device has a passkey of this account already.") : t("No passkey was used.");
    throw new Error(text, { cause: error });
  }
}
