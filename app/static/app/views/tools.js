// Actions for the project or the tag that a list shows, next to its name.
import { html, useState } from "../html.js";
import { go } from "../place.js";
import { archived, projects, tasks } from "../store.js";
import { show, ui } from "../ui.js";
import { archiveProject, changeProject, deleteProject, deleteTag, renameTag } from "../writes.js";
/** @import { Sending } from "types/client" */

const leave = () => go({ list: "all", id: "" });

/** @param {{ id: number }} props */
export function ProjectTools({ id }) {
  const project = [...projects(), ...archived()].find((one) => one.id === id);
  if (!project) return null;
  return html`
    <${Renaming} of="project" name=${project.name} max="100" onKeep=${(/** @type {string} */ name) => changeProject(project, { name })}>
      <button class="link" id="archive-project" onClick=${() => archiveProject(project, !project.archived_at)}>${project.archived_at ? "Bring back" : "Archive"}</button>
      <${Sure} id="delete-project" question="Delete with its tasks?" onClick=${() => (deleteProject(project), leave())} />
    <//>
  `;
}

/** @param {{ name: string }} props */
export function TagTools({ name }) {
  const other = ui.taken?.name === name ? ui.taken.other : null;
  const used = (/** @type {string} */ tag) => [...tasks().values()].some((task) => task.tags.includes(tag));
  const rename = (/** @type {string} */ tag, /** @type {boolean} */ merge) => {
    renameTag(name, tag, merge);
    go({ id: tag });
  };
  const keep = (/** @type {string} */ text) => {
    const tag = text.replace(/^@/, "");
    if (tag === name || !tag) return;
    if (used(tag)) show({ taken: { name, other: tag } });
    else rename(tag, false);
  };
  if (/^\.\.?$/.test(name)) return null; // no path can name it: browsers resolve it as a parent
  if (other) {
    return html`
      <div class="tools">
        <button class="danger" id="merge-tag" ref=${(/** @type {HTMLElement | null} */ button) => button?.focus()} onBlur=${() => show({ taken: null })} onClick=${() => rename(other, true)}>Put its tasks under @${other}?</button>
      </div>
    `;
  }
  return html`
    <${Renaming} of="tag" name=${name} max="50" onKeep=${keep}>
      <${Sure} id="delete-tag" question="Take it from all tasks?" onClick=${() => (deleteTag(name), leave())} />
    <//>
  `;
}

/** @param {{ of: string, name: string, max: string, onKeep: (text: string) => void, children?: unknown }} props */
function Renaming({ of, name, max, onKeep, children }) {
  const [open, setOpen] = useState(false);
  const keep = (/** @type {Sending<"name">} */ event) => {
    event.preventDefault();
    const text = event.target.elements.name.value.trim();
    setOpen(false);
    if (text) onKeep(text);
  };
  if (!open)
    return html`<div class="tools"><button class="link" id=${`rename-${of}`} onClick=${() => setOpen(true)}>Rename</button>${children}</div>`;
  return html`
    <form class="tools" onSubmit=${keep}>
      <input name="name" aria-label=${`Name of the ${of}`} defaultValue=${name} maxlength=${max} ref=${(/** @type {HTMLElement | null} */ field) => field?.focus()} onBlur=${() => setOpen(false)} />
    </form>
  `;
}

/**
 * Asks for confirmation.
 * @param {{ id: string, question: string, onClick: () => void }} props
 */
function Sure({ id, question, onClick }) {
  const [sure, setSure] = useState(false);
  return html`
    <button class=${sure ? "danger" : "link"} id=${id} onBlur=${() => setSure(false)} onClick=${() => (sure ? onClick() : setSure(true))}>
      ${sure ? question : "Delete"}
    </button>
  `;
}
