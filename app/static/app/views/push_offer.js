import { html, useEffect, useState } from "../html.js";
import { listKinds } from "../channels.js";
import { t } from "../language.js";
import { addBrowser, browserChannel, pushRefusal } from "../push.js";
import { redraw } from "../store.js";
import { complain, toast } from "../ui.js";

const DECLINED = "todo.push.declined";

/** Where a reminder is set: an offer to show it by this browser. The browser asks only after a click on it. */
export function PushOffer() {
  const [offered, setOffered] = useState(false);
  const wanted = !browserChannel() && pushRefusal() === null && !localStorage.getItem(DECLINED);
  useEffect(() => {
    if (wanted)
      listKinds().then(
        (kinds) => setOffered(kinds.some((one) => one.kind === "webpush" && one.available)),
        () => {}, // offline: it is offered another time
      );
  }, [wanted]);
  if (!wanted || !offered) return null;
  const decline = () => {
    localStorage.setItem(DECLINED, "true");
    redraw();
  };
  return html`
    <div class="offer" role="group" aria-label=${t("Reminders in this browser")}>
      <p>${t("This browser can show reminders, also when no window is open.")}</p>
      <div class="choices">
        <button class="secondary" id="allow-push" onClick=${allow}>${t("Show them here")}</button>
        <button class="link" id="decline-push" onClick=${decline}>${t("Not here")}</button>
      </div>
    </div>
  `;
}

export const allow = () =>
  addBrowser().then(
    (channel) => toast(t("This browser shows reminders, as the channel {name}.", { name: channel.name })),
    complain,
  );
