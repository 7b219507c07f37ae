// Keeps a list of tasks in step with the server: a snapshot first, then each change as it happens.
// Node 20 or a browser, no build step. In node: TODO_TOKEN=... node examples/sync.mjs
const QUIET = 90_000; // milliseconds without a heartbeat after which a connection is dead, though not closed
const pause = (wait) => new Promise((done) => setTimeout(done, wait));

// Returns a function that calls the service for one user.
export const client =
  ({ url, token, user = "me", signal }) =>
  (path, { headers, ...options } = {}) =>
    fetch(`${url}/api/${encodeURIComponent(user)}${path}`, {
      signal,
      ...options,
      headers: { authorization: `Bearer ${token}`, ...headers },
    });

// Returns the JSON of a response, or throws an error with its status.
export async function json(response) {
  if (response.ok) return response.json();
  const { detail } = await response.json().catch(() => ({}));
  throw Object.assign(new Error(detail ?? `${response.status}`), { status: response.status });
}

// Returns everything there is: {reset, changes, revision}. It replaces what the client has.
export async function snapshot(call) {
  const changes = [];
  let page = {};
  do {
    const cursor = page.cursor ? `&cursor=${encodeURIComponent(page.cursor)}` : "";
    page = await json(await call(`/changes?snapshot=true&limit=1000${cursor}`));
    changes.push(...page.changes);
  } while (page.has_more);
  return { reset: true, changes, revision: page.next };
}

// Yields {changes, revision} for each write after `since`, and once without changes after each connect.
// Ends when `since` is older than the kept changes, or from before a restore of a backup: take a snapshot then.
export async function* events(call, since, signal) {
  for (let wait = 1000; !signal?.aborted; await pause(wait)) {
    const connection = new AbortController();
    const stop = () => connection.abort();
    signal?.addEventListener("abort", stop);
    let timer;
    try {
      const response = await call("/events", {
        signal: connection.signal,
        headers: since === null ? {} : { "last-event-id": since },
      });
      if (response.status === 410) return;
      if (!response.ok) await json(response);
      let text = "";
      let changes = [];
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        clearTimeout(timer);
        timer = setTimeout(stop, QUIET);
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop(); // not complete yet
        for (const block of blocks) {
          const event = Object.fromEntries(
            block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]),
          );
          if (event.retry) wait = Number(event.retry);
          if (event.event === "gone") return;
          if (event.data && event.event !== "resume") changes.push(JSON.parse(event.data));
          if (!event.id) continue; // more changes of the same write follow
          since = Number(event.id);
          yield { changes, revision: since };
          changes = [];
        }
      }
    } catch (error) {
      if (!signal?.aborted) console.error(String(error)); // unavailable: it is called again after a pause
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      stop();
    }
  }
}

// Yields a snapshot, unless the client has a revision, then each write; after a gap a snapshot again.
export async function* follow(call, since = null, signal) {
  while (!signal?.aborted) {
    try {
      if (since === null) {
        const all = await snapshot(call);
        since = all.revision;
        yield all;
      }
    } catch (error) {
      if (!signal?.aborted) console.error(String(error));
      await pause(1000);
      continue;
    }
    for await (const page of events(call, since, signal)) {
      since = page.revision;
      yield page;
    }
    since = null;
    await pause(1000);
  }
}

// Sends operations, each for itself, and returns {results, revision}. A repeat with the same key has no second effect.
export async function batch(call, operations, key = crypto.randomUUID()) {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const body = JSON.stringify({ atomic: false, operations });
  return json(await call("/batch", { method: "POST", headers, body }));
}

// Calls onChange(tasks, revision) with all tasks by uid, now and after each write.
export async function sync({ url, token, onChange, signal }) {
  const tasks = new Map();
  for await (const { reset, changes, revision } of follow(client({ url, token, signal }), null, signal)) {
    if (reset) tasks.clear();
    for (const { entity, action, data } of changes) {
      if (entity !== "task") continue;
      if (action === "deleted" || action === "purged") tasks.delete(data.uid);
      else tasks.set(data.uid, data);
    }
    if (reset || changes.length) onChange(tasks, revision);
  }
}

if (globalThis.process?.argv[1]?.endsWith("sync.mjs")) {
  const { TODO_URL, URL: other = "http://127.0.0.1:8000", TODO_TOKEN, TOKEN } = process.env;
  const [url, token] = [TODO_URL || other, TODO_TOKEN || TOKEN];
  if (!token) {
    console.error("set TODO_TOKEN, for example to the output of: todo token alice");
    process.exit(1);
  }
  await sync({
    url,
    token,
    onChange: (tasks, since) =>
      console.log(JSON.stringify({ since, titles: [...tasks.values()].map((task) => task.title).sort() })),
  });
}
