"""todo dump and todo restore: all data is restored, or nothing changes."""

import contextlib
import re
import stat
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import jwt
import pytest

from app.db import migrations
from app.db.backup import client_programs
from app.db.backup import dump as dumps
from app.db.backup.client_programs import ToolError, connection_environment, find_tools
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.epoch import EPOCH_GAP
from app.models import METADATA
from app.services.operations.isolation_check import verify_isolation
from tests.databases import Databases, rows
from tests.db.test_migrations import SCHEMA
from tests.processes import TODO, run_todo, service
from tests.support import SECRET

pytestmark = pytest.mark.slow

BACKUP = Path(__file__).parents[2] / "docs" / "backup.md"
PASSWORD = "correct horse battery staple"
RIGHTS = """
    select 'table', c.relname, c.relrowsecurity, c.relforcerowsecurity,
           array(select a::text from unnest(c.relacl) a order by 1)
    from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'S')
    union all select 'column', attrelid::regclass::text || '.' || attname, null, null, array(
        select a::text from unnest(attacl) a order by 1) from pg_attribute
        where attacl is not null and attrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
    union all select 'default', defaclobjtype::text, null, null, defaclacl::text[] from pg_default_acl
    union all select 'schema', name, null, null, array[has_schema_privilege(name, 'public', 'usage')::text]
        from unnest(array['todo_user', 'todo_auth', 'todo_eraser', 'todo_worker']) name
    order by 1, 2"""
FILL = """
    insert into users (id, revision) select 'user' || n, 3 from generate_series(1, 20) n;
    insert into tasks (user_id, title, version) select id, E't\\t\\\\"é😀\\n', 1 from users, generate_series(1, 50);
    insert into changes (user_id, revision, entity, entity_id, action, data)
        select user_id, id, 'task', id, 'created', to_jsonb(tasks) from tasks;"""


def variables(options: ConnectOptions) -> dict[str, str]:
    return connection_environment(options.dsn)


async def content(options: ConnectOptions) -> dict[str, Any]:
    """Returns a checksum of every table."""
    sums = {}
    for table in METADATA.tables:
        sums[table] = await rows(options, f"select md5(string_agg(t::text, '|' order by t::text)) from {table} t")
    return sums


@pytest.fixture
async def filled(databases: Databases, undistributed: str) -> ConnectOptions:
    return await databases.create(undistributed, FILL)


@pytest.fixture
async def saved(filled: ConnectOptions, tmp_path: Path) -> Path:
    file = tmp_path / "saved.dump"
    await dumps.write_dump(filled, variables(filled), file)
    return file


def test_a_restored_service_has_the_same_data_and_logins(tmp_path: Path) -> None:
    with service(tmp_path, data_dir="a", refresh_cookie="false") as first:
        url = f"http://127.0.0.1:{first.ready().port}"
        account = {"email": "ann@example.com", "password": PASSWORD}
        ann = httpx.post(f"{url}/api/auth/register", json=account).json()["access_token"]
        bob = httpx.post(f"{url}/api/auth/register", json={**account, "email": "bob@example.com"}).json()[
            "access_token"
        ]
        for token, titles in ((ann, ["Buy milk", "Call"]), (bob, ["A secret"])):
            for title in titles:
                assert post(url, token, {"title": title}).status_code == 201
        httpx.delete(f"{url}/api/me/tasks/1", headers=bearer(ann))
        before = [get(url, ann, path) for path in ("tasks", "tasks/trash", "tasks/1/history")]
        done = run_todo("dump", "todo.dump", "--with-secrets", cwd=tmp_path, data_dir="a")
        assert done.returncode == 0, done.stderr
        assert f"{len(METADATA.tables) + 1} tables in todo.dump" in done.stdout
        (tmp_path / "other.dump.secrets").mkdir()
        refused = run_todo("dump", "other.dump", "--with-secrets", cwd=tmp_path, data_dir="a")
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1] == "todo: [Errno 21] Is a directory: 'other.dump.secrets'"
        refused = run_todo("dump", "gone/x.dump", cwd=tmp_path, data_dir="a")
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
        assert "No such file or directory: 'gone/x.dump'" in refused.stderr
    dumped, kept = tmp_path / "todo.dump", tmp_path / "todo.dump.secrets"
    assert {stat.S_IMODE(file.stat().st_mode) for file in (dumped, kept)} == {0o600}
    secret = kept.read_text().strip().removeprefix("JWT_SECRET=")
    assert secret == (tmp_path / "a/jwt_secret").read_text().strip()
    assert secret.encode() not in dumped.read_bytes()

    done = run_todo("restore", "todo.dump", cwd=tmp_path, data_dir="b", jwt_secret=secret)
    assert done.returncode == 0, done.stderr
    assert "set them from todo.dump.secrets" in done.stdout
    with service(tmp_path, data_dir="b", jwt_secret=secret) as second:
        url = f"http://127.0.0.1:{second.ready().port}"
        assert [get(url, ann, path) for path in ("tasks", "tasks/trash", "tasks/1/history")] == before
        gone = httpx.get(f"{url}/api/me/changes?since=0", headers=bearer(ann))
        assert (gone.status_code, gone.json()["code"]) == (410, "changes_gone")
        assert httpx.get(f"{url}/api/me/tasks/3", headers=bearer(ann)).status_code == 404
        assert httpx.post(f"{url}/api/auth/login", json=account).status_code == 200
        made = post(url, ann, {"title": "Afterwards"})
        assert (made.status_code, made.json()["id"]) == (201, 3 + EPOCH_GAP + 1)
        assert time.time() - 60 < made.json()["version"] / 1e6 < time.time()
        doctor = run_todo("doctor", cwd=tmp_path, data_dir="b", jwt_secret=secret)
        assert doctor.returncode == 0, doctor.stdout
        assert "'todo dump' by pg_dump" in doctor.stdout
        assert "GiB free for b" in doctor.stdout
        refused = run_todo("restore", "todo.dump", "--replace", cwd=tmp_path, data_dir="b", jwt_secret=secret)
        assert refused.returncode == 1
        assert "other connections are open: stop the service first" in refused.stderr


