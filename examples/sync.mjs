// Keeps a list of tasks in step with the server: a snapshot first, then each change as it happens, applied alike.
// Node 20 or a browser, no build step. In node: TODO_TOKEN=... node examples/sync.mjs
export async function sync({ url, token, onChange, signal }) {
  const call = (path, headers) => fetch(`${url}/api/me${path}`, { signal, headers: { authorization: `Bearer ${token}`, ...headers } });
  let tasks = new Map();
  let since = null; // the revision of the last write received
  const apply = (to, { entity, entity_id, action, data }) => {
    if (entity !== "task") return;
    if (action === "deleted" || action === "purged") to.delete(entity_id);
    else to.set(entity_id, data);
  };
  const begin = async () => {
    const found = new Map(); // all or nothing: a page may fail
    let page = { cursor: "" };
    do {
      const response = await call(`/changes?snapshot=true&limit=1000${page.cursor && `&cursor=${page.cursor}`}`);
      if (!response.ok) throw new Error(`snapshot: ${response.status}`);
      page = await response.json();
      for (const change of page.changes) apply(found, change);
    } while (page.cursor !== null);
    [tasks, since] = [found, String(page.next)]; // what was written meanwhile comes as events, applied twice at worst
  };
  for (let wait = 1000; !signal?.aborted; await new Promise((done) => setTimeout(done, wait))) {
    try {
      if (since === null) await begin(), onChange(tasks, since);
      const response = await call("/events", { "last-event-id": since });
      if (response.status === 410) { since = null; continue; } // older than the kept changes: begin again
      if (!response.ok) throw new Error(`events: ${response.status}`);
      let text = "";
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop(); // not complete yet
        for (const block of blocks) {
          const event = Object.fromEntries(block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
          if (event.retry) wait = Number(event.retry);
          if (event.data && !["resume", "gone"].includes(event.event)) apply(tasks, JSON.parse(event.data));
          if (event.id) { since = event.id; onChange(tasks, since); } // a whole write has been applied
        }
      }
    } catch (error) {
      if (signal?.aborted) return;
      console.error(String(error)); // the server is unavailable; it is called again after a pause
    }
  }
}

if (globalThis.process?.argv[1]?.endsWith("sync.mjs")) {
  const { TODO_URL, URL: other = "http://127.0.0.1:8000", TODO_TOKEN, TOKEN } = process.env;
  const [url, token] = [TODO_URL || other, TODO_TOKEN || TOKEN];
  if (!token) {
    console.error("set TODO_TOKEN, for example to the output of: todo token alice");
    process.exit(1);
  }
  await sync({ url, token, onChange: (tasks, since) => console.log(JSON.stringify({ since, titles: [...tasks.values()].map((task) => task.title).sort() })) });
}
