import { html, useState } from "../html.js";
import { go } from "../place.js";
import { projects } from "../store.js";
import { changeProject, deleteProject } from "../writes.js";

/** Rename and delete, beside the name. Deleting asks once more, and can be undone. */
export function ProjectTools({ id }) {
  const [renaming, setRenaming] = useState(false);
  const [sure, setSure] = useState(false);
  const project = projects().find((one) => one.id === id);
  if (!project) return null;
  const keep = (event) => {
    event.preventDefault();
    const name = event.target.elements.name.value.trim();
    if (name) changeProject(project, { name });
    setRenaming(false);
  };
  if (renaming) {
    return html`
      <form class="tools" onSubmit=${keep}>
        <input name="name" aria-label="Name of the project" defaultValue=${project.name} maxlength="100" ref=${(field) => field?.focus()} onBlur=${() => setRenaming(false)} />
      </form>
    `;
  }
  return html`
    <div class="tools">
      <button class="link" onClick=${() => setRenaming(true)}>Rename</button>
      <button class=${sure ? "danger" : "link"} id="delete-project" onBlur=${() => setSure(false)} onClick=${() => (sure ? (deleteProject(project), go({ list: "all", id: "" })) : setSure(true))}>
        ${sure ? "Delete with its tasks?" : "Delete"}
      </button>
    </div>
  `;
}
