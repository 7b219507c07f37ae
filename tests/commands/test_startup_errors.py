"""The conditions on which the service refuses to start, and its messages. Row-level security must hold before any
request."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import asyncpg
import pytest

from app.auth.claims import is_subject
from app.config import Settings
from app.db import migrations
from app.db.citus.distribution import DistributionError
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.lifespan import run_worker
from app.main import create_app
from app.services.operations.isolation_check import OTHER_OWNER, PROBE_OWNER, NotIsolated, verify_isolation
from tests.citus import CITUS_URL
from tests.databases import Databases
from tests.processes import run_python, service
from tests.support import SECRET

pytestmark = pytest.mark.slow

UNDISTRIBUTE = """
    alter table token_use drop constraint token_use_user_id_fkey; select undistribute_table('token_use')"""
PRETEND_HALF = """
    create table pg_dist_partition (logicalrelid, partmethod) as select 'users'::regclass, 'h'::"char";
    create table pg_dist_shard (shardid, logicalrelid) as select 1, 'users'::regclass;
    create table pg_dist_placement (shardid, groupid) as select 1, 1;
    grant select on pg_dist_partition, pg_dist_shard, pg_dist_placement to todo_user"""
OWN = "user_id = nullif(current_setting('app.user_id', true), '')"
USER_TABLES = ("users", "tasks", "changes")


Make = Callable[..., Awaitable[ConnectOptions]]


@pytest.fixture
def broken(databases: Databases, migrated: str) -> Make:
    """Makes a copy of the migrated database with one change in it."""

    async def make(change: str = "") -> ConnectOptions:
        return await databases.create(migrated, change)

    return make


async def start(options: ConnectOptions, **settings: Any) -> None:
    """Runs the complete start in this process."""
    chosen = Settings(_env_file=None, database_url=options.dsn, jwt_secret=SECRET, **settings)
    application = create_app(chosen)
    async with application.router.lifespan_context(application):
        pass


async def refused(caplog: pytest.LogCaptureFixture, options: ConnectOptions, **settings: Any) -> str:
    """Returns the message of a refused start, which is logged once."""
    with pytest.raises(SystemExit) as stopped, caplog.at_level(logging.WARNING):
        await start(options, **settings)
    assert stopped.value.code != 0
    (said,) = [text for record in caplog.records if (text := record.getMessage()).startswith("cannot start: ")]
    caplog.clear()
    return said


def policy(table: str, rule: str) -> str:
    return f"drop policy owner on {table}; create policy owner on {table} {rule}"


CHANGES = [
    *((f"drop policy owner on {table}", f"{table}: no policy covers every command") for table in USER_TABLES),
    *((f"alter table {table} disable row level security", f"{table}: row-level sec") for table in USER_TABLES),
    *((f"alter table {table} no force row level security", "is not forced on its owner") for table in USER_TABLES),
    *((policy(table, "using (true)"), f"{table}: policy 'owner' admits one user to") for table in USER_TABLES),
    # What a look at rows alone would miss, for there the reading is right.
    (policy("tasks", f"using ({OWN}) with check (true)"), "tasks: policy 'owner' admits one user to"),
    (policy("tasks", f"for select using ({OWN})"), "tasks: no policy covers every command"),
    ("create policy more on tasks for delete using (true)", "tasks: policy 'more' admits one user to"),
    ("create policy more on tasks for update using (true)", "tasks: policy 'more' admits one user to"),
    ("create policy more on tasks for insert with check (true)", "tasks: policy 'more' admits one user to"),
    ("create policy more on tasks using (title = 'shared')", "tasks: policy 'more' does not depend on the owner alone"),
    # A table of user data that somebody forgets to isolate, or isolates badly, though no row of the probe is in it.
    ("create table notes (user_id text); grant select on notes to todo_user", "notes: row-level security is off"),
    (
        "create table notes (user_id text); grant select on notes to todo_user;"
        "alter table notes enable row level security; alter table notes force row level security;"
        "create policy owner on notes using (user_id is not null)",
        "notes: policy 'owner' admits one user to",
    ),
    # Ways to bypass the policies.
    ("create view everything as select * from tasks; grant select on everything to todo_user", "everything: a view"),
    ("create materialized view v as select * from tasks; grant select on v to todo_user", "v: a view"),
    ("grant truncate on tasks to todo_user", "tasks: rights beyond reading and writing rows"),
    ("alter table tasks owner to todo_user", "tasks: it belongs to the service's role"),
    # No leak, but the service could not work.
    (
        policy("tasks", "using (false)"),
        "cannot start: the service's role cannot work on its own rows: new row violates",
    ),
    ("revoke insert on changes from todo_user", "permission denied for table changes"),
    ("revoke usage on schema public from todo_user, public", "can reach no table"),
]


@pytest.mark.parametrize(
    ("change", "reason"), CHANGES, ids=[f"{n}-{change[:30]}" for n, (change, _) in enumerate(CHANGES)]
)
async def test_a_database_that_does_not_isolate_users_is_refused(
    broken: Make, caplog: pytest.LogCaptureFixture, change: str, reason: str
) -> None:
    assert reason in await refused(caplog, await broken(change))


async def test_objects_of_other_programs_do_not_prevent_the_start(broken: Make) -> None:
    # On shards Citus makes a permissive policy of it, which the start refuses (tests/cluster).
    restrictive = "" if CITUS_URL else "create policy fewer on tasks as restrictive using (title <> 'x');"
    await start(
        await broken(f"""
        create table visit (id text primary key, token text);
        create view visits as select * from visit;
        {restrictive}
        create policy reports on tasks for select to pg_monitor using (true);
        create view mine with (security_invoker=true) as select * from tasks;
        grant select on mine to todo_user;
        """)
    )


@pytest.mark.parametrize("right", ["bypassrls", "superuser"])
async def test_a_role_that_bypasses_policies_is_refused(broken: Make, databases: Databases, right: str) -> None:
    """Uses a role of its own, since other tests use the shared one."""
    role = f"wide_{right}"
    options = await broken(
        f"create role {role} {right}; grant usage on schema public to {role};"
        f"grant select, insert, update, delete on users, tasks, changes to {role}"
    )
    database = await Database(options, size=1, timeout=1, role=role).open()
    with pytest.raises(NotIsolated, match=f"role '{role}' is or can become"):
        await verify_isolation(database)
    await database.close()
    await databases.drop()
    await databases.execute(f"drop role {role}")


async def test_the_isolation_check_stores_nothing_and_takes_no_id(broken: Make) -> None:
    options = await broken(
        "insert into users (id) values ('a'); insert into tasks (user_id, title, version) select 'a', 'x', 1"
    )
    connection = await asyncpg.connect(**options.arguments())
    look = """select (select last_value from pg_sequences where sequencename = 'tasks_id_seq'),
                     (select count(*) from users), (select count(*) from tasks), (select count(*) from changes)"""
    before = await connection.fetchrow(look)
    await start(options)
    await start(options)
    assert await connection.fetchrow(look) == before
    await connection.close()


async def test_a_schema_that_is_behind_is_refused_without_auto_migrate(
    databases: Databases, undistributed: str, caplog: pytest.LogCaptureFixture
) -> None:
    empty = await databases.create()
    assert "no schema yet: run 'todo migrate'" in await refused(caplog, empty, auto_migrate=False)
    assert await migrations.read_revision(empty) is None
    first = await databases.create(undistributed)
    await migrations.migrate_to(first, "base")
    assert "run 'todo migrate'" in await refused(caplog, first, auto_migrate=False)


async def test_neither_the_service_nor_the_worker_starts_with_half_of_the_tables_distributed(
    broken: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a migration that adds a table. Without CITUS_URL the database only pretends to have the extension."""
    half = await broken(UNDISTRIBUTE if CITUS_URL else PRETEND_HALF)
    monkeypatch.setattr("app.db.database.is_distributed", AsyncMock(return_value=True))
    said = await refused(caplog, half)
    assert re.search(r"not distributed: .*token_use.*'todo distribute'", said), said
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(DistributionError, match="token_use"):
        await run_worker(Settings(_env_file=None, database_url=half.dsn, jwt_secret=SECRET), stop)


