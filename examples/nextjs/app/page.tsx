"use client";
import { type FormEvent, useCallback, useEffect, useState } from "react";
import { createAuthClient } from "better-auth/react";
import { type Task, todo } from "../lib/todo";

const auth = createAuthClient();

export default function Page() {
  const { data: session } = auth.useSession();
  const [tasks, setTasks] = useState<Task[]>([]);
  const reload = useCallback(async () => setTasks(await todo<Task[]>("/tasks?status=pending")), []);
  useEffect(() => void (session && reload()), [session, reload]);

  async function enter(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [email, password] = [String(form.get("email")), String(form.get("password"))];
    const { error } = await auth.signIn.email({ email, password });
    if (error) await auth.signUp.email({ email, password, name: email });
  }

  async function add(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    await todo("/tasks", "POST", { title: new FormData(form).get("title") });
    form.reset();
    await reload();
  }

  if (!session) {
    return (
      <form onSubmit={enter}>
        <input name="email" type="email" aria-label="E-mail" />
        <input name="password" type="password" aria-label="Password" />
        <button>Log in or sign up</button>
      </form>
    );
  }
  return (
    <main>
      <form onSubmit={add}>
        <input name="title" aria-label="New task" />
        <button>Add</button>
      </form>
      <ul>
        {tasks.map((task) => (
          <li key={task.id}>
            <label>
              <input type="checkbox" onChange={() => todo(`/tasks/${task.id}/complete`, "PATCH").then(reload)} /> {task.title}
            </label>
          </li>
        ))}
      </ul>
    </main>
  );
}
