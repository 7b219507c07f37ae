"""What the web client sends: rows named by itself, one snapshot, one batch."""

import json
from typing import Any

import pytest

from tests.web.window import Window

pytestmark = pytest.mark.slow

# Records each write, and lets the test lose responses.
RECORD = """(() => {
    const real = window.fetch;
    window.sent = [];
    window.losing = 0;
    window.fetch = async (url, init) => {
        const path = new URL(url).pathname.replace(/^.*api\\/me/, "");
        if (init?.method === "GET" || init?.body?.includes("dry_run")) return real(url, init);
        const body = init.body ? JSON.parse(init.body) : null;
        window.sent.push({method: init.method, path, body, key: init.headers["Idempotency-Key"]});
        const answer = await real(url, init);
        if (window.losing-- > 0) throw new TypeError("the line is dead");
        return answer;
    };
})()"""


def record(window: Window) -> None:
    window.page.run(RECORD)


def sent(window: Window) -> list[Any]:
    return list(json.loads(window.page.run("JSON.stringify(window.sent)")))


def test_each_new_row_has_a_uid_of_the_client(window: Window) -> None:
    record(window)
    window.add("Move house")
    window.open_details("Move house")
    for selector, text in (("#add-subtask", "Pack"), ("#add-comment", "by Friday")):
        window.page.type(selector, text)
        window.page.press("Enter")
    window.page.click(".add-project")
    window.page.type(".new-project input", "Garden")
    window.page.press("Enter")
    window.go("#/all?search=house")
    button = "[...document.querySelectorAll('button.link')].find((one) => one.innerText == 'Keep as view')"
    window.page.wait(f"({button}.click(), true)")
    window.in_step()
    created = [one for one in sent(window) if one["method"] == "POST" and "uid" in (one["body"] or {})]
    assert len({one["body"]["uid"] for one in created}) == 5
    with window.api() as api:
        tasks = api.get("/tasks").json()
        parent = next(task for task in tasks if task["title"] == "Move house")
        rows = [
            *tasks,
            *api.get("/projects").json(),
            *api.get("/views").json(),
            *api.get(f"/tasks/{parent['id']}/comments").json(),
        ]
    assert {row["uid"] for row in rows} == {one["body"]["uid"] for one in created}
    assert window.complaints() == []


def test_a_creation_repeated_without_its_key_takes_the_row_that_is_there(window: Window) -> None:
    record(window)
    window.page.run("""(() => {
        const counted = window.fetch;
        window.fetch = (url, init) => {
            if (init?.headers?.["Idempotency-Key"]) init.headers["Idempotency-Key"] += window.sent.length; // expired
            return counted(url, init);
        };
        window.losing = 1;
    })()""")
    window.add("only once")
    window.page.wait("window.sent.length >= 2")
    window.in_step()
    first, second = sent(window)[:2]
    assert first["body"] == second["body"]
    assert first["key"] != second["key"]
    window.shows("only once")
    assert window.kept() == ["only once"]
    assert window.page.run("document.querySelector('#toast.failed')") is None
    window.complete("only once")  # its id is known
    window.in_step()
    assert window.kept(status="completed") == ["only once"]
