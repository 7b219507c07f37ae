"""Rights and an index for the worker to purge old trash

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    run_script("""
        create index tasks_trash_by_age on tasks (deleted_at) where deleted_at is not null;
        grant select (deleted_at) on tasks to todo_worker;
        alter policy worker on tasks using (remind_at is not null or deleted_at is not null);
    """)


def downgrade() -> None:
    run_script("""
        alter policy worker on tasks using (true);
        revoke select (deleted_at) on tasks from todo_worker;
        drop index tasks_trash_by_age;
    """)
