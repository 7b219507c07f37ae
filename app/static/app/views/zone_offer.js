import { html, useEffect, useState } from "../html.js";
import { t } from "../language.js";
import { call, session } from "../session.js";
import { store } from "../store.js";
import { complain, toast } from "../ui.js";

const asked = () => `todo.zone.${session.user?.id}`; // the zone of this device that was declined

/**
 * Whether clocks in both show the same in winter and in summer: some zones have two names.
 * @param {string} zone
 * @param {string} other
 */
function isSame(zone, other) {
  const year = new Date().getFullYear();
  const say = (/** @type {string} */ timeZone) =>
    [0, 3, 6, 9].map((month) => new Date(Date.UTC(year, month, 15, 12)).toLocaleString("en-GB", { timeZone })).join();
  try {
    return zone === other || say(zone) === say(other);
  } catch {
    return false; // a zone that this browser does not know
  }
}

/** Asks once when the device is in another time zone than the account, which decides what "today" and "at 9" mean. */
export function ZoneOffer() {
  const [zone, setZone] = useState(/** @type {string | null} */ (null));
  const isReady = store.revision !== null;
  const here = session.timezone;
  const user = session.user?.id;
  useEffect(() => {
    setZone(null);
    if (!isReady || localStorage.getItem(asked()) === here) return;
    call("GET", "/settings").then(
      ({ data }) => session.user?.id === user && setZone(data.timezone),
      () => {}, // offline: asked another time
    );
  }, [isReady, here, user]);
  if (!zone || isSame(zone, here)) return null;
  const keep = () => {
    localStorage.setItem(asked(), here);
    setZone(null);
  };
  const change = async () => {
    try {
      await call("PATCH", "/settings", { body: { timezone: here } });
      setZone(null);
      toast(t("Your account is in {timezone} now.", { timezone: here }));
    } catch (error) {
      complain(error);
    }
  };
  return html`
    <div class="offer" id="zone-offer" role="group" aria-label=${t("Time zone")}>
      <p>${t("Your account is in the time zone {zone}, this device in {here}. Reminders, and words such as “today” or “at 9”, follow the account.", { zone, here })}</p>
      <div class="choices">
        <button class="secondary" id="use-zone" onClick=${change}>${t("Use {zone}", { zone: here })}</button>
        <button class="link" id="keep-zone" onClick=${keep}>${t("Keep {zone}", { zone })}</button>
      </div>
    </div>
  `;
}
