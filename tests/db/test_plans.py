"""The plans of every request: they do not grow with the rows of other users, and do not change unnoticed.

The statements are those that the service issues, planned under its role and as the prepared statements that it keeps:
for any value. ``plans.txt`` holds their shape, ``python -m tests.db.test_plans`` writes it.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest

from app.config import Settings
from app.db import migrations
from app.db.connection_options import ConnectOptions
from app.db.embedded import embedded_postgres
from app.main import create_app
from app.models import METADATA
from tests import statements
from tests.databases import Databases
from tests.statements import PLAN, USER_DATA, nodes
from tests.support import SECRET, Person

pytestmark = [pytest.mark.slow, pytest.mark.one_server("compares plans with those in plans.txt")]

SNAPSHOT = Path(__file__).with_name("plans.txt")
# One user with 5,000 tasks among 1,000 with ten. Fewer rows than ANALYZE takes as its sample (30,000), so that its
# statistics are the same each time.
SEED = """
select setseed(0.42);
insert into users (id, revision) select 'user ' || n, 10 from generate_series(1, 1000) n union all select 'many', 5000;
insert into projects (user_id, name, version) select id, 'p' || n, 1 from users, generate_series(1, 3) n order by id, n;
insert into tasks (user_id, title, completed, completed_at, priority, due_on, due_at, deadline, favorite, tags, version,
                   created_at, updated_at, deleted_at, project_id, uid)
select id, 'Task ' || k % 700, k % 5 > 0, case when k % 5 > 0 then at end,
       (array['none', 'low', 'medium', 'high', 'urgent'])[1 + k % 5],
       case when k % 4 = 0 then date '2026-01-01' + k % 365 end, case when k % 4 = 1 then at end,
       case when k % 50 = 0 then date '2026-01-01' + k % 365 end, k % 40 = 0,
       case when k % 3 > 0 then array['home', 'work'] else '{}' end, k, at, at, case when k % 20 = 0 then at end,
       (select min(p.id) from projects p where p.user_id = users.id) + k % 3, md5(k::text)::uuid::text
from users, generate_series(1, revision::int) as k,
     lateral (select timestamptz '2026-01-01' + k * interval '1 minute' as at) as t order by random();
