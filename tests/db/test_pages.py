"""The pages that each request of a user with 100,000 tasks reads: a regression fails without any timing.

The statements are those that the service issues, with their parameters, run as the prepared statements that it keeps.
``pages.txt`` has their numbers of statements and of pages (EXPLAIN counts them), ``python -m tests.db.test_pages``
writes it. The rows of the user are all over the table, between those of others.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.config import Settings
from app.db import migrations
from app.db.connection_options import SERVER_SETTINGS, ConnectOptions
from app.db.embedded import embedded_postgres
from app.db.session import Session
from app.main import create_app
from tests.databases import Databases
from tests.support import SECRET, Person

pytestmark = [pytest.mark.slow, pytest.mark.one_server("compares pages with those in pages.txt")]

PAGES_SNAPSHOT = Path(__file__).with_name("pages.txt")
# How much a number may differ: layouts depend a little on the version of PostgreSQL.
SPARE_SHARE, SPARE_PAGES = 0.25, 10
# Of the user with many tasks half of the latest 4,000 are open, of the others one in 200; one in 50 is in the trash.
FILL_MANY = """
set statement_timeout = 0;
select setseed(0.42);
insert into users (id, revision)
select 'user ' || n, 10 from generate_series(1, 5000) n union all select 'many', 100000;
insert into projects (user_id, name, version) select id, 'p' || n, 1 from users, generate_series(1, 8) n order by id, n;
insert into tasks (user_id, title, description, completed, completed_at, priority, due_on, due_at, tags, version,
                   created_at, updated_at, deleted_at, project_id, uid)
select id,
       (array['Call', 'Ask', 'Pay'])[1 + k % 3] || ' the ' || (array['bank', 'plumber', 'school', 'office'])[1 + k % 4],
       case when k % 1000 = 501 then 'the papers from Zürich' when k % 100 = 7 then repeat('long ', 200) end,
       done, case when done then at + interval '1 day' end,
       (array['none', 'low', 'medium', 'high', 'urgent'])[1 + k % 5],
       case when k % 10 < 3 then cast(at + interval '20 days' as date) end,
       case when k % 10 = 3 then at + interval '10 days' end,
       case when k % 1000 = 251 then array['taxes'] when k % 3 > 0 then array['home', 'work'] else '{}' end, k, at, at,
       case when k % 50 = 0 then at end,
       case when k % 10 < 7 then first_project + k % 8 end, md5(id || k)::uuid::text
from (select id, revision, (select min(p.id) from projects p where p.user_id = users.id) as first_project from users) u,
     lateral generate_series(1, revision::int) as k,
     lateral (select timestamptz '2025-01-01' + k * interval '10 minutes' * (100000 / revision) as at,
                     case when k > revision - 4000 then k % 2 = 0 else k % 200 > 0 end as done) as t
