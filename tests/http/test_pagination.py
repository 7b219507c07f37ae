"""A page is an index range at any depth, and a cursor is accepted only unchanged."""

import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.db.connection_options import ConnectOptions
from app.models.task_fields import TITLE_MAX
from app.pagination import CURSOR_MAX, Cursor
from app.services.tasks.queries import INFINITE_INSTANT, SORT_KEYS, QueryText, page_statement
from tests.databases import Databases
from tests.support import Person, assert_problem

NEXT = re.compile(r'<([^>]+)>; rel="next"')
# Two users and every kind of tie: half of the tasks have no due date, most are open, some are deleted.
SEED = """
    insert into users (id, revision) values ('many', 1), ('other', 1);
    insert into projects (user_id, id, name, version) overriding system value
    select 'many', n, 'p' || n, 1 from generate_series(1, 20) n;
    insert into tasks (user_id, title, completed, completed_at, priority, due_on, version, created_at, updated_at,
                       deleted_at, project_id)
    select owner, 'Task ' || k % 700, k % 5 = 0, case when k % 5 = 0 then at end,
           (array['none', 'low', 'medium', 'high', 'urgent'])[1 + k % 5],
           case when k % 2 = 0 then date '2026-01-01' + k % 365 end, 1, at, at, case when k % 4 = 0 then at end,
           case when owner = 'many' and k % 3 = 0 then 1 + k % 20 end
    from (values ('many', 6000), ('other', 1000)) as o (owner, n), generate_series(1, n) as k,
         lateral (select timestamptz '2026-01-01' + k * interval '1 minute' as at) as t;
    update tasks set parent_id = id - 1 where user_id = 'many' and id % 9 = 1 and id > 1;
    analyze"""
SHAPES = [
    QueryText(sort=sort, descending=down)
    for sort in SORT_KEYS
    if sort not in {"deleted_at", "relevance"}
    for down in (False, True)
]
SHAPES += [QueryText(sort="deleted_at", descending=down, trash=True) for down in (False, True)]


@pytest.fixture(scope="module")
async def many(postgres: ConnectOptions, migrated: str) -> AsyncIterator[ConnectOptions]:
    """Creates a database with many tasks, which no test changes."""
    made = Databases(postgres)
    yield await made.create(migrated, SEED, name="paging")
    await made.drop()


@pytest.fixture
async def connection(many: ConnectOptions) -> AsyncIterator[Any]:
    """Connects to the database with many tasks, as the service's role."""
    opened = await asyncpg.connect(**many.arguments())
    await opened.execute("set role todo_user; set app.user_id = 'many'")
    yield opened
    await opened.close()


async def plan(connection: Any, shape: QueryText, values: dict[str, Any]) -> str:
    """Returns the plan of a prepared statement: EXPLAIN alone would never show the one that ignores the values."""
    prepared = page_statement(shape)
    literals = [
        "'infinity'" if value == INFINITE_INSTANT else f"'{value}'"
        for value in prepared.arguments({"owner": "many"} | values)
    ]
    await connection.execute(f"prepare page as {prepared.sql}")
    rows = await connection.fetch(f"explain execute page({', '.join(literals)})")
    await connection.execute("deallocate page")
    return "\n".join(row[0] for row in rows)


@pytest.mark.one_server("reads the plan of one server")
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_page_at_any_depth_is_an_index_range(connection: Any, mode: str) -> None:
    await connection.execute(f"set plan_cache_mode = {mode}")
    problems = {}
    for shape in SHAPES:
        page = {"limit": 101, "offset": 0}
        first = page_statement(shape)
        row = (await connection.fetch(first.sql, *first.arguments({"owner": "many", "limit": 1, "offset": 1200})))[0]
        infinite = getattr(row["sort_key"], "year", 0) == INFINITE_INSTANT.year
        after = {"after": INFINITE_INSTANT if infinite else row["sort_key"], "after_id": row["id"]}
        for behind, values in ((False, page), (True, page | after)):
            text = await plan(connection, shape._replace(after_cursor=behind), values)
            ranged = not behind or re.search(r"Index Cond: .*\bROW\(", text)
            if "Sort" in text or "Index" not in text or not ranged:
                problems[shape.sort, shape.descending, behind] = text
    assert not problems, "\n\n".join(f"{key}:\n{text}" for key, text in problems.items())


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("which", "index"),
    [
        ({"project_id": "one"}, "tasks_by_project"), ({"project_id": "none"}, "tasks_by_p"),
        ({"project_id": "one", "parent_id": "none"}, "tasks_by_project"), ({"parent_id": "one"}, "tasks_by_parent"),
    ],
)  # fmt: skip
@pytest.mark.one_server("reads the plan of one server")
async def test_a_project_sorted_by_position_is_an_index_range(
    connection: Any, mode: str, descending: bool, behind: bool, which: dict[str, Any], index: str
) -> None:
    await connection.execute(f"set plan_cache_mode = {mode}")
    shape = QueryText(sort="position", descending=descending, after_cursor=behind, **which)
    values = {"limit": 101, "offset": 0, "project_id": 7, "parent_id": 9, "after": "c200i", "after_id": 512}
    text = await plan(connection, shape, values)
    assert "Sort" not in text, text
    assert index in text, text


