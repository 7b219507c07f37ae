"""Indexes that hold what requests about many tasks of one user read of each: they need no row of the table

Revision ID: 0026
Revises: 0025
"""

from collections.abc import Sequence

from alembic import op
from app.db.migrations import run_script

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# An entry may have 2,704 bytes. These have at most 2,400, of which five tags can be 1,064.
HAS_SHORT_TEXT = "octet_length(user_id) <= 255 and octet_length(search_text) <= 1000 and cardinality(tags) <= 5"
HAS_LONG_TEXT = "(octet_length(user_id) > 255 or octet_length(search_text) > 1000 or cardinality(tags) > 5)"
OPEN = "deleted_at is null and not completed and state <> 'cancelled'"
NEW_INDEXES = {
    "tasks_by_text": f"(user_id, created_at, id) include (project_id, completed, state, tags, search_text)"
    f" where deleted_at is null and {HAS_SHORT_TEXT}",
    "tasks_by_long_text": f"(user_id, created_at, id) where deleted_at is null and {HAS_LONG_TEXT}",
}
WIDER_INDEXES = {
    "tasks_by_project": "(user_id, project_id, position, id)"
    " include (deleted_at, created_at, updated_at, due_sort, completed_sort, priority_sort)",
    "tasks_by_due": "(user_id, due_sort, id) include (created_at, due_on, due_at) where deleted_at is null",
    "tasks_open": f"(user_id, created_at, id) include (due_on, due_at, deadline, estimate_minutes) where {OPEN}",
}
NARROW_INDEXES = {
    "tasks_by_project": "(user_id, project_id, position, id)",
    "tasks_by_due": "(user_id, due_sort, id) where deleted_at is null",
    "tasks_open": f"(user_id, created_at, id) where {OPEN}",
}


def upgrade() -> None:
    # Outside of a transaction: no write waits, and a migration that was interrupted can be run again.
    with op.get_context().autocommit_block():
        for name, columns in NEW_INDEXES.items():
            run_script(f"""
                drop index concurrently if exists {name};
                create index concurrently {name} on tasks {columns};""")
        _replace_indexes(WIDER_INDEXES)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _replace_indexes(NARROW_INDEXES)
        for name in NEW_INDEXES:
            run_script(f"drop index concurrently {name};")


def _replace_indexes(definitions: dict[str, str]) -> None:
    """Makes each index under another name first: requests of processes that are running use the old one until then."""
    for name, columns in definitions.items():
        run_script(f"""
            drop index concurrently if exists {name}_next;
            create index concurrently {name}_next on tasks {columns};
            drop index concurrently if exists {name};
            alter index {name}_next rename to {name};""")