order by at + random() * interval '2 days';
insert into comments (user_id, task_id, body, version)
select user_id, id, 'Comment', version from tasks where version % 50 = 0;
insert into changes (user_id, revision, entity, entity_id, action, data)
select user_id, version, 'task', id, 'created', to_jsonb(tasks) - 'search_text' from tasks
where user_id = 'many' and version > 98000"""
LISTS = (
    "order=asc", "sort=updated_at", "sort=due_date", "sort=priority", "sort=title", "sort=completed_at",
    "sort=position", "status=pending", "status=completed", "status=pending&sort=due_date", "priority=urgent",
    "overdue=true", "tag=work", "tag=taxes", "tag=absent", "search=plumber", "search=zurich", "search=absent",
    "search=zurich&sort=relevance", "search=plumber&sort=relevance", "tag=taxes&project_id={project}",
    "due_after=2025-06-01&due_before=2025-08-01", "due_after=2026-10-01&due_before=2026-12-01",
    "due_after=2025-06-01&due_before=2025-08-01&sort=due_date", "due_after=2026-11-01&sort=due_date",
    "project_id={project}", "project_id={project}&sort=due_date", "project_id={project}&sort=title",
    "project_id={project}&sort=position", "project_id=none", "count=true", "project_id={project}&count=true",
    "search=zurich&count=true",
)  # fmt: skip
PAGED_REQUESTS = (
    "GET /tasks/{task}",
    "GET /tasks?limit=20",
    "GET /tasks?limit=100",
    *(f"GET /tasks?limit=20&{query}" for query in LISTS),
    "GET /tags",  # the first one counts all
    "GET /tags",
    "GET /stats",
    "GET /changes?since={since}&limit=20",
    'POST /tasks {"title": "Call the plumber", "due_date": "2026-12-01", "tags": ["home", "errands"]}',
    "GET /tags",
    "PATCH /tasks/{task}/complete",
    'PATCH /tasks/{task} {"title": "Call the bank"}',
    "GET /stats",
)


async def count_pages(connection: Any, sql: str, arguments: list[Any]) -> int:
    """Returns the pages that a statement of 'many' touches, planned for any parameters. It leaves nothing behind."""
    prepared = await connection.prepare(sql, name="")
    types = [f"{kind.schema}.{kind.name}" for kind in prepared.get_parameters()]
    types = [re.sub(r"\.(\w+)\[\]$", r".\1[]", name) for name in types]
    literals = [
        await connection.fetchval(f"select quote_nullable(cast(cast($1 as {kind}) as text))", value)
        for kind, value in zip(types, arguments, strict=True)
    ]
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("set local role todo_user; set local app.user_id = 'many'")
        given = f" ({', '.join(types)})" if types else ""
        await connection.execute(f"prepare counted{given} as {sql}")
        values = f"({', '.join(literals)})" if types else ""
        found = await connection.fetchval(
            f"explain (analyze, buffers, timing off, format json) execute counted{values}"
        )
        plan = json.loads(found)[0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    finally:
        await transaction.rollback()
        await connection.execute("deallocate counted")


async def ask_and_count(options: ConnectOptions) -> list[str]:
    """Fills a migrated database, sends the requests, and returns a line for each."""
    connection = await asyncpg.connect(**options.arguments())
    # Like those of the service; plans are those for any parameters.
    settings = {name: value for name, value in SERVER_SETTINGS.items() if "timeout" not in name}
    measuring = await asyncpg.connect(
        **options.arguments() | {"server_settings": settings | {"plan_cache_mode": "force_generic_plan", "jit": "off"}}
    )
    await measuring.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)
    pages: list[int] = []
    fetch = Session._fetch

    async def count_first(session: Session, compiled: Any, arguments: list[Any]) -> Any:
        pages.append(await count_pages(measuring, compiled.sql, arguments))
        return await fetch(session, compiled, arguments)

    lines = []
    patch = pytest.MonkeyPatch()

    try:
        await connection.execute(FILL_MANY, timeout=600)
        await connection.execute("reindex schema public", timeout=600)
        await connection.execute("vacuum analyze", timeout=600)
        mine = "user_id = 'many' and deleted_at is null"
        places = {
            "task": await connection.fetchval(f"select max(id) from tasks where {mine} and not completed"),
            "project": await connection.fetchval("select min(id) from projects where user_id = 'many'"),
            "since": 99_980,
        }
        app = create_app(Settings(_env_file=None, database_url=options.dsn, jwt_secret=SECRET, worker="off"))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
        ):
            person = Person(client, "many")
            patch.setattr(
                Session, "_fetch", count_first
            )  # a write is counted before it is done, and so before it locks
            for request in PAGED_REQUESTS:
                method, path, *body = re.sub(r"{(\w+)}", lambda at: str(places[at[1]]), request).split(" ", 2)
                pages.clear()
                headers = {"Content-Type": "application/json"} if body else {}
                answer = await person.call(method, path, content="".join(body), headers=headers)
                assert answer.is_success, (request, answer.text)
                lines.append(f"{sum(pages):>7,} pages, {len(pages):>2} statements: {request}")
    finally:
        patch.undo()
        await measuring.close()
        await connection.close()
    return lines


def read_line(line: str) -> tuple[int, str]:
    """Returns the pages of a line, and the rest of it."""
    pages, _, rest = line.strip().partition(" pages, ")
    return int(pages.replace(",", "")), rest


@pytest.fixture(scope="module")
async def counted(postgres: ConnectOptions, migrated: str) -> AsyncIterator[list[str]]:
    databases = Databases(postgres)
    yield await ask_and_count(await databases.create(migrated))
    await databases.drop()


async def test_requests_read_as_many_pages_as_in_the_snapshot(counted: list[str]) -> None:
    kept = [read_line(line) for line in PAGES_SNAPSHOT.read_text().splitlines()]
    now = [read_line(line) for line in counted]
    assert [rest for _, rest in now] == [rest for _, rest in kept], "run: python -m tests.db.test_pages"
    changed = {
        rest: (before, pages)
        for (before, rest), (pages, _) in zip(kept, now, strict=True)
        if abs(pages - before) > max(SPARE_PAGES, SPARE_SHARE * before)
    }
    assert not changed, "run python -m tests.db.test_pages, and look at what has changed"


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="todo-") as folder:
        async with embedded_postgres(Settings(_env_file=None, data_dir=Path(folder))) as options:
            await migrations.upgrade(options)
            PAGES_SNAPSHOT.write_text("\n".join(await ask_and_count(options)) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
