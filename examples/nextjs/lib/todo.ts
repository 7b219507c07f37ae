// Calls the todo service as the user who is logged in here.
export type Task = { id: number; title: string; completed: boolean; version: number };

let token: { value: string; until: number } | undefined;

/** A token of Better Auth, fetched again half a minute before it expires (they live 15 minutes). */
async function bearer(): Promise<string> {
  if (!token || token.until < Date.now() + 30_000) {
    const response = await fetch("/api/auth/token");
    if (!response.ok) throw new Error("not logged in");
    const { token: value } = (await response.json()) as { token: string };
    const claims = JSON.parse(atob(value.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/"))) as { exp: number };
    token = { value, until: claims.exp * 1000 };
  }
  return token.value;
}

export async function todo<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const service = process.env.NEXT_PUBLIC_TODO_URL;
  if (!service) throw new Error("set NEXT_PUBLIC_TODO_URL to the URL of the todo service");
  const response = await fetch(`${service}/api/me${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await bearer()}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(method !== "GET" && { "idempotency-key": crypto.randomUUID() }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const content = response.status === 204 ? undefined : await response.json();
  if (!response.ok) throw new Error(content.detail);
  return content as T;
}
