import { Problem } from "./api.js";
import { show } from "./ui.js";

/**
 * Calls, and once more after the user has proved a second factor, if the service wants one first.
 * @template T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
export async function withProof(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "second_factor_required") throw error;
    const methods = error.secondFactor?.methods ?? [];
    await new Promise((allow, refuse) => show({ proving: { methods, allow: () => allow(null), refuse } }));
    return attempt();
  }
}
