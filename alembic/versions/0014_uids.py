"""Ids that clients choose, and UUIDs for the rows that have none

Every step commits, and can be repeated: a migration that was stopped half-way continues when it is run again. Other
processes serve meanwhile, also of an older version, whose rows get the column's default.

The rows get their UUIDs here, and not from the worker: NOT NULL and the index, which every lookup by uid needs, follow
at once, and no version has to serve a table in which some rows have no uid.

Revision ID: 0014
Revises: 0013
"""

import os
from collections.abc import Sequence
from typing import Any

from alembic import op
from app.db.migrations import run_on_driver, run_script
from app.db.uuid7 import RANDOM_BITS, format_uuid7

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("tasks", "projects", "comments", "views")
BATCH_ROWS = 5_000  # in a transaction, which locks their owner
OWNERS_PAGE = 1_000
# Adding a column with this default would rewrite the table: it is not constant. Setting it later does not.
ADD_COLUMN = """
begin;
set local lock_timeout = '10s';
alter table {table} add column if not exists uid text collate "C";
alter table {table} alter column uid set default gen_random_uuid()::text;
commit;
"""
# A login that owns the tables is bound by their policies like every other one, so each role does what it may.
SELECT_OWNERS = "select id from users where id > $1 order by id limit $2"
# The owner is locked before any row, as in every write, so that none waits for the other in a circle. A crash of the
# server may lose a batch that was committed asynchronously: it is then filled again, or a later commit has kept it.
BEGIN_BATCH = """
begin;
set local role todo_user;
set local app.user_id = {owner};
set local synchronous_commit = off;
select from users where id = {owner} for no key update;
"""
SELECT_ROWS = """
select id, (extract(epoch from created_at) * 1000)::bigint as made from {table}
where user_id = $1 and id > $2 and uid is null order by id limit $3
"""
FILL_ROWS = """
update {table} t set uid = filled.uid from unnest($2::bigint[], $3::text[]) filled (id, uid)
where t.user_id = $1 and t.id = filled.id and t.uid is null
"""
FIND_INVALID = "select from pg_index where indexrelid = to_regclass($1) and not indisvalid"
# The validation holds no lock that a write would wait for, and SET NOT NULL does not read the table where a validated
# constraint says the same.
REQUIRE_UID = """
begin;
set local lock_timeout = '10s';
alter table {table} drop constraint if exists {table}_uid_check;
alter table {table} add constraint {table}_uid_check check (uid is not null) not valid;
commit;
""", "alter table {table} validate constraint {table}_uid_check", """
begin;
set local lock_timeout = '10s';
alter table {table} alter column uid set not null;
alter table {table} drop constraint {table}_uid_check;
commit;
"""  # fmt: skip


async def fill_all(driver: Any) -> None:
    """Gives every row without a uid a UUID of version 7, of the time at which it was created."""
    after = ""
    while owners := await list_owners(driver, after):
        for owner in owners:
            positions = dict.fromkeys(TABLES, 0)
            while await fill_batch(driver, owner, positions):
                pass
        after = owners[-1]


async def list_owners(driver: Any, after: str) -> list[str]:
    async with driver.transaction():
        await driver.execute("set local role todo_worker")
        return [row["id"] for row in await driver.fetch(SELECT_OWNERS, after, OWNERS_PAGE)]


async def fill_batch(driver: Any, owner: str, positions: dict[str, int]) -> bool:
    """Fills at most BATCH_ROWS rows after ``positions``, the last id of each table; returns whether there may be more.

    Takes no revision: clients notice by the version of the service that lists have a new field.
    """
    quoted = "'{}'".format(owner.replace("'", "''"))
    await driver.execute(BEGIN_BATCH.format(owner=quoted))
    room = BATCH_ROWS
    for table in TABLES:
        rows = await driver.fetch(SELECT_ROWS.format(table=table), owner, positions[table], room)
        if rows:
            ids = [row["id"] for row in rows]
            await driver.execute(FILL_ROWS.format(table=table), owner, ids, [make_uuid(row["made"]) for row in rows])
            positions[table] = ids[-1]
            room -= len(rows)
        if room == 0:
            break
    await driver.execute("commit")
    return room == 0


def make_uuid(milliseconds: int) -> str:
    random = int.from_bytes(os.urandom(10)) >> (80 - RANDOM_BITS)
    return format_uuid7(max(milliseconds, 0) << RANDOM_BITS | random)  # an import may be of before 1970


async def create_indexes(driver: Any) -> None:
    for table in TABLES:
        name = f"{table}_uid_key"
        if await driver.fetch(FIND_INVALID, name):
            await driver.execute(f"drop index concurrently {name}")
        await driver.execute(f"create unique index concurrently if not exists {name} on {table} (user_id, uid)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table in TABLES:
            run_script(ADD_COLUMN.format(table=table))
        run_on_driver(fill_all)
        run_on_driver(create_indexes)
        for table in TABLES:
            for step in REQUIRE_UID:
                run_script(step.format(table=table))


def downgrade() -> None:
    for table in TABLES:
        run_script(f"alter table {table} drop column uid")
