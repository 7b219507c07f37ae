import { html } from "../../html.js";
import { sayDay } from "../../dates.js";
import { call } from "../../session.js";
import { Section, useFetched } from "./form.js";
/** @import { Stats } from "types/client" */

const HEIGHT = 48;

export function Statistics() {
  const [stats] = useFetched(async () => (await call("GET", "/stats")).data);
  if (!stats) return null;
  const { open, completed, overdue, due_today: dueToday } = stats.totals;
  const { current, longest } = stats.streak;
  const figures = [
    [open, "open"],
    [dueToday, "due today"],
    [overdue, "overdue"],
    [completed, "done"],
    [current, current === 1 ? "day in a row" : "days in a row"],
  ];
  return html`
    <${Section} id="statistics" title="Statistics">
      <dl class="figures">${figures.map(([number, label]) => html`<div key=${label}><dt>${label}</dt><dd>${number.toLocaleString("en")}</dd></div>`)}</dl>
      <${Days} days=${stats.per_day} />
      <p class="quiet">${`Longest row of days with something done: ${longest}.`}</p>
    <//>
  `;
}

/** @param {{ days: Stats["per_day"] }} props */
function Days({ days }) {
  const most = Math.max(1, ...days.map(({ done }) => done));
  const total = days.reduce((sum, { done }) => sum + done, 0);
  return html`
    <svg class="bars" viewBox=${`0 0 ${days.length * 10} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`${total} done in ${days.length} days`}>
      ${days.map(({ on, done }, at) => {
        const height = Math.max(1, Math.round((done / most) * HEIGHT));
        return html`<rect key=${on} x=${at * 10 + 1} y=${HEIGHT - height} width="8" height=${height}><title>${`${sayDay(on)}: ${done}`}</title></rect>`;
      })}
    </svg>
  `;
}
