// A typed client of the service, generated from docs/openapi.json. In this folder, with the service running:
//   npm install && npm run generate && npm run check && TODO_TOKEN=$(todo token alice) npm start
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Task = components["schemas"]["TaskRead"];
type Problem = components["schemas"]["Problem"];

const token = process.env["TODO_TOKEN"] || process.env["TOKEN"];
if (!token) {
  console.error("set TODO_TOKEN, for example to the output of: todo token alice");
  process.exit(1);
}
const client = createClient<paths>({
  baseUrl: process.env["TODO_URL"] || process.env["URL"] || "http://127.0.0.1:8000",
  headers: { authorization: `Bearer ${token}` },
});
const me = { user_id: "me" };

async function add(title: string, due: string | null = null): Promise<Task> {
  const { data, error, response } = await client.POST("/api/{user_id}/tasks", {
    params: { path: me, header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { title, priority: "high", due_date: due, tags: ["week"] },
  });
  if (error) throw new Error(`${response.status} ${error.code}: ${error.detail}`);
  return data;
}

const milk = await add("Buy milk", "2030-12-01");
await add("Call the plumber");

const { data: tasks, response } = await client.GET("/api/{user_id}/tasks", {
  params: { path: me, query: { tag: ["week"], sort: "due_date", limit: 20 } },
});
console.log(tasks?.map((task) => `${task.title} (${task.due_date ?? "some day"})`).join(", "));

// No concurrent change is lost: the version is sent in If-Match, and a stale one is 412.
const path = { ...me, task_id: milk.id };
await client.PATCH("/api/{user_id}/tasks/{task_id}", { params: { path }, body: { title: "Buy oat milk" } });
const stale = await client.PATCH("/api/{user_id}/tasks/{task_id}", {
  params: { path, header: { "If-Match": `"${milk.version}"` } },
  body: { title: "Buy soy milk" },
});
const problem: Problem | undefined = stale.error;
console.log(problem?.code);

// The changes since the list was read.
const since = Number(response.headers.get("x-revision"));
const { data: changed } = await client.GET("/api/{user_id}/changes", { params: { path: me, query: { since } } });
console.log(changed?.changes.map((change) => `${change.entity} ${change.action}`).join(", "));
