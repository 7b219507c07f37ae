"""Rate limits that all processes share

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Unlogged: a count writes no WAL, and after a crash every user has a full quota again.
# The key is a hash of user and limit, so it cannot begin with user_id. fillfactor leaves room for HOT updates.
TABLE = """
create unlogged table rate_limits (
    key bytea primary key,
    full_at timestamptz not null,
    admitted boolean not null
) with (fillfactor = 50);
alter table rate_limits enable row level security;
alter table rate_limits force row level security;
create policy auth on rate_limits to todo_auth using (true) with check (true);
grant select, insert, update, delete on rate_limits to todo_auth;
revoke all on rate_limits from todo_eraser;  -- which by default may delete from every table
"""


def upgrade() -> None:
    run_script(TABLE)


def downgrade() -> None:
    run_script("drop table rate_limits")
