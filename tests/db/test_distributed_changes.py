"""Recorded writes as separate statements, for Citus: on one PostgreSQL they have the effect of the one-statement form.

Without CITUS_URL the tests only pretend that the database is distributed.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from app.config import Settings
from app.db.citus.session import DistributedSession, is_distributed
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.session import Session
from app.main import create_app
from tests.citus import CITUS_URL
from tests.databases import Databases
from tests.support import Person, assert_problem

NOW = {"created_at", "updated_at", "completed_at", "deleted_at", "archived_at", "at"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(\+00:00|Z)")
LOG = "select revision, entity, entity_id, action, data::text, through from changes where user_id = $1 order by 1, 2, 3"
IMPORTED = "title,due_date,tags\nfrom a file,2030-05-01,one\nanother,2030-05-02T10:00:00Z,two\n"
# More than one statement takes, and some of them there already.
MANY_IMPORTED = "title,tags,uid\n" + "".join(f"{n},many,made-{n % 230}\n" for n in range(250))


class Service:
    """The application on a database of its own; ``sql`` is a superuser's connection to it."""

    def __init__(self, http: httpx.AsyncClient, sql: Any, database: Database) -> None:
        self.http, self.sql, self.database = http, sql, database

    def person(self, subject: str) -> Person:
        return Person(self.http, subject)

    async def log(self, subject: str) -> list[Any]:
        return [tuple(row) for row in await self.sql.fetch(LOG, subject)]


@pytest.fixture(scope="module")
async def services(
    postgres: ConnectOptions, migrated: str, settings: Settings
) -> AsyncIterator[tuple[Service, Service]]:
    """Starts a service that writes in one statement, and one that takes its database for a distributed one.

    Each has a new database, so that the same requests create the same ids.
    """

    databases = Databases(postgres)
    made = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(databases.drop)
        for plain in (False, True):
            options = await databases.create("template0" if CITUS_URL and not plain else migrated)
            app = create_app(settings.model_copy(update={"database_url": SecretStr(options.dsn)}))
            await stack.enter_async_context(app.router.lifespan_context(app))
            if plain:  # what starting would check is not there
                app.state.database._session_type = DistributedSession
            assert app.state.database.distributed is plain
            transport = httpx.ASGITransport(app)
            http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))
            sql = await asyncpg.connect(**options.arguments())
            stack.push_async_callback(sql.close)
            made.append(Service(http, sql, app.state.database))
        yield made[0], made[1]


@pytest.fixture
def plain(services: tuple[Service, Service]) -> Service:
    return services[1]


