"""A new epoch begins in a database that was restored, copied or moved, once, before anything is served."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.config import Settings
from app.db import epoch, migrations
from app.db.backup import dump as dumps
from app.db.backup.client_programs import connection_environment, find_tools
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.embedded import embedded_postgres
from app.db.epoch import EPOCH_GAP, EpochError, begin_epoch, ensure_epoch
from app.services.operations.isolation_check import verify_isolation
from app.services.users import get_revision, lock_or_create_owner
from tests.databases import Databases, rows

FILL = """
    insert into users (id, revision) values ('ann', 10), ('bob', 3);
    insert into tasks (user_id, title, version) select 'ann', 't' || n, n from generate_series(1, 10) n;
    insert into changes (user_id, revision, entity, entity_id, action, data)
        select user_id, id, 'task', id, 'created', to_jsonb(tasks) from tasks;"""
REVISIONS = "select id, revision, pruned_revision from users order by id"
NEXT_TASK = "insert into tasks (user_id, title, version) values ('ann', 'x', 1) returning id"
NEXT_USER = "insert into users (id) values ('new') returning revision, pruned_revision"


@pytest.fixture
async def filled(databases: Databases, migrated: str) -> ConnectOptions:
    options = await databases.create(migrated, FILL)
    await ensure_epoch(options)
    assert await revision_of(options) == 10  # it is where it was
    return options


async def revision_of(options: ConnectOptions) -> int:
    """Returns the revision of all users, or of the first one as long as they differ."""
    found: int = (await rows(options, REVISIONS))[0][1]
    return found


async def assert_new_epoch(options: ConnectOptions, *, last_id: int = 10) -> int:
    """Asserts that all numbers are above those of before, and returns the revision."""
    found = await rows(options, REVISIONS)
    raised = {number for _, *numbers in found for number in numbers}
    assert len(raised) == 1, found
    revision: int = raised.pop()
    assert time.time() - 100 < revision / 1e6 <= time.time()
    assert revision < 2**53
    assert await rows(options, NEXT_TASK) == [(last_id + EPOCH_GAP + 1,)]
    assert await rows(options, NEXT_USER) == [(revision, revision)]
    assert await rows(options, "select max(version) from tasks where title like 't%'") == [
        (10,)
    ]  # rows are as they were
    return revision


@pytest.fixture
async def old(databases: Databases) -> ConnectOptions:
    """Creates a database with the schema before there was a table for the installation."""
    options = await databases.create()
    await migrations.migrate_to(options, "0011")
    await databases.execute(FILL, name_of(options))
    return options


async def test_upgrading_a_database_begins_no_new_epoch(old: ConnectOptions) -> None:
    assert await rows(old, "select to_regclass('installation') is null") == [(True,)]
    await ensure_epoch(old)  # an older schema has nothing to compare
    await migrations.upgrade(old)
    for _ in range(2):
        await ensure_epoch(old)
        assert await revision_of(old) == 10
    recorded = await rows(old, "select system_identifier, timeline, database_oid, users_oid from installation")
    assert len(recorded) == 1
    assert None not in recorded[0]


async def test_a_copy_of_the_database_begins_a_new_epoch(databases: Databases, filled: ConnectOptions) -> None:
    copy = await databases.create(urlsplit(filled.dsn).path[1:].partition("?")[0])
    await ensure_epoch(copy)
    revision = await assert_new_epoch(copy)
    await ensure_epoch(copy)
    assert await revision_of(copy) == revision
    assert await revision_of(filled) == 10


@pytest.mark.parametrize("change", ["system_identifier = 1", "timeline = 0", "database_oid = 0", "users_oid = 0"])
async def test_each_part_of_the_installation_counts(
    filled: ConnectOptions, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    await rows(filled, f"update installation set {change} returning 1")
    await ensure_epoch(filled)
    await assert_new_epoch(filled)
    name, _, value = change.partition(" = ")
    assert f"a new epoch has begun: {name} was {value}, is " in caplog.text


async def test_a_restore_without_the_table_begins_a_new_epoch(filled: ConnectOptions) -> None:
    """As the tables in a file of 'todo dump' come without it."""
    await rows(filled, "drop table installation")
    await ensure_epoch(filled)
    revision = await assert_new_epoch(filled)
    await ensure_epoch(filled)
    assert await revision_of(filled) == revision
    await rows(filled, "drop table installation")
    assert await begin_epoch(filled) > revision
    await assert_passes_isolation_check(filled)


@pytest.mark.parametrize("how", ["another database", "the same database"])
async def test_pg_restore_by_hand_begins_a_new_epoch(
    databases: Databases, filled: ConnectOptions, how: str, tmp_path: Path
) -> None:
    tools, file = await find_tools(18), tmp_path / "by-hand"
    run(tools.path("pg_dump"), "--format=custom", f"--file={file}", options=filled)
    target = filled if how == "the same database" else await databases.create()
    run(tools.path("pg_restore"), "--clean", "--if-exists", "--dbname", name_of(target), str(file), options=target)
    assert await revision_of(target) == 10
    await ensure_epoch(target)
    await assert_new_epoch(target)


def run(*command: str, options: ConnectOptions) -> None:
    done = subprocess.run(command, env=connection_environment(options.dsn), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def name_of(options: ConnectOptions) -> str:
    return urlsplit(options.dsn).path[1:]


async def restored(options: ConnectOptions, file: Path) -> None:
    await dumps.restore_dump(options, connection_environment(options.dsn), file, replace=True)


@pytest.fixture
async def source(databases: Databases, undistributed: str) -> ConnectOptions:
    """Creates a database that can be saved: one of a cluster cannot."""
    options = await databases.create(undistributed, FILL)
    await ensure_epoch(options)
    return options


@pytest.fixture
async def saved(source: ConnectOptions, tmp_path: Path) -> Path:
    file = tmp_path / "saved.dump"
    await dumps.write_dump(source, connection_environment(source.dsn), file)
    return file


async def test_a_restore_marks_the_database_until_a_new_epoch_has_begun(
    databases: Databases, source: ConnectOptions, saved: Path
) -> None:
    for target in (await databases.create(), source):
        await restored(target, saved)  # and the process ends here
        assert await revision_of(target) == 10
        await ensure_epoch(target)
        await assert_new_epoch(target)


async def test_a_dump_of_an_older_schema_begins_a_new_epoch(
    databases: Databases, undistributed: str, old: ConnectOptions, tmp_path: Path
) -> None:
    file = tmp_path / "old.dump"
    await dumps.write_dump(old, connection_environment(old.dsn), file)
    target = await databases.create(undistributed)
    await restored(target, file)
    await migrations.upgrade(target)
    await ensure_epoch(target)
    await assert_new_epoch(target)


async def test_numbers_of_a_replaced_database_are_not_used_again(
    databases: Databases, undistributed: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock is wrong, and more ids were given out than any gap."""
    monkeypatch.setattr(epoch, "RAISE_REVISIONS", epoch.RAISE_REVISIONS.replace(epoch.CLOCK_REVISION, "0"))
    ahead = f"insert into users (id, revision) values ('ann', {2**52}); select setval('tasks_id_seq', 50000000)"
    target = await databases.create(undistributed, ahead)
    await restored(target, saved)
    await ensure_epoch(target)
    assert await revision_of(target) == 2**52 + EPOCH_GAP
    assert await rows(target, NEXT_TASK) == [(50_000_000 + 50_000_000 // 8 + 1,)]


async def test_a_wrong_clock_stays_below_what_javascript_can_count_to(
    filled: ConnectOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = epoch.RAISE_REVISIONS.replace("clock_timestamp()", "timestamptz '9999-12-31'")
    monkeypatch.setattr(epoch, "RAISE_REVISIONS", later)
    assert 2**52 < await begin_epoch(filled) < 2**53


async def test_of_several_processes_one_begins_the_epoch(
    filled: ConnectOptions, caplog: pytest.LogCaptureFixture
) -> None:
    await rows(filled, "update installation set timeline = 0 returning 1")
    await asyncio.gather(*(ensure_epoch(filled) for _ in range(4)))
    assert caplog.text.count("a new epoch has begun") == 1
    await assert_new_epoch(filled)


async def test_statements_that_are_prepared_see_the_new_epoch(filled: ConnectOptions) -> None:
    """A process that serves while 'todo epoch new' runs has plans with the old number."""
    database = await Database(filled, size=1, timeout=5).open()
    try:
        for number in range(8):  # PostgreSQL keeps a plan after five
            async with database.transaction(f"early {number}") as session:
                assert await get_revision(session, f"early {number}") == 0
                await lock_or_create_owner(session, f"early {number}")
        revision = await begin_epoch(filled)
        async with database.transaction("late") as session:
            assert await get_revision(session, "late") == revision
            await lock_or_create_owner(session, "late")
            assert await get_revision(session, "late") == revision
    finally:
        await database.close()


async def assert_passes_isolation_check(options: ConnectOptions) -> None:
    database = await Database(options, size=1, timeout=5).open()
    try:
        await verify_isolation(database)
    finally:
        await database.close()


async def test_a_lifted_database_passes_the_isolation_check(filled: ConnectOptions) -> None:
    await begin_epoch(filled)
    await assert_passes_isolation_check(filled)
    forced = "select relname from pg_class where relname = 'users' and not relforcerowsecurity"
    assert await rows(filled, forced) == []


@pytest.mark.parametrize("role", ["todo_user", "todo_auth", "todo_eraser"])
async def test_only_the_worker_reads_the_installation(filled: ConnectOptions, role: str) -> None:
    connection = await asyncpg.connect(**filled.arguments())
    try:
        await connection.execute(f"set role {role}")
        for statement in ("select from installation", "delete from installation"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def bound(databases: Databases, filled: ConnectOptions) -> AsyncIterator[ConnectOptions]:
    """Connects with a login that owns everything, and to which the policies apply; it may not read the control file."""
    name, tables = name_of(filled), await rows(filled, "select tablename from pg_tables where schemaname = 'public'")
    for statement in (
        "create role bound_login login",
        "grant all on schema public to bound_login",
        *(f"alter table {table} owner to bound_login" for (table,) in tables),
        "alter function initial_revision owner to bound_login",
        "grant todo_user, todo_auth, todo_worker, todo_eraser to bound_login with inherit false",
    ):
        await databases.execute(statement, name)
    yield replace(filled, dsn=filled.dsn.replace("//postgres@", "//bound_login@"))
    await databases.drop()
    await databases.execute("drop role bound_login")


async def test_a_login_that_policies_bind_raises_every_user(bound: ConnectOptions, filled: ConnectOptions) -> None:
    assert await rows(bound, "update users set revision = 11 returning id") == []
    await begin_epoch(bound)
    await assert_new_epoch(filled)


async def test_what_a_login_may_not_read_is_not_compared(
    databases: Databases, bound: ConnectOptions, filled: ConnectOptions, caplog: pytest.LogCaptureFixture
) -> None:
    functions = "pg_control_system(), pg_current_wal_lsn()"
    await databases.execute(f"revoke execute on function {functions} from public", name_of(filled))
    await ensure_epoch(bound)
    assert await revision_of(filled) == 10
    assert "run 'todo epoch new' after one (permission denied for function pg_control_system)" in caplog.text
    await rows(filled, "update installation set database_oid = 0 returning 1")
    await ensure_epoch(bound)
    await assert_new_epoch(filled)
    # What becomes readable later is recorded, and is no difference.
    await databases.execute(f"grant execute on function {functions} to public", name_of(filled))
    revision = await revision_of(filled)
    await ensure_epoch(bound)
    assert await revision_of(filled) == revision
    assert await rows(filled, "select timeline is null from installation") == [(False,)]


async def test_a_login_that_does_not_own_the_tables_must_not_serve(
    databases: Databases, filled: ConnectOptions
) -> None:
    await databases.execute(
        "create role guest_login login; grant todo_user, todo_auth, todo_worker, todo_eraser to guest_login"
    )
    try:
        guest = replace(filled, dsn=filled.dsn.replace("//postgres@", "//guest_login@"))
        await ensure_epoch(guest)
        await rows(filled, "update installation set timeline = 0 returning 1")
        with pytest.raises(EpochError, match=r"timeline was 0, is 1.*run 'todo epoch new' with the login that owns"):
            await ensure_epoch(guest)
        assert await revision_of(filled) == 10
    finally:
        await databases.execute("drop role guest_login")


@pytest.mark.slow
async def test_a_promoted_replica_begins_a_new_epoch_and_a_copied_folder_does_not(tmp_path: Path) -> None:
    """A folder that was put back looks as it did: docs/backup.md names what is noticed and what is not."""
    folder = Path("/tmp") / f"todo-{tmp_path.name}"
    settings = Settings(_env_file=None, data_dir=folder / "a")
    try:
        async with embedded_postgres(settings) as options:
            await migrations.upgrade(options)
            await ensure_epoch(options)
            await rows(options, "insert into users (id, revision) values ('ann', 10) returning 1")
        await asyncio.to_thread(copy_folder, folder / "a", folder / "b")
        other = Settings(_env_file=None, data_dir=folder / "b")
        async with embedded_postgres(other) as options:
            await ensure_epoch(options)
            assert await revision_of(options) == 10
        # As after a promotion or a recovery to a point in time: the end of the recovery begins a timeline.
        (folder / "b/pg/recovery.signal").touch()
        with (folder / "b/pg/postgresql.auto.conf").open("a") as file:
            file.write("restore_command = 'false'\n")
        async with embedded_postgres(other) as options:
            await until_recovered(options)
            await ensure_epoch(options)
            assert await revision_of(options) > 10**15
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def until_recovered(options: ConnectOptions) -> None:
    """Waits until the server takes writes; before, nothing begins."""
    deadline = time.monotonic() + 30
    while await rows(options, "select pg_is_in_recovery()") == [(True,)]:
        with suppress(asyncpg.ObjectNotInPrerequisiteStateError):  # or it has ended between the two
            await ensure_epoch(options)
        assert time.monotonic() < deadline, "the recovery did not end"
        await asyncio.sleep(0.05)


def copy_folder(source: Path, target: Path) -> None:
    """Copies a folder with the owners of its files."""
    subprocess.run(["cp", "-a", source, target], check=True)
