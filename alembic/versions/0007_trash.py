"""What the worker needs to empty the trash of what is old

Revision ID: 0007
Revises: 0003
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0007"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    run_script("""
        create index tasks_trash_by_age on tasks (deleted_at) where deleted_at is not null;
        grant select (user_id, deleted_at) on tasks to todo_worker;
        create policy worker on tasks for select to todo_worker using (deleted_at is not null);
    """)


def downgrade() -> None:
    run_script("""
        drop policy worker on tasks;
        revoke select (user_id, deleted_at) on tasks from todo_worker;
        drop index tasks_trash_by_age;
    """)
