import { html } from "../html.js";
import { readPlace } from "../place.js";
import { session } from "../session.js";
import { getTask, keyOf } from "../store.js";
import { ui } from "../ui.js";
import { Chat } from "./chat.js";
import { Conflict } from "./conflict.js";
import { Details } from "./details.js";
import { Help } from "./help.js";
import { Login } from "./login.js";
import { Sidebar } from "./sidebar.js";
import { TaskPage } from "./task_page.js";
import { Toast } from "./toast.js";
import { Trash } from "./trash.js";

export function App() {
  if (!session.user) return html`<${Login} />`;
  const place = readPlace();
  const open = place.task ? getTask(place.task) : null;
  return html`
    <div class=${`frame${open ? " with-details" : ""}${ui.sidebar ? " with-sidebar" : ""}`}>
      <${Sidebar} place=${place} />
      <main id="main">${place.list === "trash" ? html`<${Trash} />` : html`<${TaskPage} place=${place} />`}</main>
      ${open && html`<${Details} key=${keyOf(open)} task=${open} />`}
      ${ui.panel === "chat" && html`<${Chat} />`}
    </div>
    ${ui.panel === "help" && html`<${Help} />`}
    ${ui.conflict && html`<${Conflict} ...${ui.conflict} />`}
    <${Toast} toast=${ui.toast} />
  `;
}
