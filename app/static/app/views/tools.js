// Actions for the project or the tag that a list shows, next to its name.
import { dropDraft, useDraft } from "../drafts.js";
import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { t, tn } from "../language.js";
import { boardOf, go, readPlace, showBoard } from "../place.js";
import { archived, keyOf, projects, projectsIn, projectTree, tagColors, tasks } from "../store.js";
import { show, ui } from "../ui.js";
import {
  archiveProject,
  changeProject,
  deleteProject,
  deleteTag,
  duplicateProject,
  moveProject,
  paintTag,
  renameTag,
} from "../writes.js";
import { Dialog } from "./dialog.js";
import { FieldNote, inset, isTooLong, NAME_MAX, typeOver } from "./fields.js";
/** @import { Choosing, Place, Project, Typed, Typing } from "types/client" */

const TAG_MAX = 50; // characters
const NO_COLOR = "#808080"; // what the browser's choice begins with
const LEVELS_MAX = 3; // of projects inside of projects

const leave = () => go({ list: "all", id: "" });

/** @param {{ id: number }} props */
export function ProjectTools({ id }) {
  const project = [...projects(), ...archived()].find((one) => one.id === id);
  if (!project) return null;
  return html`
    <${Renaming} of="project" draft=${`project:${keyOf(project)}`} name=${project.name} max=${NAME_MAX} onKeep=${(/** @type {string} */ name, /** @type {Typed} */ typed) => changeProject(project, { name }, typed)}>
      <${Layout} place=${readPlace()} />
      <button class="link" id="favorite-project" aria-pressed=${String(project.favorite)} onClick=${() => changeProject(project, { favorite: !project.favorite })}>${project.favorite ? "★" : "☆"} ${t("Starred")}</button>
      <${Inside} project=${project} />
      <label class="choice">${t("Colour")}<input type="color" id="project-color" value=${project.color ?? NO_COLOR} onChange=${(/** @type {Choosing} */ event) => changeProject(project, { color: event.target.value })} /></label>
      <${Order} project=${project} />
      <button class="link" id="duplicate-project" onClick=${() => go({ id: String(duplicateProject(project)) })}>${t("Duplicate")}</button>
      <button class="link" id="archive-project" onClick=${() => archiveProject(project, !project.archived_at)}>${project.archived_at ? t("Bring back") : t("Archive")}</button>
      <${Deletion} project=${project} />
    <//>
  `;
}

/** @type {Record<string, string>} */
const BOARDS = {
  "": t("List"),
  status: t("Board by status"),
  priority: t("Board by priority"),
  tag: t("Board by tag"),
};

/**
 * A list, or columns.
 * @param {{ place: Place }} props
 */
const Layout = ({ place }) => html`
  <label class="choice">${t("Shown as")}
    <select id="layout" value=${boardOf(place) ?? ""} onChange=${(/** @type {Choosing} */ event) => showBoard(event.target.value || null)}>
      ${Object.entries(BOARDS).map(([by, label]) => html`<option value=${by}>${label}</option>`)}
    </select>
  </label>
`;

/**
 * Asks whether the projects inside of it go with it.
 * @param {{ project: Project }} props
 */
