// Fastify, @fastify/jwt and pg doing what the service does: the same transaction, statements and answers.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import Fastify from "fastify";
import jwt from "@fastify/jwt";
import pg from "pg";

const { DATABASE_URL, JWT_SECRET, POOL_SIZE, PORT } = process.env;
const { BENCH_PYTHON } = process.env;
// name -> {sql, names, defaults}; begin_read, begin_write
const STATEMENTS = JSON.parse(execFileSync(BENCH_PYTHON, ["-m", "bench.statements"], { encoding: "utf8" }));

// timestamptz with its microseconds, which a Date has not: "2026-05-27 05:40:17.2835+00"
function instant(text) {
  const [whole, fraction] = text.slice(0, -3).split(".");
  return `${whole.replace(" ", "T")}${fraction ? `.${fraction.padEnd(6, "0")}` : ""}Z`;
}
pg.types.setTypeParser(20, Number); // bigint
pg.types.setTypeParser(1184, instant);
pg.types.setTypeParser(1082, (text) => text); // date

// pg reads libpq's folder of a unix socket from "host" only.
const url = new URL(DATABASE_URL.replace("@/", "@localhost/"));
const pool = new pg.Pool({
  host: url.searchParams.get("host") ?? url.hostname,
  port: Number(url.port || 5432),
  user: decodeURIComponent(url.username || "postgres"),
  password: decodeURIComponent(url.password),
  database: url.pathname.slice(1),
  max: Number(POOL_SIZE),
});

const text = { type: "string" };
const nullable = (type) => ({ anyOf: [{ type }, { type: "null" }] });
const taskSchema = {
  type: "object",
  properties: {
    id: { type: "integer" }, uid: text, user_id: text, title: text, description: nullable("string"),
    completed: { type: "boolean" }, status: text, completed_at: nullable("string"), priority: text,
    due_date: nullable("string"), start_date: nullable("string"), deadline: nullable("string"),
    estimate_minutes: nullable("integer"), favorite: { type: "boolean" }, tags: { type: "array", items: text },
    project_id: nullable("integer"), parent_id: nullable("integer"), position: text, recurrence: nullable("string"),
    recurrence_from: text, series_id: nullable("integer"), reminders: { type: "array", items: text },
    remind_at: nullable("string"), version: { type: "integer" },
    remind_channels: { anyOf: [{ type: "array", items: { type: "integer" } }, { type: "null" }] },
    created_at: text, updated_at: text,
  },
};
const newTaskSchema = {
  type: "object",
  required: ["title"],
  additionalProperties: false,
  properties: {
    title: { type: "string", minLength: 1, maxLength: 200 },
    description: { anyOf: [{ type: "string", maxLength: 16384 }, { type: "null" }], default: null },
    completed: { type: "boolean", default: false },
    priority: { enum: ["none", "low", "medium", "high", "urgent"], default: "medium" },
    due_date: { anyOf: [{ type: "string", format: "date" }, { type: "null" }], default: null },
    tags: { type: "array", maxItems: 20, items: { type: "string", minLength: 1, maxLength: 50 }, default: [] },
  },
};

const app = Fastify({
  logger: false,
  genReqId: () => randomBytes(16).toString("hex"),
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
});
app.register(jwt, { secret: JWT_SECRET, verify: { cache: true, algorithms: ["HS256"] } });

app.addHook("onRequest", async (request, reply) => {
  await request.jwtVerify();
  const user = request.params.user_id;
  if (user !== request.user.sub && user !== "me") return reply.code(403).send({ detail: "forbidden" });
});
app.addHook("onSend", async (request, reply) => {
  reply.headers({
    "x-request-id": request.id,
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    vary: "Origin",
  });
});

const quote = (value) => `'${value.replaceAll("'", "''")}'`;

async function run(begin, owner, name, values) {
  const { sql, names, defaults } = STATEMENTS[name];
  const client = await pool.connect();
  try {
    await client.query(begin + quote(owner));
    const result = await client.query({
      name, text: sql, values: names.map((key) => (key in values ? values[key] : defaults[key])),
    });
    await client.query(result.rows.length ? "COMMIT" : "ROLLBACK");
    client.release();
    return result.rows;
  } catch (error) {
    client.release(error);
    throw error;
  }
}