def timeless(value: Any) -> Any:
    """Returns ``value`` without its times of writing, after checking that they are instants."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    moments = NOW | {"from", "to"} if value.get("field") in NOW else NOW  # of a history
    for name, item in value.items():
        kept[name] = timeless(item)
        if name in moments and item is not None:
            assert INSTANT.fullmatch(item), item
            kept[name] = "then"
        elif name == "uid" and item is not None:
            kept[name] = "made"
    return kept


async def tour(person: Person) -> list[Any]:
    """Performs every kind of write, and returns the responses."""
    answers: list[Any] = []

    async def do(method: str, path: str, body: Any = None, **more: Any) -> Any:
        options: dict[str, Any] = {"json": body} if body is not None else {}
        answer = await person.call(method, path, **options, **more)
        read = timeless(answer.json()) if "json" in answer.headers.get("content-type", "") else answer.text
        if isinstance(read, dict):
            read.pop("request_id", None)
        answers.append((method, path, answer.status_code, answer.headers.get("etag"), read))
        return read

    await do("PATCH", "/settings", {"timezone": "Europe/Berlin"})
    home = (await do("POST", "/projects", {"name": "Home", "color": "#ff0000"}))["id"]
    work = (await do("POST", "/projects", {"name": "Work"}))["id"]
    await do("PATCH", f"/projects/{home}", {"name": "House", "archived": True})
    await do("PATCH", f"/projects/{home}", {"archived": False})
    await do("POST", f"/projects/{work}/move", {"before": home})
    task = (await do("POST", "/tasks", {"title": "Quote ' \\ ☃", "tags": ["a", "b"], "due_date": "2030-01-31"}))["id"]
    at = f"/tasks/{task}"
    later = {"title": "later", "due_date": "2030-01-31T09:30", "reminders": ["-PT30M", "2030-01-01T08:00:00Z"]}
    one = (await do("POST", "/tasks", {**later, "project_id": work}))["id"]
    child = (await do("POST", "/tasks", {"title": "child", "parent_id": one}))["id"]
    await do("POST", "/tasks/quick", {"text": "Water plants tomorrow @green"})
    await do("GET", at)
    await do("GET", "/tasks?sort=title&count=true")
    await do("PATCH", at, {"title": "new", "description": "d"}, headers={"If-Match": '"1"'})
    await do("PATCH", at, {"title": "newer", "due_date": None, "reminders": ["2031-01-01T00:00:00Z"]})
    await do("PUT", at, {"completed": True, "priority": "high"})
    for body in (None, None, {"completed": True}, {"completed": True}, {"completed": False}):
        await do("PATCH", f"{at}/complete", body)
    await do("PATCH", f"/tasks/{one}/complete")
    await do("PATCH", f"/tasks/{one}/complete")
    await do("POST", f"/tasks/{one}/move", {"before": task})
    await do("POST", f"/tasks/{one}/move", {"project_id": home})
    series = (await do("POST", "/tasks", {"title": "rent", "recurrence": "FREQ=MONTHLY", "due_date": "2030-01-31"}))[
        "id"
    ]
    await do("POST", "/tasks", {"title": "each time", "parent_id": series})
    for _ in range(2):
        await do("PATCH", f"/tasks/{series}/complete", {"completed": True})
    await do("POST", f"/tasks/{series}/skip")
    await do("POST", f"/tasks/{task}/snooze", {"until": "2035-01-01T00:00:00Z"})
    await do("DELETE", at)
    await do("DELETE", at)
    await do("POST", f"{at}/restore")
    await do("POST", f"{at}/restore")
    await do("DELETE", f"/tasks/{one}")
    await do("POST", f"/tasks/{one}/restore")
    comment = (await do("POST", f"{at}/comments", {"body": "first"}))["id"]
    await do("PATCH", f"{at}/comments/{comment}", {"body": "second"})
    await do("DELETE", f"{at}/comments/{comment}")
    await do("POST", f"/tasks/{2**40}/comments", {"body": "nowhere"})
    view = (await do("POST", "/views", {"name": "soon", "parameters": {"status": "pending", "tag": ["a"]}}))["id"]
    await do("PATCH", f"/views/{view}", {"name": "sooner", "parameters": {"search": "1.0"}})
    await do("PATCH", "/tags/a", {"name": "z"})
    await do("DELETE", "/tags/b")
    ids = [task, one, child, series]
    bulk: list[dict[str, Any]] = [
        {"action": "update", "change": {"add_tags": ["bulk"], "due_date": "2030-03-01", "reminders": ["-P1D"]}},
        {"action": "move", "change": {"project_id": work}},
        *({"action": action} for action in ("complete", "reopen", "delete", "restore")),
    ]
    for wanted in bulk:
        await do("POST", "/tasks/bulk", {"ids": ids, **wanted})
    revision = (await do("GET", "/changes?since=0&limit=500"))["changes"][-1]["revision"]
    for number in (revision, revision + 1, 1, 8, 2**40):
        await do("POST", f"/changes/{number}/undo")
    await do("GET", f"{at}/history")
    await do("POST", "/import", headers={"Content-Type": "text/csv"}, content=IMPORTED)
    await do("POST", "/import", headers={"Content-Type": "text/csv"}, content=MANY_IMPORTED)
    await do("GET", "/tasks?tag=many&limit=100&sort=position&order=asc")
    await do("PATCH", "/settings", {"timezone": "Asia/Tokyo"})
    await do("DELETE", f"/views/{view}")
    await do("DELETE", f"/projects/{work}")
    await do("DELETE", f"/projects/{home}?tasks=move&to=inbox")
    await do("DELETE", "/tasks/trash")
    return answers


async def test_both_forms_return_and_record_the_same(services: tuple[Service, Service]) -> None:
    one, plain = [await tour(service.person("alice")) for service in services]
    for expected, found in zip(one, plain, strict=True):
        assert found == expected
    assert [status for _, _, status, _, _ in plain if status >= 400] == [412, 404, 404, 409, 409, 404]
    ours, theirs = [await service.log("alice") for service in services]
    assert [timeless_row(row) for row in theirs] == [timeless_row(row) for row in ours]
    assert {row[1] for row in theirs} == {"task", "project", "comment", "view"}
    assert {row[3] for row in theirs} == {
        "created", "updated", "completed", "reopened", "skipped", "deleted", "restored", "purged",
    }  # fmt: skip
    assert [*dict.fromkeys(row[0] for row in theirs)] == list(range(1, theirs[-1][0] + 1))


def timeless_row(row: Any) -> Any:
    """Returns the row with the text of ``data`` unchanged except for its instants and its uid."""
    data = re.sub(rf'"({"|".join(NOW)})": "{INSTANT.pattern}"', r'"\1": "then"', row[4])
    data = re.sub(r'"uid": "[0-9a-f-]{36}"', '"uid": "made"', data)
    return (*row[:4], data, row[5])


@pytest.mark.parametrize("table", ["tasks", "projects", "comments", "views"])
async def test_the_recorded_data_is_to_jsonb_of_the_row(plain: Service, table: str) -> None:
    """To the character, also for rare values: a fraction of a second, an empty array, null, quotes."""
    alice = plain.person(f"jsonb-{table}")
    task = await alice.add('a "b" \\ \u2028', tags=[], due_date="2030-01-01T10:00:00.120000+05:30")
    made = {
        "tasks": (f"/tasks/{task['id']}", {"description": "'"}, "PATCH"),
        "projects": ("/projects", {"name": "p"}, "POST"),
        "comments": (f"/tasks/{task['id']}/comments", {"body": "a\tb\r\nc"}, "POST"),
        "views": ("/views", {"name": "v", "parameters": {"search": "1e5", "tag": ["x"]}}, "POST"),
    }
    path, body, method = made[table]
    assert (await alice.call(method, path, json=body)).is_success
    both = await plain.sql.fetchrow(
        f"""select c.data::text, (to_jsonb(t) - array(select k from jsonb_object_keys(to_jsonb(t)) k
                                                     where not c.data ? k))::text as row
            from changes c join {table} t on t.user_id = c.user_id and t.id = c.entity_id
            where c.user_id = $1 and c.entity = rtrim('{table}', 's') order by c.revision desc limit 1""",
        alice.subject,
    )
    assert both["data"] == both["row"]


async def test_twenty_concurrent_writers_leave_no_gap_and_no_duplicate_revision(plain: Service) -> None:
    alice = plain.person("crowd")
    tasks = await asyncio.gather(*(alice.add(f"task {n}") for n in range(20)))
    await asyncio.gather(*(alice.patch(f"/tasks/{task['id']}/complete") for task in tasks))
    await asyncio.gather(*(alice.patch(f"/tasks/{tasks[0]['id']}/complete") for _ in range(20)))
    log = await plain.log("crowd")
    assert [row[0] for row in log] == list(range(1, 61))
    turns = [row[3] for row in log if row[2] == tasks[0]["id"]]
    assert turns == ["created", *["completed", "reopened"] * 10, "completed"]


async def test_one_of_many_writers_with_the_same_version_succeeds(plain: Service) -> None:
    alice = plain.person("race")
    task = await alice.add()
    etag = {"If-Match": f'"{task["version"]}"'}
    path = f"/tasks/{task['id']}"
    answers = await asyncio.gather(*(alice.patch(path, {"title": str(n)}, headers=etag) for n in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert [row[0] for row in await plain.log("race")] == [1, 2]  # the revisions of the others are rolled back


async def test_a_repeated_request_with_an_idempotency_key_writes_once(plain: Service) -> None:
    alice = plain.person("again")
    sent = {"Idempotency-Key": "a-key"}
    first, again = [await alice.post("/tasks", {"title": "once"}, headers=sent) for _ in range(2)]
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await plain.log("again")) == 1


async def test_a_failed_write_takes_no_revision(plain: Service) -> None:
    alice = plain.person("failing")
    assert (await alice.post("/projects", {"name": "p"})).status_code == 201
    assert_problem(await alice.post("/projects", {"name": "P"}), 409)
    assert_problem(await alice.delete("/tasks/1099511627776"), 404)
    assert (await alice.get("/tasks")).headers["x-revision"] == "1"


async def test_a_write_is_notified_once(plain: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(plain.database, "on_commit", told.append)
    await plain.person("heard").add()
    assert told == ["heard"]
    assert (await plain.person("heard").delete("/tasks/1099511627776")).status_code == 404
    assert told == ["heard"]


async def test_the_citus_setting_is_sent_before_the_owner(plain: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the Citus workers do not receive the owner, and return no rows. A write takes two round trips more."""
    opened: list[Session] = []
    execute = Session.exec

    def recorded(self: Session, *args: Any) -> Any:
        opened.append(self)
        return execute(self, *args)

    monkeypatch.setattr(Session, "exec", recorded)
    await plain.person("order").add()
    assert len(set(opened)) == 1
    assert opened[0].round_trips == 5
    assert opened[0]._begin == (
        "BEGIN; SET LOCAL ROLE todo_user; SET LOCAL citus.propagate_set_commands = 'local';"
        " DO 'BEGIN SET LOCAL app.user_id = ''order''; END'"
    )


async def test_a_plain_postgresql_is_not_distributed(databases: Databases) -> None:
    connection = await asyncpg.connect(**(await databases.create()).arguments())
    assert await is_distributed(connection) is False
    await connection.close()
