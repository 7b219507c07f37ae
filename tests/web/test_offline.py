"""The web client without the service: rows and writes are in the browser's database, for their user alone."""

import json
import time
from typing import Any

import pytest

from tests.browser import PATIENCE, CallFailed
from tests.servers import Server
from tests.web.window import Window

pytestmark = pytest.mark.slow

# The stores of the database, as JSON.
CONTENT = """new Promise((done, fail) => {
    const opening = indexedDB.open("todo");
    opening.onerror = fail;
    opening.onsuccess = () => {
        const names = [...opening.result.objectStoreNames];
        const reading = opening.result.transaction(names).objectStore("%s").getAll();
        reading.onsuccess = () => (opening.result.close(), done(JSON.stringify(reading.result)));
    };
})"""
SAYS_OFFLINE = "document.querySelector('#state').textContent.includes('Offline')"


def stored(window: Window, name: str) -> list[Any]:
    return list(json.loads(window.page.run(CONTENT % name)))


def is_stored(window: Window, text: str, name: str = "chunks") -> None:
    """Waits until the database has the text: rows are written a second after they came."""
    deadline = time.monotonic() + PATIENCE
    while text not in json.dumps(stored(window, name), ensure_ascii=False):
        assert time.monotonic() < deadline, f"{text} is not in the database"
        time.sleep(0.1)


def cut(window: Window) -> None:
    """Lets the window reach the files of the client, and nothing of the API."""
    window.page.call("Network.setBlockedURLs", urls=["*/api/*"])


def join(window: Window) -> None:
    window.page.call("Network.setBlockedURLs", urls=[])
    window.page.run("dispatchEvent(new Event('online'))")


def requests(window: Window, since: int) -> list[str]:
    urls = [one["request"]["url"] for one in window.page.seen("Network.requestWillBeSent")[since:]]
    return [url.partition("/api/me")[2] for url in urls if "/api/me" in url]


def test_a_reload_begins_with_the_rows_of_the_database(window: Window) -> None:
    window.add("Buy milk", "Water the plants")
    window.in_step()
    is_stored(window, "Water the plants")
    with window.api() as api:
        first = api.get("/tasks").json()[-1]
        asked = len(window.page.seen("Network.requestWillBeSent"))
        window.page.open(f"{window.service.url}/health")
        api.delete(f"/tasks/{first['id']}")
        api.post("/tasks", json={"title": "Elsewhere"})
    window.open()
    window.shows("Water the plants", "Elsewhere")
    window.in_step()
    assert [path for path in requests(window, asked) if "snapshot" in path] == []
    is_stored(window, "Elsewhere")
    assert "Buy milk" not in json.dumps(stored(window, "chunks"))
    assert window.complaints() == []


def test_a_reload_without_the_service_shows_everything_and_takes_writes(window: Window) -> None:
    window.add("before #Home", "other")
    window.in_step()
    is_stored(window, "other")
    cut(window)
    window.reload()
    window.page.wait(SAYS_OFFLINE)
    window.shows("before", "other")
    window.page.wait("document.querySelector('.sidebar').innerText.includes('Home')")
    window.add("offline")
    window.edit("before", "renamed")
    window.complete("other")
    window.reload()
    window.shows("renamed", "offline")
    window.page.wait("document.querySelector('#state').innerText.includes('Offline, 3 to send')")
    join(window)
    window.in_step()
    window.shows("renamed", "offline")
    assert window.kept() == ["renamed", "other", "offline"]
    assert stored(window, "outbox") == []


def test_two_windows_write_offline_and_one_is_closed(window: Window) -> None:
    window.add("before")
    window.in_step()
    is_stored(window, "before")
    other = window.another()
    for each in (window, other):
        cut(each)
    window.add("from the first")
    other.add("from the second")
    other.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    other.page.call("Page.close")
    window.page.wait("document.querySelector('#state').innerText.includes('2 to send')")
    join(window)
    window.in_step()
    assert sorted(window.kept()) == ["before", "from the first", "from the second"]


