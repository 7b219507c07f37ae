"""The installation that a database was last used in, and the revision that new users begin at

Revision ID: 0012
Revises: 0011
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Stable, so that plans inline the number and are made anew when the function is replaced.
FUNCTION = """
create or replace function initial_revision() returns bigint
language sql stable parallel safe as 'select 0::bigint';
alter table users
    alter column revision set default initial_revision(),
    alter column pruned_revision set default initial_revision();
"""
# 'todo restore' of an older dump has created the table, with a row that marks the database as restored. What a plain
# login may not be allowed to read is recorded at the next start. The service's role must not read a table without
# row-level security; the rights of the eraser come from default privileges.
TABLE = """
create table if not exists installation (
    system_identifier bigint,
    timeline integer,
    database_oid bigint,
    users_oid bigint,
    least_revision bigint not null default 0,
    least_id bigint not null default 0,
    recorded_at timestamptz not null default now()
);
insert into installation (database_oid, users_oid)
    select (select oid from pg_database where datname = current_database()), 'users'::regclass::oid
    where not exists (select from installation);
grant select on installation to todo_worker;
revoke all on installation from todo_eraser;
"""


def upgrade() -> None:
    run_script(FUNCTION + TABLE)


def downgrade() -> None:
    run_script("""
drop table installation;
alter table users alter column revision set default 0, alter column pruned_revision set default 0;
drop function initial_revision;
""")
