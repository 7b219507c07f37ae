import { html, useEffect, useState } from "../html.js";
import { sayDue, sayRule } from "../dates.js";
import { call } from "../session.js";
import { getTask, projects } from "../store.js";
import { quickAdd } from "../writes.js";
/** @import { Place, QuickPreview, Span, Task, Typing } from "types/client" */

const PAUSE = 150; // ms after the last key
/** @type {Record<string, (value: string) => string>} */
const SAY = {
  due_date: (value) => sayDue(value),
  recurrence: (value) => sayRule(value),
  priority: (value) => value,
  project: (value) => `#${value}`,
  tags: (value) => `@${value}`,
};

/**
 * A task added to a project or tag belongs there, unless the text states otherwise.
 * @param {string} text
 * @param {Place} place
 */
function inPlace(text, place) {
  const quoted = (/** @type {string} */ name) => `"${name}"`;
  if (place.list === "tag") return `${text} @${quoted(place.id)}`;
  const project = place.list === "project" && projects().find((one) => one.id === Number(place.id));
  return project && !/(^|\s)#\S/.test(text) ? `${text} #${quoted(project.name)}` : text;
}

/**
 * Shows what the service parses from the text, while it is typed; nothing is written.
 * @param {string} text
 */
function usePreview(text) {
  const [preview, setPreview] = useState(/** @type {QuickPreview | null} */ (null));
  useEffect(() => {
    const stop = new AbortController();
    if (!text.trim()) return setPreview(null);
    const ask = async () => {
      try {
        const { data } = await call("POST", "/tasks/quick", { body: { text, dry_run: true }, signal: stop.signal });
        if (!stop.signal.aborted) setPreview(data);
      } catch {
        if (!stop.signal.aborted) setPreview(null);
      }
    };
    const timer = setTimeout(ask, PAUSE);
    return () => (clearTimeout(timer), stop.abort());
  }, [text]);
  return preview;
}

/** @param {{ place: Place }} props */
export function QuickAdd({ place }) {
  const [text, setText] = useState("");
  const preview = usePreview(text);
  const understood = text.trim() ? (preview?.understood ?? []) : [];

  function submit(/** @type {Event} */ event) {
    event.preventDefault();
    const words = text.trim();
    if (!words) return;
    const whole = inPlace(words, place);
    const here =
      place.list === "project" ? { project_id: Number(place.id) } : place.list === "tag" ? { tags: [place.id] } : {};
    /** @type {Partial<Task> & { project?: string | null }} */
    const known = preview?.task ?? { title: words };
    const { project, ...shown } = known;
    const id = quickAdd(whole, { ...shown, ...here });
    setText("");
    setTimeout(() => flash(id), 60);
  }

  return html`
    <form class="quick-add" onSubmit=${submit}>
      <div class="line">
        <span class="plus" aria-hidden="true"></span>
        <input id="add" aria-label="New task" placeholder="Buy milk tomorrow at 9 #home p:high" autocomplete="off" maxlength="500"
          aria-describedby="understood" value=${text} onInput=${(/** @type {Typing} */ event) => setText(event.target.value)} />
        <button class="primary" hidden=${!text.trim()}>Add</button>
      </div>
      <p class="understood" id="understood" aria-live="polite">
        ${understood.map((span) => html`<span class=${`span ${span.field}`} title=${span.text}>${say(span)}</span>`)}
      </p>
    </form>
  `;
}

/** @param {Span} span */
function say({ field, value, text }) {
  try {
    return SAY[field]?.(value) ?? text;
  } catch {
    return text;
  }
}

/**
 * Shows the location of the new task.
 * @param {number} id
 */
function flash(id) {
  const row = document.querySelector(`.row[data-id="${getTask(id)?.id}"]`);
  row?.scrollIntoView({ block: "nearest" });
  row?.classList.add("new");
}
