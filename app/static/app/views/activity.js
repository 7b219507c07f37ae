// What happened, newest first, from the changes that the service keeps: one entry for each write, with its undo.
import { sayChange } from "../change_words.js";
import { dayOf, sayDay, sayTime } from "../dates.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { t } from "../language.js";
import { hrefTo } from "../place.js";
import { hasStatus } from "../api.js";
import { queue } from "../queue.js";
import { call } from "../session.js";
import { confirmed, isHeld, store } from "../store.js";
import { complain } from "../ui.js";
import { undoRevision, wasUndone } from "../undo.js";
import { HIDDEN, sayField, sayThrough, sayValue } from "../values.js";
import { Bell } from "./bell_button.js";
import { ListsButton } from "./sidebar.js";
/** @import { Change, HistoryEntry, On } from "types/client" */

/** @typedef {{ revision: number, at: string, through: string, changes: Change[] }} Write */
/** @typedef {{ writes: Write[], bottom: number, top: number, isEnd: boolean }} Known */

const WINDOW = 100; // revisions of one request
const ENOUGH = 30; // writes of a page
const ROWS_MAX = 1000;

/**
 * The writes after one revision and up to another, newest first. Those of conversations are not shown.
 * @param {number} since
 * @param {number} through
 */
async function readWrites(since, through) {
  /** @type {Map<number, Write>} */
  const writes = new Map();
  for (let from = since; from < through;) {
    const { data } = await call("GET", `/changes?since=${from}&limit=${ROWS_MAX}`);
    for (const change of data.changes) {
      const { revision, at, through: source } = change;
      if (revision > through || !isHeld(change.entity)) continue;
      const write = writes.get(revision) ?? { revision, at, through: source, changes: [] };
      write.changes.push(change);
      writes.set(revision, write);
    }
    if (!data.has_more) break;
    from = data.next;
  }
  return [...writes.values()].reverse();
}

/**
 * The earliest revision after which changes are kept, between one that is too early and one that is not.
 * @param {number} early
 * @param {number} late
 */
async function findEarliest(early, late) {
  while (late - early > 1) {
    const middle = Math.floor((early + late) / 2);
    if (await isKept(middle)) late = middle;
    else early = middle;
  }
  return late;
}

/** @param {number} since */
async function isKept(since) {
  try {
    await call("GET", `/changes?since=${since}&limit=1`);
    return true;
  } catch (error) {
    if (hasStatus(error, 410)) return false;
    throw error;
  }
}

/**
 * Reads a page of the writes up to a revision, or as many as are left.
 * @param {number} through
 * @returns {Promise<Omit<Known, "top">>}
 */
async function readPage(through) {
  /** @type {Write[]} */
  const writes = [];
  let [bottom, isEnd] = [through, through === 0];
  while (!isEnd && writes.length < ENOUGH) {
    let since = Math.max(0, bottom - WINDOW);
    isEnd = since === 0;
    if (!(await isKept(since))) {
      since = await findEarliest(since, bottom);
      isEnd = true;
    }
    writes.push(...(await readWrites(since, bottom)));
    bottom = since;
  }
  return { writes, bottom, isEnd };
}

function useActivity() {
  const [known, setKnown] = useState(/** @type {Known | null} */ (null));
  const latest = useRef(known);
  latest.current = known;
  const { revision, online } = store;
  useEffect(() => {
    if (revision === null || !online) return undefined;
    let isLeft = false;
    /** @type {(change: (all: Known | null) => Known | null) => void} */
    const keep = (change) => void (isLeft || setKnown(change));
    const begin = async () => {
      keep(() => null);
      const page = await readPage(revision);
      keep(() => ({ ...page, top: revision }));
    };
    const goOn = async (/** @type {number} */ top) => {
      const newer = await readWrites(top, revision);
      const isOld = (/** @type {Write} */ one) => one.revision <= top;
      keep((all) => all && { ...all, writes: [...newer, ...all.writes.filter(isOld)], top: revision });
    };
    const read = async () => {
      if (!latest.current) return begin();
      await goOn(latest.current.top).catch((error) => {
        if (hasStatus(error, 410)) return begin(); // what is between is no longer kept
        throw error;
      });
    };
    read().catch(() => {}); // offline, or the replica begins again
    return () => void (isLeft = true);
  }, [revision, online]);
  return { known, setKnown };
}

