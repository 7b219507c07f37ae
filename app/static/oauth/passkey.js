// Offers a passkey where this browser has them. On the page for a second factor only one of the account that waits will
// do; on the login page any that the device has, whose challenge is made when it is asked for.
const offer = document.querySelector("#passkey");
const canAsk = typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function";
if (offer instanceof HTMLFormElement && canAsk) offerPasskey(offer);

/** @param {HTMLFormElement} form */
function offerPasskey(form) {
  const failed = /** @type {HTMLElement} */ (form.querySelector(".failed"));
  const field = (/** @type {string} */ name) => {
    const found = form.elements.namedItem(name);
    return found instanceof HTMLInputElement ? found : null;
  };
  let prepared = form.dataset.waits ? ask() : null;
  if (!prepared) form.hidden = false;
  prepared?.then((options) => (form.hidden = !options?.allowCredentials?.length)).catch(() => {});
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    failed.hidden = true;
    answer().catch(() => (failed.hidden = false));
  });

  /** @returns {Promise<PublicKeyCredentialRequestOptionsJSON | null>} */
  async function ask() {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    const [token, challenge] = ["access_token", "challenge"].map((name) => field(name)?.value);
    if (token) headers.Authorization = `Bearer ${token}`;
    const body = challenge ? JSON.stringify({ challenge }) : undefined;
    const response = await fetch(form.dataset.options ?? "", { method: "POST", headers, body });
    const found = response.ok ? await response.json() : {};
    return found.passkey_options ?? found.options ?? null;
  }

  async function answer() {
    const options = await (prepared ?? ask());
    prepared = null; // a challenge is good for one answer
    if (!options) throw new Error("There are no passkeys here.");
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const credential = /** @type {PublicKeyCredential} */ (await navigator.credentials.get({ publicKey }));
    /** @type {HTMLInputElement} */ (field("passkey")).value = JSON.stringify(credential.toJSON());
    form.submit();
  }
}