@pytest.mark.parametrize("auto", [True, False])
async def test_a_schema_that_is_ahead_is_refused(broken: Make, caplog: pytest.LogCaptureFixture, auto: bool) -> None:
    ahead = await broken("update alembic_version set version_num = '9999'")
    said = await refused(caplog, ahead, auto_migrate=auto)
    assert "at revision 9999, which this version does not know" in said


async def test_a_login_without_the_privilege_to_migrate_is_refused_with_the_reason(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    empty = await databases.create(change="revoke create on schema public from public")
    await databases.execute("create role weak_login login")
    weak = empty.dsn.replace("postgres@", "weak_login@")
    try:
        with pytest.raises(SystemExit), caplog.at_level(logging.WARNING):
            await start(ConnectOptions(weak, False, False, 5, 5))
        assert "permission denied" in caplog.text
    finally:
        await databases.drop()
        await databases.execute("drop role weak_login")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"jwt_secret": "tooshort"}, "JWT_SECRET: must be at least 32 bytes"),
        ({"port": "http"}, "PORT: Expected a whole number in digits"),
        (
            {"database_url": "postgresql://u:hidden@127.0.0.1:1/d"},
            "with DATABASE_URL set JWT_SECRET, or BETTER_AUTH_URL, or JWKS_URL and JWT_ISSUER",
        ),
        (
            {"database_url": "postgresql://u:hidden@127.0.0.1:1/d", "jwt_secret": SECRET, "web_concurrency": 2},
            "cannot start: cannot connect to the database",
        ),
        ({"data_dir": __file__}, "cannot start: DATA_DIR"),
        ({"host": "no.such.host.invalid"}, "HOST is not an address of this machine"),
    ],
)
def test_a_startup_error_is_one_line_without_secrets(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with service(tmp_path, **settings) as running:
        assert running.ended() != 0
    lines = [line for line in running.log.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1, running.log
    assert said in lines[0]
    assert running.banner == ""
    assert not {"hidden", "tooshort", SECRET} & set(lines[0].split())


async def test_no_user_id_collides_with_the_isolation_check(broken: Make) -> None:
    await start(await broken("insert into users (id) values (' isolation probe '), (' isolation stranger ')"))
    assert PROBE_OWNER != OTHER_OWNER
    assert not is_subject(PROBE_OWNER)
    assert not is_subject(OTHER_OWNER)


def test_the_isolation_check_uses_new_user_ids_in_each_process(tmp_path: Path) -> None:
    program = (
        "from app.services.operations.isolation_check import PROBE_OWNER, OTHER_OWNER; print(PROBE_OWNER, OTHER_OWNER)"
    )
    assert run_python(program, cwd=tmp_path).stdout != run_python(program, cwd=tmp_path).stdout != ""
