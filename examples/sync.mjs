// Keeps a list of tasks in step with the server: list once, then apply each change as it happens.
// Node 20 or a browser, no build step. In node: URL=http://127.0.0.1:8000 TOKEN=... node examples/sync.mjs
export async function sync({ url, token, onChange, signal }) {
  const call = (path, headers) => fetch(`${url}/api/me${path}`, { signal, headers: { authorization: `Bearer ${token}`, ...headers } });
  let tasks = new Map();
  let since = null; // the number of the last write seen
  const listAll = async () => {
    const listed = new Map(); // all or nothing: a page may fail
    let revision = null;
    for (let next = "/tasks?limit=1000"; next; ) {
      const answer = await call(next);
      if (!answer.ok) throw new Error(`list: ${answer.status}`);
      revision ??= answer.headers.get("x-revision"); // of the first page: later writes come as events, applied twice at worst
      for (const task of await answer.json()) listed.set(task.id, task);
      next = /<\/api\/[^/]+([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
    }
    [tasks, since] = [listed, revision];
  };
  const apply = ({ entity, entity_id, action, data }) => {
    if (entity !== "task") return;
    if (action === "deleted" || action === "purged") tasks.delete(entity_id);
    else tasks.set(entity_id, data);
  };
  for (let wait = 1000; !signal?.aborted; await new Promise((done) => setTimeout(done, wait))) {
    try {
      if (since === null) await listAll(), onChange(tasks, since);
      const answer = await call("/events", { "last-event-id": since });
      if (answer.status === 410) { since = null; continue; } // too long away: list again
      if (!answer.ok) throw new Error(`events: ${answer.status}`);
      let text = "";
      for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop(); // not complete yet
        for (const block of blocks) {
          const event = Object.fromEntries(block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
          if (event.retry) wait = Number(event.retry);
          if (event.data && !["resume", "gone"].includes(event.event)) apply(JSON.parse(event.data));
          if (event.id) { since = event.id; onChange(tasks, since); } // a whole write has been applied
        }
      }
    } catch (error) {
      if (signal?.aborted) return;
      console.error(String(error)); // the server is away; it is asked again
    }
  }
}

if (globalThis.process?.argv[1]?.endsWith("sync.mjs")) {
  const { URL: url = "http://127.0.0.1:8000", TOKEN: token } = process.env;
  await sync({ url, token, onChange: (tasks, since) => console.log(JSON.stringify({ since, titles: [...tasks.values()].map((task) => task.title).sort() })) });
}
