import { html } from "../../html.js";
import { Exports } from "./exports.js";
import { Imports } from "./imports.js";
import { Statistics } from "./statistics.js";

/** What the user has in the service, brings to it and takes away. */
export const Data = () => html`<${Statistics} /><${Imports} /><${Exports} />`;