function newUuid7() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function taskOf(row) {
  row.due_date = row.due_at ?? row.due_on;
  row.start_date = row.start_at ?? row.start_on;
  row.status = row.completed ? "completed" : row.state;
  return row;
}

function sendOne(request, reply, rows, status = 200) {
  if (!rows.length) return reply.code(404).send({ detail: "Task not found" });
  const etag = `"${rows[0].version}"`;
  reply.headers({ etag, "cache-control": "private, no-cache" });
  if (request.headers["if-none-match"]?.includes(etag)) return reply.code(304).send();
  return reply.code(status).send(taskOf(rows[0]));
}

function sendWritten(request, reply, rows, status = 200) {
  if (rows.length) reply.header("x-revision", rows[0].version);
  return sendOne(request, reply, rows, status);
}

const tasks = "/api/:user_id/tasks";
const one = { schema: { response: { 200: taskSchema, 201: taskSchema } } };

app.get(`${tasks}/:task_id`, one, async (request, reply) => {
  const owner = request.user.sub;
  const values = { owner, task_id: Number(request.params.task_id) };
  return sendOne(request, reply, await run(STATEMENTS.begin_read, owner, "get", values));
});

app.patch(`${tasks}/:task_id/complete`, one, async (request, reply) => {
  const owner = request.user.sub;
  const values = { owner, task_id: Number(request.params.task_id) };
  return sendWritten(request, reply, await run(STATEMENTS.begin_write, owner, "toggle", values));
});

app.post(tasks, { schema: { body: newTaskSchema, response: { 201: taskSchema } } }, async (request, reply) => {
  const owner = request.user.sub;
  const { due_date, ...task } = request.body;
  const values = { owner, uid: newUuid7(), ...task, title: task.title.trim(), due_on: due_date, due_at: null };
  const rows = await run(STATEMENTS.begin_write, owner, "create", values);
  reply.header("location", `/api/${owner}/tasks/${rows[0].id}`);
  return sendWritten(request, reply, rows, 201);
});

const query = { type: "object", properties: { limit: { type: "string", pattern: "^[0-9]{1,4}$", default: "100" } } };
const list = { schema: { querystring: query, response: { 200: { type: "array", items: taskSchema } } } };

app.get(tasks, list, async (request, reply) => {
  const owner = request.user.sub;
  const limit = Number(request.query.limit);
  const search = request.url.split("?")[1] ?? "";
  const digest = createHash("sha256").update(`${owner}\0${search}`).digest("hex").slice(0, 12);
  const condition = request.headers["if-none-match"];
  if (condition) {
    const [{ revision }] = await run(STATEMENTS.begin_read, owner, "revision", { owner });
    const etag = `W/"${revision}-${digest}"`;
    if (condition.includes(etag)) {
      return reply.code(304).headers({ "x-revision": revision, etag, "cache-control": "private, no-cache" }).send();
    }
  }
  const rows = await run(STATEMENTS.begin_read, owner, "list", { owner, limit: limit + 1, offset: 0 });
  const revision = rows.length ? rows[0].revision : 0;
  let link = `<${request.url}>; rel="first"`;
  if (rows.length > limit) {
    rows.pop();
    const last = rows[rows.length - 1];
    const cursor = Buffer.from(JSON.stringify(["created_at", "desc", 0, last.sort_key, last.id, revision])).toString("base64url");
    link += `, <${request.url}&cursor=${cursor}>; rel="next"`;
  }
  const etag = `W/"${revision}-${digest}"`;
  reply.headers({ "x-revision": revision, etag, "cache-control": "private, no-cache", link });
  return rows.map(taskOf);
});

await app.listen({ host: "127.0.0.1", port: Number(PORT) });
process.on("SIGTERM", async () => {
  await app.close();
  await pool.end();
  process.exit(0);
});
