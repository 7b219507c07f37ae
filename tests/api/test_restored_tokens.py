"""After a restore, whatever a client has from before is refused, or gets the whole truth: never a part of it.

The table has every parameter of the API's document: one that is new must be named here, with its check or its reason.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.main import create_app
from app.pagination import Cursor
from tests.databases import Databases, rows
from tests.support import Person, assert_problem

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())


class Held(NamedTuple):
    """The tokens that a client holds at one moment."""

    revision: int
    tasks: dict[int, Any]
    etags: dict[str, str]  # by path
    pages: list[str]  # the paths of next pages
    ids: dict[str, int]  # of rows made by this client, by the path of their list
    key: str  # an Idempotency-Key
    made: int  # the task that was created with it
    feed: str  # the path of a calendar, with its token


class Restored(NamedTuple):
    """A user of a restored service; ``early`` is from before the backup, ``ahead`` from after it."""

    person: Person
    stranger: Person  # who came after the backup
    early: Held
    ahead: Held
    lost_by_stranger: int


@asynccontextmanager
async def serving(options: ConnectOptions, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings.model_copy(update={"database_url": SecretStr(options.dsn)}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        yield http


LISTED = ("/tasks", "/tasks/trash", "/projects", "/tags")


async def write_and_hold(person: Person, name: str) -> Held:
    """Writes some of everything; returns what the client then holds."""
    ids = {}
    for path, body in (
        ("/projects", {"name": name}),
        ("/views", {"name": name, "parameters": {"status": "pending"}}),
        ("/webhooks", {"url": "https://example.com/hook"}),
        ("/channels", {"kind": "mail", "name": name}),
    ):
        ids[path] = (await person.post(path, body)).json()["id"]
    calendar = (await person.post("/calendar", {"name": name})).json()
    ids["/calendar"] = calendar["id"]
    made = await person.post("/tasks", {"title": f"keyed {name}"}, headers={"Idempotency-Key": name})
    tasks = [await person.add(f"{name} {number}", tags=[f"{name}{number}"]) for number in range(4)]
    for task in tasks[:2]:
        await person.delete(f"/tasks/{task['id']}")
    comments = f"/tasks/{tasks[3]['id']}/comments"
    for _ in range(2):
        ids[comments] = (await person.post(comments, {"body": "x"})).json()["id"]
    view = f"/views/{ids['/views']}/tasks"
    pages = []
    for path in ("/tasks", "/tasks/trash", "/tags", comments, view):
        link = (await person.get(f"{path}?limit=1")).headers["link"]
        pages.append(re.search(r'<([^>]+)>; rel="next"', link)[1])  # type: ignore[index]
    snapshot = "/changes?snapshot=true&limit=1"
    pages.append(f"/api/me{snapshot}&cursor={(await person.get(snapshot)).json()['cursor']}")
    listed = await person.get("/tasks?limit=1000")
    held = {task["id"]: task for task in listed.json()}
    feed = urlsplit(calendar["url"])
    etags = {path: (await person.get(path)).headers["etag"] for path in LISTED}
    etags |= {f"/tasks/{row}": (await person.get(f"/tasks/{row}")).headers["etag"] for row in held}
    etags[f"{feed.path}?{feed.query}"] = (await person.client.get(f"{feed.path}?{feed.query}")).headers["etag"]
    revision = int(listed.headers["x-revision"])
    return Held(revision, held, etags, pages, ids, name, made.json()["id"], f"{feed.path}?{feed.query}")


@pytest.fixture(scope="module")
async def restored(postgres: ConnectOptions, migrated: str, settings: Settings) -> AsyncIterator[Restored]:
    databases = Databases(postgres)
    try:
        first = await databases.create(migrated, name="tokens_first")
        async with serving(first, settings) as http:
            early = await write_and_hold(Person(http, "ann"), "early")
        backup = await databases.create("tokens_first", name="tokens_backup")
        async with serving(first, settings) as http:
            for task_id in list(early.tasks)[:1]:
                await Person(http, "ann").patch(f"/tasks/{task_id}", {"title": "lost change"})
            ahead = await write_and_hold(Person(http, "ann"), "ahead")
            lost = [await Person(http, "new").add("lost") for _ in range(3)][-1]
        async with serving(backup, settings) as http:
            person = Person(http, "ann")
            while len((await person.get("/tasks?limit=1000")).json()) <= len(ahead.tasks):  # more than were lost
                await person.add("after")
            stranger = Person(http, "new")
            for _ in range(5):
                await stranger.add("after")
            yield Restored(person, stranger, early, ahead, lost["version"])
    finally:
        await databases.drop()


async def check_since(to: Restored, held: Held) -> None:
    for since in range(held.revision + 1):
        assert_problem(await to.person.get(f"/changes?since={since}"), 410, "changes_gone")


async def check_last_event_id(to: Restored, held: Held) -> None:
    for since in range(held.revision + 1):
        refused = await to.person.get("/events", headers={"Last-Event-ID": str(since)})
        assert_problem(refused, 410, "changes_gone")


async def check_if_match(to: Restored, held: Held) -> None:
    """Checks that the tag of a row is accepted only for the very row that the client has."""
    for task_id, task in held.tasks.items():
        path = f"/tasks/{task_id}"
        present = await to.person.get(path)
        answer = await to.person.patch(path, {"title": task["title"]}, headers={"If-Match": held.etags[path]})
        if present.status_code == 404:
            assert answer.status_code == 404
        elif present.json() == task:
            assert answer.status_code == 200
        else:
            assert_problem(answer, 412, "version_conflict")


async def check_if_none_match(to: Restored, held: Held) -> None:
    for path, etag in held.etags.items():
        call = to.person.client.get if path == held.feed else to.person.get
        answer = await call(path, headers={"If-None-Match": etag})
        if answer.status_code == 304:
            assert (await to.person.get(path)).json() == held.tasks[int(path.rpartition("/")[2])]
        else:
            assert answer.status_code in {200, 401, 404}, path
            assert answer.headers.get("etag") != etag


async def check_cursor(to: Restored, held: Held) -> None:
    for page in held.pages:
        refused = await to.person.get(page)
        if refused.status_code != 404:  # the list is of a row that was lost
            assert_problem(refused, 410, "changes_gone")
    version_0_1 = Cursor("created_at", "desc", False, "2026-01-01T00:00:00+00:00", 1, revision=0).encode()
    assert_problem(await to.person.get(f"/tasks?cursor={version_0_1}"), 410, "changes_gone")


async def check_idempotency_key(to: Restored, held: Held) -> None:
    body = {"title": f"keyed {held.key}"}
    answer = await to.person.post("/tasks", body, headers={"Idempotency-Key": held.key})
    assert answer.status_code == 201
    if held is to.early:
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.json()["id"] == held.made
    else:  # its effect was lost as well
        assert "idempotent-replayed" not in answer.headers
        assert answer.json()["id"] not in held.tasks


async def check_before(to: Restored, held: Held) -> None:
    """Checks that ``before`` of a history only leaves out later entries."""
    path = f"/tasks/{to.early.made}/history"
    whole = (await to.person.get(path)).json()
    page = (await to.person.get(f"{path}?before={held.revision}")).json()
    assert page == [entry for entry in whole if entry["revision"] < held.revision]


async def check_feed_token(to: Restored, held: Held) -> None:
    assert (await to.person.client.get(held.feed)).status_code == (200 if held is to.early else 401)


async def check_ids(to: Restored, held: Held) -> None:
    """Checks that an id means the same row, or none, and that new rows have new ids."""
    for path, row_id in held.ids.items():
        answer = await to.person.call("DELETE", f"{path}/{row_id}", headers={"If-Match": '"never"'})
        if held is to.ahead:
            assert answer.status_code == 404, path
        else:
            assert answer.status_code in {204, 412}, path
    listed = (await to.person.get("/tasks?limit=1000")).json()
    made = {task["id"] for task in listed if task["title"] == "after"}
    assert made
    assert made.isdisjoint(to.ahead.tasks)


async def check_undo(to: Restored, held: Held) -> None:
    for revision in range(to.early.revision + 1, held.revision + 1):
        assert_problem(await to.person.post(f"/changes/{revision}/undo"), 404, "change_not_found")


Check = Callable[[Restored, Held], Coroutine[Any, Any, None]]
TOKENS: dict[tuple[str, str], Check] = {
    ("query", "since"): check_since,
    ("header", "last-event-id"): check_last_event_id,
    ("header", "if-match"): check_if_match,
    ("header", "if-none-match"): check_if_none_match,
    ("query", "cursor"): check_cursor,
    ("header", "idempotency-key"): check_idempotency_key,
    ("query", "before"): check_before,
    ("query", "token"): check_feed_token,
    ("path", "revision"): check_undo,
    **{
        ("path", f"{noun}_id"): check_ids
        for noun in (
            "task",
            "comment",
            "project",
            "view",
            "channel",
            "webhook",
            "feed",
            "token",
            "session",
            "conversation",
        )
    },
}
# They say what to look for, and nothing about what the client has seen.
NO_TOKENS = {
    ("path", "user_id"), ("path", "name"), ("path", "provider"),
    *(
        ("query", name)
        for name in (
            "archived", "available", "completed", "count", "days", "deadline_after", "deadline_before", "dry_run",
            "due_after", "due_before", "favorite", "fields", "filter", "format", "kind", "limit",
            "offset", "order", "overdue", "parent_id", "parent_uid", "priority", "project_id", "project_uid", "search",
            "series_id", "series_uid", "snapshot", "sort", "status", "subprojects", "tag", "tasks", "to", "to_uid",
        )
    ),
}  # fmt: skip
RANDOM_IDS = {
    ("path", f"{noun}_id") for noun in ("app", "link", "passkey")
}  # texts that no other row gets, before or after a restore
# Where clients get their tokens: each response header, and each field of a number, with the parameter that takes it.
HEADERS = {
    "ETag": "if-match", "Link": "cursor", "X-Revision": "since", "Location": "task_id",
    "X-Conversation-Id": "conversation_id",
    **dict.fromkeys(
        ("Retry-After", "RateLimit", "RateLimit-Policy", "Content-Disposition", "X-Request-ID", "WWW-Authenticate",
         "X-Total-Count", "Idempotent-Replayed")
    ),
}  # fmt: skip
FIELDS = {
    "next": "since", "cursor": "cursor", "next_cursor": "cursor", "revision": "since",
    "version": "if-match", "etag": "if-match", "base_version": "if-match",  # in bodies: tests/api/test_merge.py
    "next_attempt_at": None,  # a time
}  # fmt: skip
TOKEN_LIKE = re.compile(r"cursor|^next|revision|version|etag|sync|epoch|since_")


@pytest.mark.parametrize("which", ["early", "ahead"])
@pytest.mark.parametrize("check", dict.fromkeys(TOKENS.values()))
async def test_a_token_from_before_is_refused_or_gets_the_whole_truth(
    restored: Restored, check: Check, which: str
) -> None:
    await check(restored, getattr(restored, which))


def test_every_parameter_of_the_document_is_in_the_table() -> None:
    found = {
        (parameter["in"], parameter["name"].lower())
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", ())
    }
    assert found == set(TOKENS) | NO_TOKENS | RANDOM_IDS


def test_every_token_of_a_response_is_sent_back_in_a_parameter_of_the_table() -> None:
    names = {name for _, name in TOKENS}
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                for header in response.get("headers", ()):
                    assert HEADERS[header] is None or HEADERS[header] in names, header
    for schema in DOCUMENT["components"]["schemas"].values():
        for field in schema.get("properties", ()):
            if TOKEN_LIKE.search(field):
                assert FIELDS[field] is None or FIELDS[field] in names, field


async def test_a_user_who_was_lost_begins_above_every_number_of_before(restored: Restored) -> None:
    for since in range(restored.lost_by_stranger + 1):
        assert_problem(await restored.stranger.get(f"/changes?since={since}"), 410, "changes_gone")
    unknown = Person(restored.person.client, "never seen")
    listed = await unknown.get("/tasks")
    exported = (await unknown.get("/export")).json()
    assert int(listed.headers["x-revision"]) == exported["revision"] > 10**15
    await unknown.add("first")
    changes = (await unknown.get(f"/changes?since={listed.headers['x-revision']}")).json()["changes"]
    assert [change["data"]["title"] for change in changes] == ["first"]


async def test_history_and_undo_work_for_what_the_backup_holds(restored: Restored) -> None:
    person, made = restored.person, restored.early.made
    created = (await person.get(f"/tasks/{made}/history")).json()[-1]
    assert created["action"] == "created"
    undone = await person.post(f"/changes/{created['revision']}/undo")
    assert undone.status_code == 200, undone.text
    assert undone.json()["revision"] > 10**15
    await person.post(f"/tasks/{made}/restore")


@pytest.fixture
async def put_back(databases: Databases, migrated: str, settings: Settings) -> AsyncIterator[tuple[Person, Any]]:
    """Serves a database whose disk was put back: nothing inside it tells. Its user is at revision 3."""
    options = await databases.create(migrated)
    async with serving(options, settings) as http:
        person = Person(http, "ann")
        for title in "abc":
            await person.add(title)
        yield person, options


AHEAD: list[tuple[str, dict[str, str], int]] = [
    ("/changes?since=7", {}, 410),
    ("/events", {"Last-Event-ID": "7"}, 410),
    ("/events?since=7", {}, 410),
    ("/tasks?limit=1&cursor={cursor}", {}, 410),
    ("/tags?cursor={tags}", {}, 410),
    ("/tasks", {"If-None-Match": "{etag}"}, 200),
    ("/projects?archived=all", {"If-None-Match": '"x", {etag}'}, 200),
]


@pytest.mark.parametrize(("path", "headers", "status"), AHEAD, ids=lambda value: str(value)[:30])
async def test_a_client_that_is_ahead_begins_an_epoch_of_its_user(
    put_back: tuple[Person, Any], path: str, headers: dict[str, str], status: int
) -> None:
    person, options = put_back
    other = Person(person.client, "bob")
    await other.add("x")
    ahead = {
        "cursor": Cursor("created_at", "desc", False, "2026-01-01T00:00:00+00:00", 3, 7).encode(),
        "tags": Cursor("name", "asc", False, "a", 1, 7).encode(),
        "etag": (await person.get(path)).headers.get("etag", "").replace("3-", "7-") if status == 200 else "",
    }
    headers = {name: value.replace("{etag}", ahead["etag"]) for name, value in headers.items()}
    assert (await person.get(path.format(**ahead), headers=headers)).status_code == status
    first = (await person.add("d"))["version"]
    assert first > 10**15
    for since in range(9):
        assert_problem(await person.get(f"/changes?since={since}"), 410, "changes_gone")
    assert (await person.add("e"))["version"] == first + 1
    assert (await other.add("y"))["version"] == 2
    # Claiming more moves it no further: not within a minute, nor beyond the clock.
    for claimed in (first + 5, 2**53, 2**62):
        assert_problem(await person.get(f"/changes?since={claimed}"), 410, "changes_gone")
    assert await rows(options, "select revision from users where id = 'ann'") == [(first + 1,)]


NO_PROOF: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", f"/changes?since={2**53}", {}, 410),  # beyond the clock
    ("GET", "/events", {"Last-Event-ID": str(2**62)}, 410),
    ("PATCH", "/tasks/1", {"If-Match": '"7"'}, 412),
    ("PATCH", "/tasks/5", {"If-Match": '"7"'}, 404),
    ("GET", "/tasks/1", {"If-None-Match": '"7"'}, 200),
    ("GET", "/tasks", {"If-None-Match": 'W/"7-0123456789ab"'}, 200),
    ("GET", "/tasks", {"If-None-Match": '7-, W/, "-", ,'}, 200),
    ("POST", "/changes/7/undo", {}, 404),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), NO_PROOF, ids=lambda value: str(value)[:30])
async def test_what_proves_nothing_changes_nothing(
    put_back: tuple[Person, Any], method: str, path: str, headers: dict[str, str], status: int
) -> None:
    person, _ = put_back
    body = {"json": {"title": "x"}} if method == "PATCH" else {}
    assert (await person.call(method, path, headers=headers, **body)).status_code == status
    assert (await person.add("d"))["version"] == 4


async def test_a_client_of_a_user_who_was_lost_begins_an_epoch(put_back: tuple[Person, Any]) -> None:
    lost = Person(put_back[0].client, "lost")
    assert_problem(await lost.get("/changes?since=4"), 410, "changes_gone")
    assert (await lost.add("x"))["version"] > 10**15


async def test_many_claims_at_once_begin_one_epoch(put_back: tuple[Person, Any]) -> None:
    person, options = put_back
    claims = [person.get(f"/changes?since={number}") for number in range(10, 30)]
    assert {answer.status_code for answer in await asyncio.gather(*claims)} == {410}
    revision, pruned = (await rows(options, "select revision, pruned_revision from users where id = 'ann'"))[0]
    assert revision == pruned > 10**15
