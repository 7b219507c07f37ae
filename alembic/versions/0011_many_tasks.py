"""Users with many tasks: indexes of those that are open, and what the planner is to expect

Revision ID: 0011
Revises: 0010
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# What is open is soon little beside what is done: a page of it is not to be looked for among all.
INDEXES = """
create index tasks_open on tasks (user_id, created_at, id) where deleted_at is null and not completed;
create index tasks_open_by_due on tasks (user_id, due_sort, id) where deleted_at is null and not completed;
"""
# A prepared statement has one plan for all users, made for one with as many rows as users have on the average: a dozen
# tasks. To read a dozen and sort them, any index will do, and so that plan reads all of those who have a million. One
# that expects thousands goes straight to the rows, and costs those who have a dozen nothing.
# Negative is a share of the rows: 0.0002 means 5,000 for each user, whatever the size of the table.
SHARES = {"tasks": -0.0002, "changes": -0.0002, "comments": -0.002}


def upgrade() -> None:
    run_script(INDEXES)
    for table, share in SHARES.items():
        run_script(f"alter table {table} alter column user_id set (n_distinct = {share}); analyze {table} (user_id);")


def downgrade() -> None:
    for table in SHARES:
        run_script(f"alter table {table} alter column user_id reset (n_distinct); analyze {table} (user_id);")
    run_script("drop index tasks_open, tasks_open_by_due;")
