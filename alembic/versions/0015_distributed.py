"""What a distributed database needs: functions that any server computes alike, accounts that refer to no user's row

Revision ID: 0015
Revises: 0014
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Neither depends on a setting: instants among reminders have their offset, and a microsecond is no day.
FUNCTIONS = """
alter function next_reminder(text[], date, timestamptz, text, timestamptz) immutable;
create or replace function just_before(at timestamptz) returns timestamptz
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$ select at - interval '1 microsecond' $$;
"""
# Accounts are looked up before anybody knows whose they are, so they are not distributed, and cannot refer to a table
# that is. An erasure deletes from every table by itself.
TABLES = """
alter table accounts drop constraint accounts_user_id_fkey;
alter table api_tokens drop constraint api_tokens_user_id_fkey;
-- to lock the row that it deletes
grant update (prune_at) on users to todo_eraser;
"""


def upgrade() -> None:
    run_script(FUNCTIONS + TABLES)


def downgrade() -> None:
    run_script("""
revoke update (prune_at) on users from todo_eraser;
delete from api_tokens where user_id not in (select id from users);
alter table accounts
    add constraint accounts_user_id_fkey foreign key (user_id) references users (id);
alter table api_tokens
    add constraint api_tokens_user_id_fkey foreign key (user_id) references users (id);
drop function just_before;
alter function next_reminder(text[], date, timestamptz, text, timestamptz) stable;
""")
