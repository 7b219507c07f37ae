"""The size of a task and a change in bytes: ``python -m bench.sizes [tasks ...]``.

Rows are inserted in random order of their owners, like in use: sorted input makes indexes denser.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from app.config import Settings
from app.db import migrations
from app.db.embedded import embedded_postgres

TASKS_OF_EACH = 500  # tasks of one user
SIZES_USERS = """
insert into users (id) select md5(n::text) from generate_series(1, $1::bigint / 500) n"""
SIZES_TASKS = """
insert into tasks (user_id, title, description, completed, completed_at, priority, due_on, due_at, tags, version)
select user_id, left(md5(n::text) || md5(id::text), 12 + (n * 7 % 48)::int),
       case when n % 10 < 3 then repeat(left(md5(n::text), 20) || ' ', 1 + (n % 10)::int) end,
       n % 2 = 0, case when n % 2 = 0 then now() end, (array['none', 'low', 'medium', 'high', 'urgent'])[1 + n % 5],
       case when n % 10 < 3 then current_date + (n % 60)::int end,
       case when n % 10 = 3 then now() + make_interval(hours => (n % 900)::int) end,
       (array['{}', '{errands}', '{work}', '{work,"next week"}'])[1 + n % 4]::text[], n
from (select u.id as user_id, n, u.id from users u cross join generate_series(1, 500) n order by random()) as them"""
SIZES_CHANGES = """
insert into changes (user_id, revision, entity, entity_id, action, data)
select user_id, version, 'task', id, 'created', to_jsonb(tasks)
    - '{due_sort,completed_sort,priority_sort,title_sort}'::text[] from tasks order by id"""
TABLE_SIZES = """
select c.relname as name, pg_relation_size(c.oid) + pg_relation_size(c.oid, 'fsm') + pg_relation_size(c.oid, 'vm')
       + coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) as bytes, pg_indexes_size(c.oid) as indexes
from pg_class c where c.relname in ('users', 'tasks', 'changes') and c.relkind = 'r' order by 1"""
INDEX_SIZES = """
select i.indexrelid::regclass::text as name, pg_relation_size(i.indexrelid) as bytes
from pg_index i where i.indrelid in ('users'::regclass, 'tasks'::regclass, 'changes'::regclass)
order by i.indrelid::regclass::text, 2 desc"""


async def fill(connection: Any, tasks: int) -> None:
    await connection.execute("truncate users, tasks, changes cascade")
    for statement, arguments in ((SIZES_USERS, [tasks]), (SIZES_TASKS, []), (SIZES_CHANGES, [])):
        await connection.execute(statement, *arguments)
    await connection.execute("vacuum analyze")


async def measure(connection: Any) -> None:
    counts = {name: await connection.fetchval(f"select count(*) from {name}") for name in ("users", "tasks", "changes")}
    for row in await connection.fetch(TABLE_SIZES):
        rows = counts[row["name"]]
        whole = row["bytes"] + row["indexes"]
        print(
            f"{row['name']:<10}{rows:>10,} rows  {row['bytes'] / rows:6.0f} + {row['indexes'] / rows:4.0f} bytes a row"
            f"  {whole / 2**20:8.0f} MiB"
        )
    for row in await connection.fetch(INDEX_SIZES):
        print(f"    {row['name']:<28}{row['bytes'] / 2**20:8.1f} MiB")


async def main(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory(prefix="sizes-") as folder:
        async with embedded_postgres(Settings(_env_file=None, data_dir=Path(folder))) as options:
            await migrations.upgrade(options)
            arguments = options.arguments()
            arguments.pop("server_settings")
            connection = await asyncpg.connect(**arguments | {"command_timeout": None})
            for tasks in sizes:
                started = time.monotonic()
                await fill(connection, tasks)
                print(f"\n{tasks:,} tasks, filled in {time.monotonic() - started:.0f} s")
                await measure(connection)
            await connection.close()


if __name__ == "__main__":
    asyncio.run(main([int(argument) for argument in sys.argv[1:]] or [100_000, 1_000_000]))
