import { html, useEffect, useState } from "../../html.js";
import { t } from "../../language.js";
import { sayProblem } from "../../problems.js";
import { complain } from "../../ui.js";

/**
 * A part of a page, with its heading.
 * @param {{ id: string, title: string, about?: string, children?: unknown }} props
 */
export const Section = ({ id, title, about, children }) => html`
  <section class="factor" aria-labelledby=${`${id}-title`}>
    <h2 id=${`${id}-title`}>${title}</h2>
    ${about && html`<p class="quiet">${about}</p>`}
    ${children}
  </section>
`;

/**
 * What is fetched when the page is shown, and a function that fetches it again. null: not there yet.
 * @template T
 * @param {() => Promise<T>} fetchIt
 * @returns {[found: T | null, reload: () => Promise<void>]}
 */
export function useFetched(fetchIt) {
  const [found, setFound] = useState(/** @type {T | null} */ (null));
  const reload = () => fetchIt().then(setFound, complain);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- only when it is shown
  useEffect(() => void reload(), []);
  return [found, reload];
}

/**
 * A form that is sent at once, and not by the outbox, which would keep a password: a refusal is shown in it, and what
 * was typed stays. `onSend` gets the values by their names; when it succeeds the fields are as they were at first.
 * @param {{ id: string, label: string, onSend: (values: Record<string, string>) => Promise<unknown>, onCancel?: () => void, children?: unknown }} props
 */
export function Form({ id, label, onSend, onCancel, children }) {
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  async function submit(/** @type {SubmitEvent} */ event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    setBusy(true);
    setFailed("");
    try {
      await onSend(values);
      form.reset();
    } catch (thrown) {
      setFailed(sayProblem(thrown));
    }
    setBusy(false);
  }
  return html`
    <form class="code-form" id=${id} onSubmit=${submit}>
      ${children}
      ${failed && html`<p class="failed" role="alert">${failed}</p>`}
      <div class="choices">
        <button class="primary" disabled=${busy}>${label}</button>
        ${onCancel && html`<button type="button" class="link" onClick=${onCancel}>${t("Cancel")}</button>`}
      </div>
    </form>
  `;
}

/** Puts the focus into a field that has just come. */
export const focusWhenShown = (/** @type {HTMLElement | null} */ field) => field?.focus();
