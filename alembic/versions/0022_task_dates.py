"""When a task starts, its deadline, its estimate, and whether it is a favorite

Revision ID: 0022
Revises: 0021
"""

from collections.abc import Sequence

from alembic import op
from app.db.migrations import run_script

revision: str = "0022"
down_revision: str | None = "0021"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Outside of a transaction, so that each command can be run again: as in 0019 no row is rewritten, and no write waits
# for the validation of the checks or for the indexes.
ADD_COLUMNS = """
begin;
set local lock_timeout = '10s';
alter table tasks add column if not exists start_on date;
alter table tasks add column if not exists start_at timestamptz;
alter table tasks add column if not exists deadline date;
alter table tasks add column if not exists estimate_minutes integer;
alter table tasks add column if not exists favorite boolean not null default false;
alter table tasks drop constraint if exists tasks_start_check;
alter table tasks add constraint tasks_start_check check (start_on is null or start_at is null) not valid;
alter table tasks drop constraint if exists tasks_estimate_check;
alter table tasks add constraint tasks_estimate_check check (estimate_minutes between 1 and 525600) not valid;
commit;
"""
CHECKS = ("tasks_start_check", "tasks_estimate_check")
CREATE_INDEXES = """
drop index concurrently if exists tasks_open_by_deadline;
create index concurrently tasks_open_by_deadline on tasks (user_id, deadline, id)
    where deadline is not null and deleted_at is null and not completed and state <> 'cancelled';
drop index concurrently if exists tasks_favorites;
create index concurrently tasks_favorites on tasks (user_id, created_at, id) where favorite and deleted_at is null;
"""
COLUMNS = ("start_on", "start_at", "deadline", "estimate_minutes", "favorite")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run_script(ADD_COLUMNS)
        for name in CHECKS:
            run_script(f"alter table tasks validate constraint {name};")
        run_script(CREATE_INDEXES)


def downgrade() -> None:
    for name in COLUMNS:
        run_script(f"alter table tasks drop column {name};")  # with its checks and indexes
