"""What calendar apps know of a task: its name in their collection, what they sent, the parent that is still to come

Revision ID: 0025
Revises: 0024
"""

from collections.abc import Sequence

from alembic import op
from app.db.migrations import run_script

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Outside of a transaction, so that each command can be run again: as in 0022 no row is rewritten, and no write waits
# for the indexes.
ADD_COLUMNS = """
begin;
set local lock_timeout = '10s';
alter table tasks add column if not exists dav_name text collate "C";
alter table tasks add column if not exists ical jsonb;
alter table tasks add column if not exists parent_wanted text collate "C";
commit;
"""
CREATE_INDEXES = """
drop index concurrently if exists tasks_dav_name_key;
create unique index concurrently tasks_dav_name_key on tasks (user_id, dav_name)
    where dav_name is not null and deleted_at is null;
drop index concurrently if exists tasks_by_parent_wanted;
create index concurrently tasks_by_parent_wanted on tasks (user_id, parent_wanted, id)
    where parent_wanted is not null;
"""
COLUMNS = ("dav_name", "ical", "parent_wanted")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run_script(ADD_COLUMNS)
        run_script(CREATE_INDEXES)


def downgrade() -> None:
    for name in COLUMNS:
        run_script(f"alter table tasks drop column {name};")  # with its index