def test_a_window_that_is_behind_does_not_take_the_replica_back(window: Window) -> None:
    window.add("before")
    window.in_step()
    other = window.another()
    cut(other)
    other.reload()
    other.page.wait(SAYS_OFFLINE)
    window.edit("before", "after")
    window.in_step()
    is_stored(window, "after")
    other.add("of the second")  # it is behind, and has something to keep
    other.page.run("new Promise((done) => setTimeout(done, 1500))")  # longer than it waits before it writes
    assert "after" in json.dumps(stored(window, "chunks"))
    other.page.call("Page.close")
    cut(window)
    window.reload()
    window.shows("after", "of the second")


def test_a_write_survives_a_crash_directly_after_it(window: Window) -> None:
    window.add("before")
    window.in_step()
    is_stored(window, "before")
    cut(window)
    window.page.type("#add", "just before the crash")
    window.page.press("Enter")
    with pytest.raises((CallFailed, TimeoutError, OSError, EOFError)):
        window.page.call("Page.crash")
    after = window.another()
    after.shows("before", "just before the crash")
    after.in_step()
    assert after.kept() == ["before", "just before the crash"]


def test_nothing_of_a_user_is_shown_or_sent_after_a_logout(window: Window) -> None:
    window.add("a secret of the first")
    window.in_step()
    is_stored(window, "a secret of the first")
    first = window.email
    cut(window)
    window.add("unsent words of the first")
    window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    window.page.call("Network.setBlockedURLs", urls=["*/api/me/*"])  # the logout arrives
    window.log_out()
    assert stored(window, "revisions") == stored(window, "chunks") == []
    window.page.call("Network.setBlockedURLs", urls=[])
    window.register()
    window.add("of the second")
    window.shows("of the second")
    window.in_step()
    assert window.kept() == ["of the second"]
    is_stored(window, "of the second")
    assert "of the first" not in json.dumps(stored(window, "chunks"))
    window.log_out()
    window.email = first
    window.log_in()
    window.shows("a secret of the first", "unsent words of the first")
    window.in_step()
    assert window.kept() == ["a secret of the first", "unsent words of the first"]


def test_the_user_of_a_second_window_changes(window: Window) -> None:
    """A window that does not know it yet writes nothing of its user into the database."""
    window.add("a secret of the first")
    window.in_step()
    other = window.another()
    other.shows("a secret of the first")
    other.log_out()
    window.page.shows("input[name=password]")
    other.register()
    other.add("of the second")
    is_stored(other, "of the second")
    window.shows("of the second")
    assert "of the first" not in json.dumps(stored(other, "chunks"))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("Object.defineProperty(window, 'indexedDB', {get() { throw new Error('private') }})", "keeps nothing"),
        ("indexedDB.open = () => { throw new DOMException('no', 'InvalidStateError') }", "keeps nothing"),
        ("indexedDB.open = ((open) => (name) => open.call(indexedDB, name, 99))(indexedDB.open)", None),
    ],
)
def test_a_browser_without_a_database_keeps_writes_elsewhere(window: Window, broken: str, said: str | None) -> None:
    window.page.call("Page.addScriptToEvaluateOnNewDocument", source=broken)
    window.reload()
    window.in_step()
    window.add("first")
    window.in_step()
    cut(window)
    window.add("second")
    window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    if said:
        window.page.wait(f"document.querySelector('#trouble').innerText.includes('{said}')")
    join(window)
    window.reload()
    window.shows("first", "second")
    window.in_step()
    assert window.kept() == ["first", "second"]


def test_the_database_of_a_newer_version_is_left_alone(window: Window) -> None:
    window.add("before")
    window.in_step()
    window.page.run("""new Promise((done) => {
        const opening = indexedDB.open("todo", 99);
        opening.onsuccess = () => (opening.result.close(), done());
    })""")
    window.page.wait("document.querySelector('#toast.failed').innerText.includes('newer version')")
    window.reload()
    window.page.wait("document.querySelector('#trouble').innerText.includes('newer version')")
    window.shows("before")
    cut(window)
    window.add("offline")
    window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    join(window)
    window.reload()
    window.in_step()
    assert window.kept() == ["before", "offline"]