update tasks set parent_id = other.parent
from (select id, min(id) over (partition by user_id) as parent from tasks where id % 4 = 0) other
where tasks.id = other.id and other.id <> other.parent;
insert into comments (user_id, task_id, body, version)
select user_id, id, 'Comment', version from tasks where version % 7 = 0;
insert into views (user_id, name, parameters, version)
select id, 'v' || n, '{"status": "pending"}', 1 from users, generate_series(1, 2) n;
insert into changes (user_id, revision, entity, entity_id, action, data)
select user_id, version, 'task', id, 'created', to_jsonb(tasks) from tasks"""
ORDERS = ("created_at", "updated_at", "due_date", "priority", "title", "position", "completed_at")
FILTERS = (
    "status=pending",
    "status=completed",
    "priority=high",
    "tag=home",
    "search=task",
    "search=task&sort=relevance",
    "overdue=true",
    "overdue=false",
    "due_before=2026-06-01",
    "due_after=2026-06-01T12:00",
    "due_after=2026-06-01&due_before=2026-06-08T12:00:00Z",
    "due_after=2026-06-01&due_before=2026-06-08T12:00:00Z&sort=due_date",
    "due_after=2026-06-01&sort=due_date",
    "due_before=2026-06-01&sort=due_date&order=desc",
    "overdue=true&sort=due_date",
    "available=true",
    "available=true&status=pending&sort=due_date",
    "deadline_before=2026-06-01",
    "favorite=true",
    "status=pending&sort=due_date",
    "project_id={project}",
    "project_id=none",
    "project_id={project}&sort=position",
    "project_id={project}&status=pending&sort=position",
    "parent_id={parent}",
    "parent_id=none",
    "parent_id={parent}&sort=position",
    "series_id={task}",
    "count=true",
    "status=pending&count=true",
)
REQUESTS = (
    "GET /tasks/{task}",
    "GET /tasks/uid:8f14e45f-ceea-167a-5a36-dedd4bea2543",
    *(f"GET /tasks?limit=20&sort={sort}&order={order}" for sort in ORDERS for order in ("asc", "desc")),
    *(f"GET /tasks?{query}" for query in FILTERS),
    "GET /tasks/trash?limit=20",
    "GET /tasks/{task}/comments",
    "GET /tasks/{task}/history",
    "GET /projects",
    "GET /projects/{project}",
    "GET /tags",
    "GET /stats",
    "GET /views",
    "GET /changes?since=4900&limit=20",
    "GET /changes?snapshot=true",
    "GET /changes?snapshot=true&completed=false&limit=1000",
    'POST /tasks {"title": "x"}',
    'POST /tasks {"title": "x", "project_id": {project}}',
    'POST /tasks {"title": "x", "parent_id": {parent}}',
    'PATCH /tasks/{task} {"title": "y"}',
    'PATCH /tasks/{task} {"project_id": null}',
    "PATCH /tasks/{task}/complete",
    'PATCH /tasks/{task}/complete {"completed": true}',
    'POST /tasks/{task}/move {"after": {parent}}',
    'POST /tasks/{task}/comments {"body": "x"}',
    "DELETE /tasks/{task}",
    "POST /tasks/{task}/restore",
    "DELETE /tasks/{parent}",  # with its subtasks
    "POST /tasks/{parent}/restore",
    'POST /tasks/bulk {"ids": [{task}, {parent}], "action": "complete"}',
    'POST /tasks/bulk {"ids": [{task}, {parent}], "action": "update", "change": {"priority": "low"}}',
    'POST /tasks/bulk {"ids": [{task}, {parent}], "action": "move", "change": {"project_id": null}}',
    'POST /tasks/bulk {"ids": [{task}, {parent}], "action": "delete"}',
    'POST /tasks/bulk {"ids": [{task}, {parent}], "action": "restore"}',
    'PATCH /tags/home {"name": "house"}',
)
# Requests that sort, and why the sort is small.
ONE_PROJECT = "the tasks of one project by the keys that its index has; then a page by its ids"
SORTS = {
    "GET /tasks?due_after=2026-06-01&due_before=2026-06-08T12:00:00Z": "what is due within a hundred days at most",
    "GET /tasks?overdue=true&sort=due_date": "two pages, and those that only their deadline makes late",
    "GET /tasks?project_id={project}": ONE_PROJECT,
    "GET /tasks?project_id=none": ONE_PROJECT,
    "GET /tasks?parent_id={parent}": "the subtasks of one task",
    "GET /tasks?series_id={task}": "the occurrences of one task",
    "GET /tasks?tag=home": "a page of which an index has found the ids",
    "GET /tasks?search=task": "a page of which an index has found the ids",
    "GET /tasks/{task}/comments": "a page that has its order already",
    "GET /changes?since=4900&limit=20": "a page that has its order already",
    "GET /views": "at most 200",
}
# Requests that concern all rows of a user, and which rows they read.
WHOLE = {
    "GET /tasks?search=task": "the comments; of the tasks no more than fill the page",
    "GET /tasks?search=task&sort=relevance": "every match has to be seen before the best are known",
    "GET /tasks?count=true": "a count is asked for",
    "GET /tasks?status=pending&count=true": "a count is asked for; of those that are open",
    "GET /projects": "at most 1,000, without pages",
    "GET /views": "at most 200, without pages",
    "GET /tags": "counts of all tasks",
    "GET /stats": "counts of all tasks",
    'PATCH /tags/home {"name": "house"}': "no index has tags: those that a policy lets be used are no use for arrays",
}
WHOLE_SORTS = {"GET /tasks?search=task&sort=relevance", "GET /tags", "GET /stats"}
# Links that are followed from the first page of each list that is longer than a page.
LINKS = {name: re.compile(rf'<([^>]+)>; rel="{name}"') for name in ("next", "prev")}


class Planned(NamedTuple):
    """A statement that the service issues for a request."""

    request: str
    plan: dict[str, Any]


async def ask(person: Person, places: dict[str, str]) -> list[tuple[str, str]]:
    """Sends the requests, and returns the statements that the service issues for them, in order. Each must succeed."""
    found: list[tuple[str, str]] = []

    async def call(name: str, method: str, path: str, body: str = "") -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body else {}
        with statements.listening() as heard:
            answer = await person.call(method, path, content=body, headers=headers)
        assert answer.is_success, (name, answer.text)
        found.extend((name, sql) for sql in heard)
        return answer

    for request in REQUESTS:
        filled = re.sub(r"{(\w+)}", lambda place: places[place[1]], request)
        answer = await call(request, *filled.split(" ", 2))
        if "limit=20" in request and "tasks" in request:
            for name, link in LINKS.items():
                target = link.search(answer.headers["link"])
                assert target is not None, request
                answer = await call(f"{request}, {name}", "GET", target[1])
        if "snapshot" in request:
            cursor = answer.json()["cursor"]
            await call(f"{request}, next", "GET", f"/changes?snapshot=true&limit=1000&cursor={cursor}")
    return found


async def plan_all(options: ConnectOptions) -> list[Planned]:
    """Plans the statements of all requests, on a migrated database that has no rows yet."""
    connection = await asyncpg.connect(**options.arguments())
    try:
        await connection.execute(SEED)
        await connection.execute("reindex schema public")  # so that the number of pages of each index is not accidental
        await connection.execute("vacuum analyze")  # an index-only scan depends on it
        task = "select {} from tasks where user_id = 'many' and deleted_at is null and {} is not null"
        places = {
            "task": await connection.fetchval(task.format("max(id)", "id")),
            "parent": await connection.fetchval(task.format("min(parent_id)", "parent_id")),
            "project": await connection.fetchval(task.format("min(project_id)", "project_id")),
        }
        app = create_app(Settings(_env_file=None, database_url=options.dsn, jwt_secret=SECRET, worker="off"))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
        ):
            issued = await ask(Person(client, "many"), {name: str(value) for name, value in places.items()})
        await connection.execute(f"set role todo_user; set app.user_id = 'many'; {PLAN}")
        plans = [(name, await connection.fetchval("select pg_temp.plan($1)", sql)) for name, sql in issued]
        return [Planned(name, json.loads(plan)[0]["Plan"]) for name, plan in plans]
    finally:
        await connection.close()


def entered(scan: dict[str, Any]) -> list[str]:
    """Returns the columns by which the scan finds its place in the index."""
    (columns,) = [set(table.c.keys()) for table in METADATA.tables.values() if scan["Index Name"] in names(table)]
    return list(dict.fromkeys(name for name in re.findall(r"\w+", scan.get("Index Cond", "")) if name in columns))


def names(table: Any) -> set[str]:
    return {f"{table.name}_pkey", *(index.name for index in table.indexes)}


def below(plan: dict[str, Any], paged: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yields the nodes that the plan reads from, and whether it reads each in its order, until a page is full."""
    kind = plan["Node Type"]
    paged = kind == "Limit" or (paged and kind in {"Result", "Nested Loop", "Index Scan"})
    for child in plan.get("Plans", []):
        yield child, paged and child["Parent Relationship"] in {"Outer", "Subquery"}


