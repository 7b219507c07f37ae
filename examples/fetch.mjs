// A small client for browsers and Node 20, no build step: refreshes when the token has expired, sends each write once,
// and reports a conflict with a concurrent write. In Node: EMAIL=... PASSWORD=... node examples/fetch.mjs
export class Todo {
  constructor(url) {
    this.url = url;
    this.tokens = null;
  }

  async login(email, password, path = "/api/auth/login") {
    this.tokens = await this.#send(path, { method: "POST", body: { email, password } });
  }

  list = (filters = {}) => this.call(`/tasks?${new URLSearchParams(filters)}`);
  create = (task) => this.call("/tasks", { method: "POST", body: task });
  complete = (id) => this.call(`/tasks/${id}/complete`, { method: "PATCH", body: { completed: true } });
  /** Changes the task unless it has changed since `task` was read: then the error has status 412. */
  update = (task, change) =>
    this.call(`/tasks/${task.id}`, { method: "PATCH", body: change, headers: { "if-match": `"${task.version}"` } });
  remove = (id) => this.call(`/tasks/${id}`, { method: "DELETE" });

  async call(path, { headers, ...options } = {}) {
    const once = options.method ? { "idempotency-key": crypto.randomUUID() } : {}; // the same key in every attempt
    for (let attempt = 0; ; attempt++) {
      const authorization = `Bearer ${this.tokens?.access_token}`;
      try {
        return await this.#send(`/api/me${path}`, { ...options, headers: { authorization, ...once, ...headers } });
      } catch (error) {
        if (attempt === 2) throw error;
        if (error.code === "token_expired") await this.#refresh();
        else if (error.status === undefined || error.status === 503) await new Promise((done) => setTimeout(done, 1000 * 2 ** attempt));
        else throw error;
      }
    }
  }

  #refreshing = null; // one refresh at a time for all waiting calls
  #refresh() {
    this.#refreshing ??= this.#send("/api/auth/refresh", { method: "POST", body: { refresh_token: this.tokens.refresh_token } })
      .then((tokens) => (this.tokens = tokens))
      .finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #send(path, { method = "GET", body, headers } = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(body && { "content-type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
    });
    if (response.status === 204) return null;
    const content = await response.json();
    if (response.ok) return content;
    throw Object.assign(new Error(content.detail), { status: response.status, code: content.code }); // problem+json
  }
}

if (globalThis.process?.argv[1]?.endsWith("fetch.mjs")) {
  const { TODO_URL, URL: url = "http://127.0.0.1:8000", EMAIL, PASSWORD } = process.env;
  if (!EMAIL || !PASSWORD) {
    console.error("set EMAIL and PASSWORD to those of an account, for example what todo seed prints");
    process.exit(1);
  }
  const todo = new Todo(TODO_URL || url);
  await todo.login(EMAIL, PASSWORD);
  const milk = await todo.create({ title: "Buy milk", priority: "high" });
  await todo.update(milk, { title: "Buy oat milk" });
  await todo.update(milk, { title: "Buy soy milk" }).catch((error) => console.log(error.status, error.message));
  await todo.complete(milk.id);
  console.log((await todo.list({ status: "completed" })).map((task) => task.title).join(", "));
}