function Deletion({ project }) {
  const [asking, setAsking] = useState(false);
  const count = projectsIn(project.id).length;
  const erase = (isWhole = false) => (deleteProject(project, isWhole), leave());
  if (!count)
    return html`<${Sure} id="delete-project" question=${t("Delete with its tasks?")} onClick=${() => erase()} />`;
  return html`
    <button class="link" id="delete-project" aria-haspopup="dialog" onClick=${() => setAsking(true)}>${t("Delete")}</button>
    ${
      asking &&
      html`
      <${Dialog} label=${t("Delete the project")} onClose=${() => setAsking(false)}>
        <h2>${t("Delete the project")}</h2>
        <p>${tn("There is a project inside of it. What is deleted goes to the trash with its tasks.", "There are {count} projects inside of it. What is deleted goes to the trash with its tasks.", count)}</p>
        <div class="choices">
          <button class="danger" id="delete-alone" onClick=${() => erase()}>${t("Delete only this project")}</button>
          <button class="danger" id="delete-whole" onClick=${() => erase(true)}>${t("Delete all of them")}</button>
          <button class="secondary" onClick=${() => setAsking(false)}>${t("Cancel")}</button>
        </div>
      <//>`
    }
  `;
}

/**
 * Its place among those next to it in the sidebar.
 * @param {{ project: Project }} props
 */
function Order({ project }) {
  const siblings = projects().filter((one) => one.parent_id === project.parent_id);
  const at = siblings.findIndex(({ id }) => id === project.id);
  if (at < 0 || siblings.length < 2) return null;
  return html`
    <span class="choice">
      <button class="link" id="project-up" disabled=${at === 0} onClick=${() => moveProject(project, true)}>${t("Up")}</button>
      <button class="link" id="project-down" disabled=${at === siblings.length - 1} onClick=${() => moveProject(project, false)}>${t("Down")}</button>
    </span>
  `;
}

/**
 * The project that contains this one: any with room for it and for what is inside of it.
 * @param {{ project: Project }} props
 */
function Inside({ project }) {
  const below = projectsIn(project.id);
  const inner = below.filter((one) => one.parent_id === project.id);
  const height = below.length > inner.length ? 3 : inner.length ? 2 : 1;
  const unfit = new Set([project, ...below].map(({ id }) => id));
  const choices = projectTree().filter(
    ({ project: { id }, level }) => !unfit.has(id) && level + 1 + height <= LEVELS_MAX,
  );
  if (!choices.length && project.parent_id === null) return null;
  const away = archived().find(({ id }) => id === project.parent_id);
  return html`
    <label class="choice">${t("Inside of")}
      <select id="inside-of" value=${project.parent_id ?? ""} onChange=${(/** @type {Choosing} */ event) => changeProject(project, { parent_id: Number(event.target.value) || null })}>
        <option value="">${t("no project")}</option>
        ${away && html`<option value=${away.id}>${away.name}</option>`}
        ${choices.map(({ project: { id, name }, level }) => html`<option value=${id}>${inset(level)}${name}</option>`)}
      </select>
    </label>
  `;
}

/** @param {{ name: string }} props */
export function TagTools({ name }) {
  const other = ui.taken?.name === name ? ui.taken.other : null;
  const used = (/** @type {string} */ tag) => [...tasks().values()].some((task) => task.tags.includes(tag));
  const rename = (
    /** @type {string} */ tag,
    /** @type {boolean} */ merge,
    /** @type {Typed | undefined} */ typed = undefined,
  ) => {
    renameTag(name, tag, merge, typed);
    go({ id: tag });
  };
  const keep = (/** @type {string} */ text, /** @type {Typed} */ typed) => {
    const tag = text.replace(/^@/, "");
    if (tag === name || !tag) return;
    if (used(tag)) show({ taken: { name, other: tag } });
    else rename(tag, false, typed);
  };
  if (/^\.\.?$/.test(name)) return null; // no path can name it: browsers resolve it as a parent
  if (other) {
    return html`
      <div class="tools">
        <button class="danger" id="merge-tag" ref=${(/** @type {HTMLElement | null} */ button) => button?.focus()} onBlur=${() => show({ taken: null })} onClick=${() => (dropDraft(`tag:${name}`), rename(other, true))}>${t("Put its tasks under @{name}?", { name: other })}</button>
      </div>
    `;
  }
  return html`
    <${Renaming} of="tag" draft=${`tag:${name}`} name=${name} max=${TAG_MAX} onKeep=${keep}>
      <${Paint} name=${name} />
      <${Sure} id="delete-tag" question=${t("Take it from all tasks?")} onClick=${() => (deleteTag(name), leave())} />
    <//>
  `;
}

/** @param {{ name: string }} props */
function Paint({ name }) {
  const color = tagColors().get(name)?.color;
  return html`
    <label class="choice">${t("Colour")}<input type="color" id="tag-color" value=${color ?? NO_COLOR} onChange=${(/** @type {Choosing} */ event) => paintTag(name, event.target.value)} /></label>
    ${color && html`<button class="link" id="no-tag-color" onClick=${() => paintTag(name, null)}>${t("No colour")}</button>`}
  `;
}

/** @param {{ of: string, draft: string, name: string, max: number, onKeep: (text: string, typed: Typed) => void, children?: unknown }} props */
function Renaming({ of, draft, name, max, onKeep, children }) {
  const [open, setOpen] = useState(false);
  const typed = useDraft(draft);
  const field = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => void (open && field.current?.focus()), [open]);
  const text = typed?.text ?? name;
  const keep = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (isTooLong(text, max)) return;
    setOpen(false);
    dropDraft(draft);
    if (text.trim()) onKeep(text.trim(), { name: draft, text, before: name });
  };
  if (!open && !typed)
    return html`<div class="tools"><button class="link" id=${`rename-${of}`} onClick=${() => setOpen(true)}>${t("Rename")}</button>${children}</div>`;
  return html`
    <form class="tools" onSubmit=${keep}>
      <input name="name" ref=${field} dir="auto" aria-label=${of === "tag" ? t("Name of the tag") : t("Name of the project")} value=${text} aria-invalid=${isTooLong(text, max) || typed?.refused ? "true" : null} aria-describedby="rename-note"
        onInput=${(/** @type {Typing} */ event) => typeOver(draft, event.target.value, name, 0)} onFocus=${() => setOpen(true)} onBlur=${() => setOpen(false)} />
      <${FieldNote} id="rename-note" name=${draft} text=${text} max=${max} isTyping=${open} onSave=${keep} />
    </form>
  `;
}

/**
 * Asks for confirmation.
 * @param {{ id: string, label?: string, question: string, onClick: () => void, children?: unknown }} props
 */
export function Sure({ id, label = t("Delete"), question, onClick, children }) {
  const [sure, setSure] = useState(false);
  return html`
    <button class=${sure ? "danger" : "link"} id=${id} onBlur=${() => setSure(false)} onClick=${() => (sure ? onClick() : setSure(true))}>
      ${sure ? question : label}${children}
    </button>
  `;
}
