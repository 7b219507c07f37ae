import { html } from "../../html.js";
import { Apps } from "./apps.js";
import { Calendars } from "./calendars.js";
import { Tokens } from "./tokens.js";
import { Webhooks } from "./webhooks.js";

/** What else may read or change the tasks, or is told of changes. */
export const Connections = () => html`<${Apps} /><${Tokens} /><${Calendars} /><${Webhooks} />`;
