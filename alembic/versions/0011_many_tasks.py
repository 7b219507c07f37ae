"""Users with many tasks: indexes of open tasks, and statistics for the planner

Revision ID: 0011
Revises: 0010
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Open tasks are soon few compared to completed ones: a page of them must not scan all tasks.
INDEXES = """
create index tasks_open on tasks (user_id, created_at, id) where deleted_at is null and not completed;
create index tasks_open_by_due on tasks (user_id, due_sort, id) where deleted_at is null and not completed;
"""
# A prepared statement has one plan for all users, made for the average number of rows per user: a dozen tasks. For a
# dozen any index plus a sort is good enough, and with a million that plan reads them all. A plan for thousands of rows
# uses the index in order, and costs a user with a dozen nothing.
# A negative value is a share of the rows: 0.0002 means 5,000 for each user, at any size of the table.
SHARES = {"tasks": -0.0002, "changes": -0.0002, "comments": -0.002}


def upgrade() -> None:
    run_script(INDEXES)
    for table, share in SHARES.items():
        run_script(f"alter table {table} alter column user_id set (n_distinct = {share}); analyze {table} (user_id);")


def downgrade() -> None:
    for table in SHARES:
        run_script(f"alter table {table} alter column user_id reset (n_distinct); analyze {table} (user_id);")
    run_script("drop index tasks_open, tasks_open_by_due;")
