// A list of tasks. Open it in two windows, take the network away, edit, reload, and give the network back.
import { client } from "../sync.mjs";
import { openTasks } from "./tasks.js";

const SIGN_IN = "todo-sign-in"; // what the form said, in localStorage
const find = (id) => document.getElementById(id);
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const values = (form) => Object.fromEntries(new FormData(form));

async function open(signIn) {
  const send = client(signIn);
  const call = async (...request) => {
    const response = await send(...request);
    find("sign-in").hidden = response.status !== 401;
    return response;
  };
  const { tasks, refused, edit, decide } = await openTasks({ name: `todo ${signIn.user} ${signIn.url}`, call });
  const rows = new Map(); // uid -> its element, which is kept: somebody may be typing
  find("add").hidden = false;
  find("add").onsubmit = (event) => {
    event.preventDefault();
    tasks.insert({ uid: crypto.randomUUID(), completed: false, ...values(event.target) });
    event.target.reset();
  };
  tasks.find({ sort: [{ title: "asc" }] }).$.subscribe((all) => {
    for (const [at, task] of all.entries()) {
      if (!rows.has(task.uid)) rows.set(task.uid, taskRow(task, edit));
      rows.get(task.uid).show(task, at);
    }
    for (const [uid, row] of rows) {
      if (all.some((task) => task.uid === uid)) continue;
      row.remove();
      rows.delete(uid);
    }
  });
  refused
    .find()
    .$.subscribe((all) => find("refused").replaceChildren(...all.map((entry) => refusedBox(entry, decide))));
}

function taskRow({ uid }, edit) {
  let [task, base] = []; // the latest one, and the title when typing began
  const done = make("input", { type: "checkbox", ariaLabel: "Done" });
  let writing = 0; // clicks that are not in the database yet
  done.onchange = () => {
    writing += 1;
    task.incrementalPatch({ completed: done.checked }).finally(() => (writing -= 1));
  };
  const title = make("input", { className: "title", ariaLabel: "Title" });
  title.onfocus = () => (base = title.value);
  title.onchange = () => edit(uid, "title", base, title.value).then(() => (base = task.title));
  title.onkeydown = ({ key }) => key === "Enter" && title.blur();
  title.onblur = () => (title.value = task.title);
  const row = make(
    "li",
    {},
    done,
    title,
    make("button", { className: "delete", textContent: "Delete", onclick: () => task.incrementalRemove() }),
  );
  row.show = (latest, at) => {
    task = latest;
    row.style.order = at;
    row.className = task.version === undefined ? "unsent" : "";
    if (!writing) done.checked = task.completed;
    if (document.activeElement !== title) title.value = task.title;
  };
  find("tasks").append(row);
  return row;
}

const refusedBox = (entry, decide) => {
  const decideBy = (isMine) => () => decide(entry, isMine);
  const lines = entry.conflicts?.map(({ field, yours, theirs }) => `${field}: yours ${yours}, theirs ${theirs}`) ?? [
    JSON.stringify(entry.mine),
  ];
  return make(
    "div",
    { className: "refused", role: "alert" },
    ...[entry.detail, ...lines].map((textContent) => make("p", { textContent })),
    ...(entry.conflicts
      ? [make("button", { className: "mine", textContent: "Keep mine", onclick: decideBy(true) })]
      : []),
    make("button", {
      className: "theirs",
      textContent: entry.conflicts ? "Keep theirs" : "Discard",
      onclick: decideBy(false),
    }),
  );
};

navigator.serviceWorker?.register("sw.js"); // so that the page opens offline
find("sign-in").onsubmit = (event) => {
  event.preventDefault();
  localStorage.setItem(SIGN_IN, JSON.stringify(values(event.target)));
  location.reload();
};
const signIn = localStorage.getItem(SIGN_IN);
if (signIn) open(JSON.parse(signIn));
else find("sign-in").hidden = false;