def reads_whole(plan: dict[str, Any], paged: bool) -> bool:
    """Returns whether the scan enters an index by the owner alone, and not in its order until a page is full."""
    return "Index Name" in plan and not paged and entered(plan) == ["user_id"]


def lines(plan: dict[str, Any], depth: int = 1, paged: bool = False) -> Iterator[str]:
    """Yields the kinds of nodes, indexes with the columns by which they are entered, and tables; no costs."""
    parts = [plan[name] for name in ("Subplan Name", "Operation", "Node Type") if name in plan]
    if plan.get("Scan Direction") == "Backward":
        parts.append("Backward")
    if index := plan.get("Index Name"):
        if reads_whole(plan, paged) and index.startswith("tasks_by_"):
            index = "tasks_by_*"  # all of them begin with the owner; which one has fewer pages is accidental
        parts.append(f"{index} ({', '.join(entered(plan))})")
    elif "Relation Name" in plan or "CTE Name" in plan:
        parts.append(plan.get("Relation Name", plan.get("CTE Name")))
    yield "  " * depth + " ".join(parts)
    for child, in_order in below(plan, paged):
        yield from lines(child, depth + 1, in_order)


def snapshot(planned: Iterable[Planned]) -> str:
    text, last = "", ""
    for each in planned:
        text += "" if each.request == last else f"\n{each.request}\n"
        text += "\n".join(lines(each.plan)) + "\n"
        last = each.request
    return text.lstrip()


@pytest.fixture(scope="module")
async def planned(postgres: ConnectOptions, migrated: str) -> AsyncIterator[list[Planned]]:
    databases = Databases(postgres)
    yield await plan_all(await databases.create(migrated))
    await databases.drop()


async def test_plans_equal_the_snapshot(planned: list[Planned]) -> None:
    assert snapshot(planned) == SNAPSHOT.read_text(), "run: python -m tests.db.test_plans, and look at what has changed"


async def test_no_request_scans_a_table(planned: list[Planned]) -> None:
    kinds = {node["Node Type"] for each in planned for node in nodes(each.plan)}
    assert "Index Scan" in kinds
    assert "Seq Scan" not in kinds


async def test_only_a_few_rows_are_sorted(planned: list[Planned]) -> None:
    sorting = {
        each.request
        for each in planned
        for node in nodes(each.plan)
        if "Sort" in node["Node Type"] and tables(node) & USER_DATA
    }
    assert sorting == {*SORTS, *WHOLE_SORTS}


async def test_only_requests_about_all_rows_of_a_user_read_all_of_them(planned: list[Planned]) -> None:
    assert {each.request for each in planned if reads_all(each.plan)} == set(WHOLE)


def tables(plan: dict[str, Any]) -> set[Any]:
    return {node.get("Relation Name") for node in nodes(plan)}


def reads_all(plan: dict[str, Any], *, paged: bool = False) -> bool:
    """Returns whether the plan, or a node below it, reads all rows of a user."""
    return reads_whole(plan, paged) or any(reads_all(child, paged=in_order) for child, in_order in below(plan, paged))


async def main() -> None:
    statements.record()
    with tempfile.TemporaryDirectory(prefix="todo-") as folder:
        async with embedded_postgres(Settings(_env_file=None, data_dir=Path(folder))) as options:
            await migrations.upgrade(options)
            SNAPSHOT.write_text(snapshot(await plan_all(options)))


if __name__ == "__main__":
    asyncio.run(main())