export function Activity() {
  const { known, setKnown } = useActivity();
  const [isReading, setReading] = useState(false);
  useEffect(() => void (document.title = `${t("Activity")} · Todo`), []);
  const more = () => {
    if (!known || isReading) return;
    setReading(true);
    readPage(known.bottom)
      .then(
        (page) =>
          setKnown((all) =>
            all?.bottom === known.bottom ? { ...all, ...page, writes: [...all.writes, ...page.writes] } : all,
          ),
        complain,
      )
      .finally(() => setReading(false));
  };
  /** @type {[day: string, writes: Write[]][]} */
  const days = [];
  for (const write of known?.writes ?? []) {
    const day = dayOf(new Date(write.at));
    if (days.at(-1)?.[0] === day) days.at(-1)?.[1].push(write);
    else days.push([day, [write]]);
  }
  return html`
    <header class="head">
      <${ListsButton} />
      <h1>${t("Activity")}</h1>
      <${Bell} />
    </header>
    ${!store.online && html`<p class="note" role="status">${t("What happened is with the service, which cannot be reached now.")}</p>`}
    ${!known && store.online && html`<p class="empty">${t("One moment…")}</p>`}
    ${days.map(
      ([day, writes]) => html`
      <section class="activity" key=${day} aria-labelledby=${`day-${day}`}>
        <h2 id=${`day-${day}`}>${sayDay(day)}</h2>
        <ol>${writes.map((write) => html`<${Entry} key=${write.revision} write=${write} />`)}</ol>
      </section>`,
    )}
    ${known && known.isEnd && html`<p class="empty" id="activity-end">${known.bottom ? t("Earlier changes are not kept.") : t("This is where it began.")}</p>`}
    ${known && !known.isEnd && html`<button class="more" id="earlier" disabled=${isReading} onClick=${more}>${t("Earlier")}</button>`}
  `;
}

/** @param {{ write: Write }} props */
function Entry({ write }) {
  const { revision, at, through, changes } = write;
  const label = sayChange(changes);
  const isSent = [...queue.all()].some(({ undoes }) => undoes === revision);
  const canUndo = changes.every(({ action }) => action !== "purged" && action !== "reminded");
  const [{ entity, entity_id: id, action }] = changes;
  const isThere = changes.length === 1 && entity === "task" && confirmed("task", id);
  return html`
    <li data-revision=${revision}>
      <time datetime=${at}>${sayTime(at)}</time>
      <div class="words">
        <p>${isThere ? html`<a href=${hrefTo({ list: "activity", task: id })}>${label}</a>` : label}</p>
        ${through !== "api" && html`<p class="meta">${sayThrough(through)}</p>`}
        ${changes.length > 1 && html`<${Rows} changes=${changes} />`}
        ${changes.length === 1 && entity === "task" && action !== "created" && html`<${Fields} id=${id} revision=${revision} />`}
      </div>
      ${canUndo && (wasUndone(revision) ? html`<span class="quiet">${t("Undone")}</span>` : html`<button class="link undo" disabled=${isSent} onClick=${() => undoRevision(revision, label)}>${t("Undo")}<span class="unseen">: ${label}</span></button>`)}
    </li>
  `;
}

/**
 * The rows of a write of many.
 * @param {{ changes: Change[] }} props
 */
const Rows = ({ changes }) => html`
  <details>
    <summary>${t("All of it")}</summary>
    <ul>${changes.map((one) => html`<li key=${`${one.entity} ${one.entity_id}`}>${sayChange([one])}</li>`)}</ul>
  </details>
`;

/**
 * The fields that a write has changed, fetched when they are asked for.
 * @param {{ id: number, revision: number }} props
 */
function Fields({ id, revision }) {
  const [entry, setEntry] = useState(/** @type {HistoryEntry | null | undefined} */ (undefined));
  const open = (/** @type {On<HTMLDetailsElement>} */ event) => {
    if (!event.currentTarget.open || entry) return;
    call("GET", `/tasks/${id}/history?limit=1&before=${revision + 1}`).then(
      ({ data }) => setEntry(data.find((one) => one.revision === revision) ?? null),
      complain,
    );
  };
  const shown = entry?.changes.filter(({ field }) => !HIDDEN.includes(field)) ?? [];
  return html`
    <details class="history" onToggle=${open}>
      <summary>${t("What changed")}</summary>
      ${entry !== undefined && !shown.length && html`<p class="meta">${t("Its place in the list")}</p>`}
      ${shown.map((one) => html`<p class="meta" key=${one.field}>${sayField(one.field)}: <del><bdi>${sayValue(one.field, one.from)}</bdi></del> → <ins><bdi>${sayValue(one.field, one.to)}</bdi></ins></p>`)}
    </details>
  `;
}
