"""Rights and indexes for the worker to purge old projects, comments and views

Revision ID: 0010
Revises: 0009
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("projects", "comments", "views")


def upgrade() -> None:
    run_script("create index comments_trash on comments (user_id, deleted_at, id) where deleted_at is not null")
    for table in TABLES:
        run_script(f"""
            create index {table}_trash_by_age on {table} (deleted_at) where deleted_at is not null;
            grant select (user_id, deleted_at) on {table} to todo_worker;
            create policy worker on {table} for select to todo_worker using (deleted_at is not null);
        """)


def downgrade() -> None:
    for table in TABLES:
        run_script(f"""
            drop policy worker on {table};
            revoke select (user_id, deleted_at) on {table} from todo_worker;
            drop index {table}_trash_by_age;
        """)  # noqa: S608 - constants
    run_script("drop index comments_trash")