def test_a_full_storage_is_said_and_loses_no_write(window: Window) -> None:
    window.add("before")
    window.in_step()
    window.page.run("""(() => {
        const refuse = () => { throw new DOMException("no room", "QuotaExceededError"); };
        window.put = IDBObjectStore.prototype.put;
        IDBObjectStore.prototype.put = refuse;
    })()""")
    cut(window)
    window.add("first")
    window.page.wait("document.querySelector('#toast.failed').innerText.includes('full')")
    window.add("second")
    window.page.wait("document.querySelector('#state').innerText.includes('2 to send')")
    window.reload()  # they are in localStorage
    window.page.wait("document.querySelector('#state').innerText.includes('2 to send')")
    window.page.run("""(() => {
        const refuse = () => { throw new DOMException("no room", "QuotaExceededError"); };
        IDBObjectStore.prototype.put = Storage.prototype.setItem = refuse;
    })()""")
    window.add("third")
    window.page.wait("document.querySelector('#trouble').innerText.includes('Keep this window open')")
    join(window)
    window.in_step()
    assert window.kept() == ["before", "first", "second", "third"]


def test_rows_of_another_version_are_shown_and_then_replaced(window: Window) -> None:
    window.add("before")
    window.in_step()
    is_stored(window, "before")
    window.page.open(f"{window.service.url}/health")
    window.page.run("""new Promise((done) => {
        const opening = indexedDB.open("todo");
        opening.onsuccess = () => {
            const writing = opening.result.transaction(["revisions", "chunks"], "readwrite");
            const [revisions, chunks] = ["revisions", "chunks"].map((name) => writing.objectStore(name));
            const user = JSON.parse(localStorage.getItem("todo.user")).id;
            const known = revisions.get(user);
            known.onsuccess = () => revisions.put({...known.result, service: "0.0.1"}, user);
            const old = chunks.openCursor();
            old.onsuccess = () => {
                const rows = JSON.parse(old.result.value.rows);
                for (const row of rows) for (const name of ["reminders", "status", "favorite"]) delete row[name];
                old.result.update({...old.result.value, rows: JSON.stringify(rows)});
            };
            writing.oncomplete = () => (opening.result.close(), done());
        };
    })""")
    window.page.call("Network.setBlockedURLs", urls=["*/api/*"])
    window.open()
    window.shows("before")
    window.page.wait(SAYS_OFFLINE)
    assert "0.0.1" in json.dumps(stored(window, "revisions"))
    asked = len(window.page.seen("Network.requestWillBeSent"))
    join(window)
    window.in_step()
    assert [path for path in requests(window, asked) if "snapshot" in path]
    is_stored(window, "pending")
    assert "0.0.1" not in json.dumps(stored(window, "revisions"))


def test_the_database_keeps_the_latest_done_tasks(window: Window) -> None:
    operations = [
        {"operation": "create_task", "arguments": {"title": f"Done {number}", "completed": True}}
        for number in range(520)
    ]
    window.in_step()
    with window.api() as api:
        for first in (0, 260):
            body = {"operations": operations[first : first + 260]}
            assert api.post("/batch", json=body, timeout=60).status_code == 200
    is_stored(window, "Done 519")
    assert json.dumps(stored(window, "chunks")).count("Done ") == 520
    window.reload()
    window.in_step()
    window.add("one more")
    is_stored(window, "one more")
    assert json.dumps(stored(window, "chunks")).count("Done ") == 100


def test_a_stopped_service_is_found_again(window: Window, service: Server) -> None:
    window.add("before")
    window.in_step()
    is_stored(window, "before")
    service.stop()
    try:
        window.page.wait(SAYS_OFFLINE)
        window.add("offline")
        window.page.wait("document.querySelector('#state').innerText.includes('1 to send')")
    finally:
        service.start()
    window.page.run("dispatchEvent(new Event('online'))")
    window.in_step()
    assert window.kept() == ["before", "offline"]
