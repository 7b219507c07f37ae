// Markdown as elements. The library only reads it: no text becomes markup, and nothing of another host is loaded.
import { html } from "../html.js";
import { lexer } from "../vendor/marked.js";
/** @import { Token } from "../vendor/marked.js" */

const LINKS = /^(https?:|mailto:)/i;

/** @param {{ text: string }} props */
export const Markdown = ({ text }) =>
  html`<div class="markdown" dir="auto">${blocks(lexer(text, { gfm: true, breaks: true }))}</div>`;

/** @type {(tokens?: Token[]) => unknown[]} */
const blocks = (tokens = []) => tokens.map(block);

/**
 * @param {Token} token
 * @returns {unknown}
 */
function block(token) {
  const { type, raw, text, tokens, items, ordered, start, header, rows } = token;
  switch (type) {
    case "space":
    case "def":
    case "checkbox": // its item shows it
      return null;
    case "hr":
      return html`<hr />`;
    case "heading":
      return html`<p class="heading">${inline(tokens)}</p>`; // no heading of the page
    case "paragraph":
      return html`<p>${inline(tokens)}</p>`;
    case "blockquote":
      return html`<blockquote>${blocks(tokens)}</blockquote>`;
    case "code":
      return html`<pre><code>${text}</code></pre>`;
    case "list": {
      const points = items?.map(
        (item) => html`<li>${item.task && (item.checked ? "☑ " : "☐ ")}${blocks(item.tokens)}</li>`,
      );
      return ordered ? html`<ol start=${start || 1}>${points}</ol>` : html`<ul>${points}</ul>`;
    }
    case "table":
      return html`
        <div class="wide"><table>
          <thead><tr>${header?.map((cell) => html`<th>${inline(cell.tokens)}</th>`)}</tr></thead>
          <tbody>${rows?.map((row) => html`<tr>${row.map((cell) => html`<td>${inline(cell.tokens)}</td>`)}</tr>`)}</tbody>
        </table></div>
      `;
    case "text":
      return tokens ? inline(tokens) : (text ?? raw);
    default:
      return html`<p>${raw}</p>`; // markup among it, shown as it is
  }
}

/** @type {(tokens?: Token[]) => unknown[]} */
const inline = (tokens = []) => tokens.map(piece);

/**
 * @param {Token} token
 * @returns {unknown}
 */
function piece({ type, raw, text, tokens, href }) {
  switch (type) {
    case "strong":
      return html`<strong>${inline(tokens)}</strong>`;
    case "em":
      return html`<em>${inline(tokens)}</em>`;
    case "del":
      return html`<del>${inline(tokens)}</del>`;
    case "codespan":
      return html`<code>${text}</code>`;
    case "br":
      return html`<br />`;
    case "checkbox":
      return null;
    case "escape":
      return text ?? raw;
    case "link":
    case "image":
      if (!href || !LINKS.test(href)) return raw;
      return html`<a class="link" href=${href} target="_blank" rel="noopener noreferrer">${tokens?.length ? inline(tokens) : text || href}</a>`;
    case "text":
      return tokens ? inline(tokens) : (text ?? raw);
    default:
      return raw;
  }
}
