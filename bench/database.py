"""A PostgreSQL for the length of one run, with the same rows for every contestant."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped, unused-ignore]

from app.config import Settings
from app.db import migrations
from app.db.embedded import embedded_postgres
from bench.scenarios import BENCH_SECRET, TASKS_PER_USER, USER_COUNT

# Vacuum runs between rounds instead: in the background it would count for the contestant being measured.
NO_AUTOVACUUM = "alter system set autovacuum = off"
SEED_TASKS = f"""
insert into users (id, revision)
select 'bench' || lpad(u::text, 27, '0'), {TASKS_PER_USER} from generate_series(0, {USER_COUNT - 1}) u;

insert into projects (user_id, id, name, version)
overriding system value
select 'bench' || lpad(u::text, 27, '0'), u * 4 + p, 'Project ' || p, 0
from generate_series(0, {USER_COUNT - 1}) u, generate_series(1, 4) p;

insert into tasks (user_id, id, title, description, completed, completed_at, priority, due_on, tags, project_id,
                   version, created_at, updated_at)
overriding system value
select 'bench' || lpad(u::text, 27, '0'), u * {TASKS_PER_USER} + k, 'Water the plants on floor ' || k,
       case when k % 3 > 0 then 'The large one by the window needs twice as much as the others do, number ' || k end,
       k % 4 = 0, case when k % 4 = 0 then at + interval '90 minutes' end,
       (array['none', 'low', 'medium', 'high', 'urgent'])[1 + k % 5],
       case when k % 2 = 0 then date '2026-12-01' + k % 60 end,
       array['home', 'work', 'errands', 'week ' || k % 52, 'floor ' || k % 9], u * 4 + 1 + k % 4, k, at, at
from generate_series(0, {USER_COUNT - 1}) u, generate_series(1, {TASKS_PER_USER}) k,
     lateral (select timestamptz '2026-01-01 08:00Z' + k * interval '7 hours 1.234567 seconds' as at) instant
order by u, k;

select setval(pg_get_serial_sequence('tasks', 'id'), {USER_COUNT * TASKS_PER_USER});
select setval(pg_get_serial_sequence('projects', 'id'), {USER_COUNT * 4});
"""


class Bench:
    """The running server. ``url`` is the DATABASE_URL of contestants; ``folder`` is deleted after the run."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        postmaster = int((folder / "pg" / "postmaster.pid").read_text().split()[0])
        self._postmaster = psutil.Process(postmaster)

    def cpu_seconds(self) -> float:
        """Returns the CPU time of the whole server so far."""
        return server_seconds(self._postmaster)

    async def run(self, script: str) -> None:
        """Runs SQL statements as the superuser."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    async def tidy(self) -> None:
        """Runs vacuum and checkpoint, so that each round begins in the same state."""
        await self.run("vacuum analyze")
        await self.run("checkpoint")

    async def version(self) -> str:
        connection = await asyncpg.connect(self.url)
        try:
            found: str = await connection.fetchval("show server_version")
            return found
        finally:
            await connection.close()


def server_seconds(postmaster: psutil.Process) -> float:
    """Returns the time of a postmaster, of its children, and of children that have ended."""
    times = postmaster.cpu_times()
    total: float = times.user + times.system + times.children_user + times.children_system
    return total + sum(cpu_seconds(child) for child in postmaster.children())


def cpu_seconds(process: psutil.Process) -> float:
    """Returns user and system time of one process; 0 for one that has just ended (its parent then counts it)."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    total: float = times.user + times.system
    return total


@asynccontextmanager
async def bench_database(own_tables: list[str]) -> AsyncIterator[Bench]:
    """Starts a server with a migrated and seeded database.

    ``own_tables`` are scripts of contestants with tables of their own.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-"))  # short: a unix socket's path has at most 107 bytes
    try:
        async with empty_database(folder) as bench:
            for script in (SEED_TASKS, *own_tables, "analyze"):
                await bench.run(script)
            yield bench
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def empty_database(folder: Path) -> AsyncIterator[Bench]:
    """Starts and migrates the PostgreSQL of ``folder``, with its existing data."""
    settings = Settings(_env_file=None, data_dir=folder, database_url=None, jwt_secret=BENCH_SECRET)
    async with embedded_postgres(settings) as options:
        await migrations.upgrade(options)
        bench = Bench(options.dsn, folder)
        for script in (NO_AUTOVACUUM, "select pg_reload_conf()"):
            await bench.run(script)
        yield bench
