// The only module that depends on the library. Text in a template always becomes a text node: nothing here parses
// markup.
import { Component, h, render } from "./vendor/preact.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import htm from "./vendor/htm.js";
/** @import { VNode } from "./vendor/preact.js" */

/** @type {(strings: TemplateStringsArray, ...values: unknown[]) => VNode | VNode[]} */
export const html = htm.bind(h);
export { Component, render, useEffect, useLayoutEffect, useRef, useState };