def test_the_documented_backup_commands_work(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    save, bring_back = re.findall(r"```sh\n(.*?)```", BACKUP.read_text(), re.DOTALL)
    tokens = []
    for folder, script in ((old, "todo migrate\n" + save), (new, f"cp ../old/todo.dump* .\n{bring_back}")):
        folder.mkdir()
        command = re.sub(r"(\.venv/bin/)?\btodo (?=[a-z])", f"{TODO} ", script)
        done = subprocess.run(["bash", "-euc", command], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        tokens.append(run_todo("token", "alice", cwd=folder).stdout.strip())
    secret = (old / "data/jwt_secret").read_text().strip()
    assert [jwt.decode(token, secret, ["HS256"])["sub"] for token in tokens] == ["alice", "alice"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def get(url: str, token: str, path: str) -> Any:
    answer = httpx.get(f"{url}/api/me/{path}", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(url: str, token: str, body: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{url}/api/me/tasks", json=body, headers=bearer(token))


async def test_a_restore_has_the_same_schema_privileges_policies_and_rows(
    databases: Databases, filled: ConnectOptions, saved: Path
) -> None:
    empty = await databases.create()
    await dumps.restore_dump(empty, variables(empty), saved, replace=False)
    assert await rows(empty, SCHEMA) == await rows(filled, SCHEMA)
    assert await rows(empty, RIGHTS) == await rows(filled, RIGHTS)
    assert await content(empty) == await content(filled)
    assert await migrations.read_revision(empty) == migrations.head_revision()
    database = await Database(empty, size=1, timeout=1).open()
    await verify_isolation(database)
    await database.close()
    # The next row takes the next id.
    next_id = "insert into tasks (user_id, title, version) values ('user1', 'x', 4) returning id"
    assert await rows(empty, next_id) == [(1001,)]


async def test_existing_data_is_replaced_only_with_replace(
    databases: Databases, undistributed: str, filled: ConnectOptions, saved: Path
) -> None:
    other = await databases.create(
        undistributed, "insert into users (id) values ('somebody'); create table theirs (a int);"
    )
    before = await content(other)
    with pytest.raises(dumps.BackupError, match="--replace deletes what is there"):
        await dumps.restore_dump(other, variables(other), saved, replace=False)
    assert await content(other) == before
    await dumps.restore_dump(other, variables(other), saved, replace=True)
    assert await content(other) == await content(filled)
    assert await rows(other, "select to_regclass('theirs') is null") == [(False,)]


async def test_a_schema_without_users_is_replaced_without_replace(
    databases: Databases, undistributed: str, saved: Path
) -> None:
    started_once = await databases.create(undistributed)
    await dumps.restore_dump(started_once, variables(started_once), saved, replace=False)
    assert await rows(started_once, "select count(*) from tasks") == [(1000,)]


@pytest.mark.parametrize("fault", ["cut", "changed", "no dump", "another dump", "newer"])
async def test_a_damaged_or_foreign_dump_changes_nothing(
    databases: Databases, undistributed: str, filled: ConnectOptions, saved: Path, fault: str, tmp_path: Path
) -> None:
    target = await databases.create(undistributed, "insert into users (id) values ('somebody')")
    before = await content(target)
    good = saved.read_bytes()
    if fault == "cut":
        saved.write_bytes(good[: len(good) - 4000])
    elif fault == "changed":  # within the compressed rows
        saved.write_bytes(good[:-20_000] + bytes(15_000) + good[-5_000:])
    elif fault == "no dump":
        saved.write_text("no dump at all\n" * 1000)
    else:
        other = filled
        if fault == "newer":
            await databases.execute("update alembic_version set version_num = 'later'", urlsplit(filled.dsn).path[1:])
        else:
            other = await databases.create(change="create table users (id int); grant select on users to todo_user;")
            await databases.execute(
                "alter table users enable row level security, force row level security", urlsplit(other.dsn).path[1:]
            )
        saved.unlink()
        await dumps.write_dump(other, variables(other), saved)
    with pytest.raises(ValueError, match=r"failed: |not a dump of this service|'?later'?, which this version"):
        await dumps.restore_dump(target, variables(target), saved, replace=True)
    assert await content(target) == before


async def test_a_dump_overwrites_no_file_and_leaves_no_partial_one(
    filled: ConnectOptions, saved: Path, tmp_path: Path
) -> None:
    before = saved.read_bytes()
    with pytest.raises(dumps.BackupError, match="exists already"):
        await dumps.write_dump(filled, variables(filled), saved)
    with pytest.raises(ToolError, match="pg_dump failed: connection to server"):
        await dumps.write_dump(filled, {"PGHOST": "127.0.0.1", "PGPORT": "1"}, tmp_path / "other")
    assert saved.read_bytes() == before
    assert list(tmp_path.iterdir()) == [saved]


@pytest.fixture
async def bound(databases: Databases, filled: ConnectOptions) -> AsyncIterator[ConnectOptions]:
    """Connects to the filled database with a login that owns the tables, and to which their policies apply."""
    name = urlsplit(filled.dsn).path[1:]
    owned = "".join(f"alter table {table} owner to bound_login;" for table in [*METADATA.tables, "alembic_version"])
    await databases.execute(f"create role bound_login login; grant all on schema public to bound_login; {owned}", name)
    yield replace(filled, dsn=filled.dsn.replace("//postgres@", "//bound_login@"))
    await databases.drop()
    await databases.execute("drop role bound_login")


async def test_a_dump_is_refused_for_a_login_that_row_level_security_binds(
    bound: ConnectOptions, tmp_path: Path
) -> None:
    with pytest.raises(dumps.BackupError, match=r"'bound_login' is bound by row-level security .* BYPASSRLS"):
        await dumps.write_dump(bound, variables(bound), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


async def test_a_restore_does_not_take_hidden_rows_for_an_empty_database(bound: ConnectOptions, saved: Path) -> None:
    with pytest.raises(dumps.BackupError, match="--replace deletes"):
        await dumps.restore_dump(bound, variables(bound), saved, replace=False)


async def test_a_restore_is_refused_while_others_are_connected(filled: ConnectOptions, saved: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        connection = await asyncpg.connect(**filled.arguments())
        stack.push_async_callback(connection.close)
        with pytest.raises(dumps.BackupError, match="1 other connections"):
            await dumps.restore_dump(filled, variables(filled), saved, replace=True)


async def test_client_programs_older_than_the_server_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (await find_tools(18)).major >= 18
    for name in client_programs.PROGRAM_NAMES:
        (tmp_path / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.3 (Debian 15.3-1)'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await find_tools(18)).major >= 18  # those of the embedded server are newer
    monkeypatch.setattr(client_programs, "binaries", lambda: None)
    assert (await find_tools(15)).folder == str(tmp_path)
    with pytest.raises(ToolError, match="server is PostgreSQL 18, and pg_dump here is 15: install the client of 18"):
        await find_tools(18)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ToolError, match="not installed"):
        await find_tools(15)


async def test_a_dump_of_an_empty_database_is_refused(databases: Databases, tmp_path: Path) -> None:
    empty = await databases.create()
    with pytest.raises(dumps.BackupError, match="no schema yet"):
        await dumps.write_dump(empty, variables(empty), tmp_path / "x")


def test_dump_and_restore_through_a_pooler_are_refused(tmp_path: Path) -> None:
    url = "postgresql://u:hidden@db-pooler.example/todo"
    for command in (["dump", "x"], ["restore", __file__]):
        done = run_todo(*command, cwd=tmp_path, database_url=url, jwt_secret=SECRET)
        assert done.returncode == 1
        assert "set DIRECT_DATABASE_URL" in done.stderr
        assert "hidden" not in done.stderr


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (
            "postgresql+asyncpg://an%40n:p%2Fw@db.example:6000/to%20do?sslmode=require&pgbouncer=true&schema=x",
            {"USER": "an@n", "PASSWORD": "p/w", "HOST": "db.example", "PORT": "6000", "DATABASE": "to do",
             "SSLMODE": "require"},
        ),
        ("postgres://u@[::1]/d?ssl=true", {"USER": "u", "HOST": "::1", "PORT": "5432", "DATABASE": "d",
                                           "SSLMODE": "require"}),
        ("postgresql://u:p@a,b:5433/d?target_session_attrs=read-write",
         {"USER": "u", "PASSWORD": "p", "HOST": "a,b", "PORT": "5432,5433", "DATABASE": "d",
          "TARGETSESSIONATTRS": "read-write"}),
        ("postgresql:///d?host=/tmp/x&port=5432&user=u", {"HOST": "/tmp/x", "PORT": "5432", "USER": "u",
                                                          "DATABASE": "d"}),
    ],
)  # fmt: skip
def test_database_urls_become_libpq_variables(url: str, wanted: dict[str, str]) -> None:
    assert connection_environment(url) == {f"PG{name}": value for name, value in wanted.items()}
