"""The state of a task beside ``completed``: pending, in progress, waiting, cancelled

Revision ID: 0019
Revises: 0018
"""

from collections.abc import Sequence

from alembic import op
from app.db.migrations import run_script

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A constant default is not written to the rows. The check is validated without a lock that a write would wait for, and
# so are the indexes built: outside of a transaction, so that each command can be run again.
ADD_COLUMN = """
begin;
set local lock_timeout = '10s';
alter table tasks add column if not exists state text not null default 'pending';
alter table tasks drop constraint if exists tasks_state_check;
alter table tasks add constraint tasks_state_check
    check (state in ('pending', 'in_progress', 'waiting', 'cancelled')) not valid;
commit;
"""
VALIDATE = "alter table tasks validate constraint tasks_state_check;"
OPEN_INDEXES = {"tasks_open": "user_id, created_at, id", "tasks_open_by_due": "user_id, due_sort, id"}
REPLACE_INDEX = """
drop index concurrently if exists {name}_next;
create index concurrently {name}_next on tasks ({columns})
    where deleted_at is null and not completed and state <> 'cancelled';
drop index concurrently if exists {name};
alter index {name}_next rename to {name};
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run_script(ADD_COLUMN)
        run_script(VALIDATE)
        for name, columns in OPEN_INDEXES.items():
            run_script(REPLACE_INDEX.format(name=name, columns=columns))


def downgrade() -> None:
    run_script("alter table tasks drop column state;")  # with the indexes
    for name, columns in OPEN_INDEXES.items():
        run_script(f"create index {name} on tasks ({columns}) where deleted_at is null and not completed;")
