import { chooseDisplay, chosenClock, chosenWeekStart, formatDates, usualClock, usualWeekStart } from "../../display.js";
import { html } from "../../html.js";
import { chooseLanguage, chosenLanguage, LANGUAGES, t, usualLanguage } from "../../language.js";
import { setTheme, theme } from "../../ui.js";
import { Form, Section } from "./form.js";
/** @import { Choosing } from "types/client" */

/** @type {[value: string, label: string][]} */
const THEMES = [
  ["auto", t("As the device")],
  ["light", t("Light")],
  ["dark", t("Dark")],
];
/** @type {Record<string, string>} */
const CLOCKS = { 12: t("12 hours"), 24: t("24 hours") };
const WEEKDAY = formatDates({ weekday: "long" });
/** @type {Record<string, string>} */
const DAYS = Object.fromEntries(
  Array.from({ length: 7 }, (_, day) => [day, WEEKDAY.format(new Date(2026, 1, 1 + day))]),
);

/** How this browser shows things. */
export const Display = () => html`<${Words} /><${Colours} />`;

/** One button for all of them, because the page is loaded again. */
function Words() {
  const save = async (/** @type {Record<string, string>} */ { language, clock, week }) => {
    chooseLanguage(language);
    chooseDisplay({ clock, week });
    location.reload();
  };
  return html`
    <${Section} id="display" title=${t("Language and dates")} about=${t("Kept in this browser: each of your devices has its own.")}>
      <${Form} id="display-form" label=${t("Save")} onSend=${save}>
        <${Choice} name="language" label=${t("Language")} chosen=${chosenLanguage()} usual=${usualLanguage} choices=${LANGUAGES} />
        <${Choice} name="week" label=${t("First day of the week")} chosen=${chosenWeekStart()} usual=${usualWeekStart()} choices=${DAYS} />
        <${Choice} name="clock" label=${t("Clock")} chosen=${chosenClock()} usual=${usualClock()} choices=${CLOCKS} />
      <//>
    <//>
  `;
}

/** @param {{ name: string, label: string, chosen: string, usual: string | number, choices: Record<string, string> }} props */
const Choice = ({ name, label, chosen, usual, choices }) => html`
  <label>${label}
    <select name=${name}>
      <option value="" selected=${!chosen}>${t("As the browser: {choice}", { choice: choices[usual] })}</option>
      ${Object.entries(choices).map(([value, text]) => html`<option key=${value} value=${value} selected=${value === chosen} lang=${name === "language" ? value : null}>${text}</option>`)}
    </select>
  </label>
`;

function Colours() {
  return html`
    <${Section} id="colours" title=${t("Appearance")}>
      <label class="field">${t("Colours")}
        <select id="colours" value=${theme()} onChange=${(/** @type {Choosing} */ event) => setTheme(event.target.value)}>
          ${THEMES.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
        </select>
      </label>
    <//>
  `;
}