@pytest.mark.one_server("reads the plan of one server")
@pytest.mark.parametrize("sort", [sort for sort in SORT_KEYS if sort not in ("deleted_at", "position", "relevance")])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_project_in_another_order_is_read_by_project_or_in_index_order(
    connection: Any, mode: str, sort: str
) -> None:
    await connection.execute(f"set plan_cache_mode = {mode}")
    shape = QueryText(sort=sort, descending=True, project_id="one")
    text = await plan(connection, shape, {"limit": 101, "offset": 0, "project_id": 7})
    found = text.partition("InitPlan 2")[2] or text  # the ids of the page, whose rows are then put in order
    assert "tasks_by_project" in found or "Sort" not in found, text
    assert "Seq Scan on tasks" not in text, text


async def test_the_driver_sends_infinity_as_that_of_the_database(connection: Any) -> None:
    assert await connection.fetchval("select $1::timestamptz = 'infinity'", INFINITE_INSTANT)


TITLES = {
    "emoji": "\N{GRINNING FACE}" * 200,
    "grows in lower case": "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 200,
    "control characters": "a" + "\x01" * 198 + "b",
    "to be escaped": '"\\' * 100,
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_work_with_the_longest_titles(alice: Person, title: str, order: str) -> None:
    ids = [(await alice.add(title))["id"] for _ in range(3)]
    url, found = f"/api/{alice.subject}/tasks?sort=title&order={order}&limit=1", []
    for _ in ids:
        answer = await alice.get(url)
        assert answer.status_code == 200, answer.text
        found += [task["id"] for task in answer.json()]
        link = NEXT.search(answer.headers["link"])
        url = link[1] if link else ""
    assert (found, url) == (sorted(ids, reverse=order == "desc"), "")


def test_no_cursor_is_longer_than_the_limit() -> None:
    title = "\x01" * TITLE_MAX
    longest = Cursor("title", "desc", True, title, 2**63 - 1, 2**63 - 1)
    assert CURSOR_MAX - 60 < len(longest.encode()) <= CURSOR_MAX


def forge(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


async def test_a_cursor_of_version_0_1_continues_after_an_upgrade(alice: Person) -> None:
    """It has no revision. After a restore it is refused: ``tests/api/test_restored_tokens``."""
    rows = [await alice.add(str(number)) for number in range(3)]
    cursor = forge("created_at", "desc", 0, rows[2]["created_at"].replace("Z", "+00:00"), rows[2]["id"])
    assert [task["id"] for task in (await alice.get(f"/tasks?cursor={cursor}")).json()] == [
        rows[1]["id"],
        rows[0]["id"],
    ]


INSTANT = "2026-01-01T00:00:00+00:00"
BAD_VALUES: dict[str, list[Any]] = {
    "created_at": [
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999+00:00",
        "1899-12-31T23:59:59+00:00", "2200-01-01T00:00:00+00:00", "2026-01-01T00:00:00", "2026-01-01",
        "20260101T000000+0000", "2026-01-01T00:00:00+14:00", "infinity", 0, 1, True, False, None, 1.5, [], {},
    ],
    "priority": [0, 6, -1, 2**70, True, "3", "", 3.0, None, []],
    "relevance": [True, "3", 2**62, -(2**70), 3.0, None, []],
    "title": [True, 3, None, "a\0", "\ud800", "x" * 401, []],
}  # fmt: skip
BAD_DIRECTIONS: list[Any] = [True, False, 2, -1, 0.0, "0", None]
BAD_IDS: list[Any] = [True, 0, -1, 2**63, 1.0, "1", None]
BAD_REVISIONS: list[Any] = [True, -1, 2**63, 1.0, "1", None]
FORGED = [
    *((sort, "desc", 0, value, 1, 1) for sort, values in BAD_VALUES.items() for value in values),
    *(("created_at", "desc", backward, INSTANT, 1, 1) for backward in BAD_DIRECTIONS),
    *(("created_at", "desc", 0, INSTANT, task_id, 1) for task_id in BAD_IDS),
    *(("created_at", "desc", 0, INSTANT, 1, revision) for revision in BAD_REVISIONS),
    ("created_at", "desc", 0, INSTANT),
]


@pytest.mark.parametrize("parts", FORGED, ids=lambda parts: ascii(parts)[:80])
async def test_a_forged_cursor_is_refused_before_any_query(
    app: FastAPI,
    alice: Person,
    parts: tuple[Any, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(app.state.database, "begin", None)
    answer = await alice.get(f"/tasks?search=x&sort={parts[0]}&order={parts[1]}&cursor={forge(*parts)}")
    assert_problem(answer, 422, "invalid_cursor")
    assert [record for record in caplog.records if record.name.startswith("app")] == []
