// A list of tasks. Open it in two windows, take the network away, edit, reload, and give the network back.
import { useLiveQuery } from "@tanstack/react-db";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { client } from "../sync.mjs";
import { openTasks } from "./tasks.js";

const SIGN_IN = "todo-sign-in"; // what the form said, in localStorage

function SignIn() {
    const submit = (event) => {
        event.preventDefault();
        localStorage.setItem(SIGN_IN, JSON.stringify(Object.fromEntries(new FormData(event.target))));
        location.reload();
    };
    return (
        <form id="sign-in" onSubmit={submit}>
            <input name="url" defaultValue="http://127.0.0.1:8000" aria-label="Service" required />
            <input name="user" placeholder="User id" required />
            <input name="token" placeholder="Token" type="password" required />
            <button>Sign in</button>
        </form>
    );
}

function Task({ task, collection }) {
    const [edit, setEdit] = useState(null); // what is being typed, and the task as it was before
    const save = () => {
        const { title, base } = edit ?? {};
        if (title && title !== base.title)
            collection.update(task.uid, { metadata: { base } }, (draft) => void (draft.title = title));
        setEdit(null);
    };
    const complete = () => collection.update(task.uid, (draft) => void (draft.completed = !draft.completed));
    return (
        <li className={task.$synced ? "" : "unsent"}>
            <input type="checkbox" checked={task.completed} onChange={complete} aria-label="Done" />
            <input
                className="title"
                value={edit?.title ?? task.title}
                aria-label="Title"
                onBlur={save}
                onChange={({ target }) => setEdit({ title: target.value, base: edit?.base ?? task })}
                onKeyDown={({ key, target }) => key === "Enter" && target.blur()}
            />
            <button className="delete" onClick={() => collection.delete(task.uid)}>
                Delete
            </button>
        </li>
    );
}

function Refused({ entry, decide }) {
    return (
        <div className="refused" role="alert">
            <p>{entry.problem.detail}</p>
            {entry.problem.conflicts?.map(({ field, yours, theirs }) => (
                <p key={field}>
                    {field}: yours <b>{String(yours)}</b>, theirs <b>{String(theirs)}</b>
                </p>
            )) ?? <p>{JSON.stringify(entry.fields)}</p>}
            {entry.problem.conflicts && (
                <button className="mine" onClick={() => decide(entry, true)}>
                    Keep mine
                </button>
            )}
            <button className="theirs" onClick={() => decide(entry, false)}>
                {entry.problem.conflicts ? "Keep theirs" : "Discard"}
            </button>
        </div>
    );
}

function Tasks({ tasks: { collection, decide }, refused }) {
    const { data, isReady } = useLiveQuery((query) =>
        query.from({ task: collection }).orderBy(({ task }) => task.title),
    );
    const add = (event) => {
        event.preventDefault();
        collection.insert({ uid: crypto.randomUUID(), title: event.target.title.value, completed: false });
        event.target.reset();
    };
    return (
        <>
            <form id="add" onSubmit={add}>
                <input name="title" placeholder="New task" required />
            </form>
            {refused.map((entry) => (
                <Refused key={entry.id} entry={entry} decide={decide} />
            ))}
            <ul>
                {data.map((task) => (
                    <Task key={task.uid} task={task} collection={collection} />
                ))}
            </ul>
            <p id="state">{!isReady ? "Loading" : data.some((task) => !task.$synced) ? "Not sent yet" : "In step"}</p>
        </>
    );
}

function App({ signIn }) {
    const [tasks, setTasks] = useState(null);
    const [refused, setRefused] = useState([]);
    const [isSignedIn, setSignedIn] = useState(Boolean(signIn));
    useEffect(() => {
        if (!signIn) return;
        const send = client(signIn);
        const call = async (...request) => {
            const response = await send(...request);
            setSignedIn(response.status !== 401);
            return response;
        };
        openTasks({ name: `todo ${signIn.user} ${signIn.url}`, call, onRefused: setRefused }).then(setTasks);
    }, [signIn]);
    return (
        <>
            {!isSignedIn && <SignIn />}
            {tasks && <Tasks tasks={tasks} refused={refused} />}
        </>
    );
}

navigator.serviceWorker?.register("sw.js"); // so that the page opens offline
const signIn = JSON.parse(localStorage.getItem(SIGN_IN));
createRoot(document.getElementById("app")).render(<App signIn={signIn} />);
