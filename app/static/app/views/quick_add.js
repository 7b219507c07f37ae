import { html, useEffect, useState } from "../html.js";
import { dayIn, sayDay, sayDue, sayDueWithin, sayRule } from "../dates.js";
import { takeDraft, useDraft, writeDraft } from "../drafts.js";
import { hasStatus } from "../api.js";
import { t } from "../language.js";
import { sayProblem } from "../problems.js";
import { call } from "../session.js";
import { sayAdded } from "../outcomes.js";
import { PRIORITY_NAMES } from "../statuses.js";
import { getTask, projects, store, tags } from "../store.js";
import { quickAdd } from "../writes.js";
import { FieldNote, isTooLong } from "./fields.js";
import { later } from "./later.js";
import { sayReminder } from "../reminders.js";
/** @import { Place, Priority, QuickPreview, Span, Task, Typing } from "types/client" */

const Completion = later(() => import("./completion.js"), "Completion");
const PAUSE = 150; // ms after the last key
const QUICK_MAX = 500; // characters
/** @type {Record<string, number | undefined>} */
const USUAL_DAYS = { today: 0, upcoming: 1 }; // days from today that a new task is due in these lists
/** @type {Record<string, (value: string) => string | undefined>} */
const SAY = {
  due_date: (value) => sayDue(value),
  start_date: (value) => t("from {date}", { date: sayDueWithin(value) }),
  recurrence: (value) => sayRule(value),
  reminders: (value) => (/^P.*[1-9]/.test(value) ? undefined : t("remind {when}", { when: sayReminder(value) })), // "PT9H": as written
  priority: (value) => PRIORITY_NAMES[/** @type {Priority} */ (value)] ?? value,
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
 * Quotes the names of projects and tags that exist and have spaces, the longest first: for the service, a name without
 * quotes ends at a space.
 * @param {string} text
 */
function withNames(text) {
  /** @type {[mark: string, names: string[]][]} */
  const known = [
    ["#", projects().map(({ name }) => name)],
    ["@", tags().map(([name]) => name)],
  ];
  for (const [mark, names] of known) {
    const spaced = names.filter((name) => /\s/.test(name) && !name.includes('"')).sort((a, b) => b.length - a.length);
    if (!spaced.length) continue;
    const any = spaced.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
    text = text.replace(new RegExp(`(^|\\s)${mark}(${any})(?![\\p{L}\\p{N}_-])`, "giu"), `$1${mark}"$2"`);
  }
  return text;
}

/**
 * Shows what the service parses from the text, while it is typed; nothing is written.
 * @param {string} text
 */
function usePreview(text) {
  const [preview, setPreview] = useState(/** @type {QuickPreview | null} */ (null));
  const [refused, setRefused] = useState(/** @type {string | null} */ (null));
  useEffect(() => {
    const stop = new AbortController();
    /** @type {(preview: QuickPreview | null, refused?: string | null) => void} */
    const show = (found, why = null) => {
      if (!stop.signal.aborted) (setPreview(found), setRefused(why));
    };
    if (!text.trim()) return show(null);
    const ask = async () => {
      try {
        show((await call("POST", "/tasks/quick", { body: { text, dry_run: true }, signal: stop.signal })).data);
      } catch (error) {
        show(null, hasStatus(error, 422) ? sayProblem(error) : null);
      }
    };
    const timer = setTimeout(ask, PAUSE);
    return () => (clearTimeout(timer), stop.abort());
  }, [text]);
  return { preview, refused };
}

/** @param {{ place: Place }} props */
export function QuickAdd({ place }) {
  const typed = useDraft("add");
  const text = typed?.text ?? "";
  const { preview, refused } = usePreview(withNames(text));
  const isLong = isTooLong(text, QUICK_MAX) || (Boolean(text.trim()) && refused !== null);
  const understood = text.trim() ? (preview?.understood ?? []) : [];
  const [isFree, setFree] = useState(false);
  useEffect(() => setFree(false), [place.list, place.id]);
  const days = USUAL_DAYS[place.list];
  const day = place.list === "calendar" ? place.id : days === undefined ? null : dayIn(days);
  const usual = isFree ? null : day;
  const isUsual = usual && text.trim() && !preview?.task.due_date;

  function submit(/** @type {Event} */ event) {
    event.preventDefault();
    const words = text.trim();
    if (!words || isLong) return;
    const whole = inPlace(withNames(words), place);
    const here =
      place.list === "project" ? { project_id: Number(place.id) } : place.list === "tag" ? { tags: [place.id] } : {};
    /** @type {Partial<Task> & { project?: string | null }} */
    const known = preview?.task ?? { title: words };
    const { project, ...shown } = known;
    takeDraft("add");
    const due = shown.due_date ?? usual;
    const id = quickAdd(whole, { ...shown, ...here, due_date: due }, { name: "add", text: words }, usual);
    setFree(false);
    const row = getTask(id);
    if (row && !store.online) sayAdded(row);
    setTimeout(() => flash(id), 60);
  }

  const type = (/** @type {Typing} */ event) => writeDraft("add", { text: event.target.value, others: typed?.others });

  return html`
    <form class="quick-add" onSubmit=${submit}>
      <div class="line">
        <span class="plus" aria-hidden="true"></span>
        <input id="add" aria-label=${t("New task")} placeholder=${t("Buy milk tomorrow at 9 #home p:high")} autocomplete="off" dir="auto"
          aria-invalid=${isLong || typed?.refused ? "true" : null} aria-describedby="understood add-note" value=${text} onInput=${type} />
        <button class="primary" hidden=${!text.trim()}>${t("Add")}</button>
        ${/[#@]/.test(text) && html`<${Completion} field="add" />`}
      </div>
      <p class="understood" id="understood" aria-live="polite">
        ${understood.map((span) => html`<span class=${`span ${span.field}`} title=${span.text}><bdi>${say(span)}</bdi></span>`)}
        ${isUsual && html`<button type="button" class="span" id="usual-day" title=${t("Without a due date")} aria-label=${t("{day}: remove the due date", { day: sayDay(usual) })} onClick=${() => setFree(true)}>${sayDay(usual)} <span aria-hidden="true">×</span></button>`}
      </p>
      <${FieldNote} id="add-note" name="add" text=${text} max=${QUICK_MAX} problem=${isTooLong(text, QUICK_MAX) || !text.trim() ? null : refused} />
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
