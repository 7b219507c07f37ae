import { html } from "../../html.js";
import { sayDay } from "../../dates.js";
import { sayNumber, t, tn } from "../../language.js";
import { call } from "../../session.js";
import { Section, useFetched } from "./form.js";
/** @import { Stats } from "types/client" */

const HEIGHT = 48;

export function Statistics() {
  const [stats] = useFetched(async () => (await call("GET", "/stats")).data);
  if (!stats) return null;
  const { open, completed, overdue, due_today: dueToday } = stats.totals;
  const { current, longest } = stats.streak;
  /** @type {[number: number, label: string][]} */
  const figures = [
    [open, t("open")],
    [dueToday, t("due today")],
    [overdue, t("overdue")],
    [completed, t("done")],
    [current, tn("day in a row", "days in a row", current)],
  ];
  return html`
    <${Section} id="statistics" title=${t("Statistics")}>
      <dl class="figures">${figures.map(([number, label]) => html`<div key=${label}><dt>${label}</dt><dd>${sayNumber(number)}</dd></div>`)}</dl>
      <${Days} days=${stats.per_day} />
      <p class="quiet">${t("Longest row of days with something done: {longest}.", { longest })}</p>
    <//>
  `;
}

/** @param {{ days: Stats["per_day"] }} props */
function Days({ days }) {
  const most = Math.max(1, ...days.map(({ done }) => done));
  const total = days.reduce((sum, { done }) => sum + done, 0);
  return html`
    <svg class="bars" viewBox=${`0 0 ${days.length * 10} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${tn("{total} done in {count} day", "{total} done in {count} days", days.length, { total })}>
      ${days.map(({ on, done }, at) => {
        const height = Math.max(1, Math.round((done / most) * HEIGHT));
        return html`<rect key=${on} x=${at * 10 + 1} y=${HEIGHT - height} width="8" height=${height}><title>${`${sayDay(on)}: ${done}`}</title></rect>`;
      })}
    </svg>
  `;
}
