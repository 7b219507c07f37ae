"""Projects inside of projects, and favourite ones

Revision ID: 0023
Revises: 0022
"""

from collections.abc import Sequence

from alembic import op
from app.db.migrations import run_script

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A constant default is not written to the rows. The key is validated without a lock that a write would wait for, and so
# is the index built: outside of a transaction, so that each command can be run again.
ADD_COLUMNS = """
begin;
set local lock_timeout = '10s';
alter table projects add column if not exists parent_id bigint;
alter table projects add column if not exists favorite boolean not null default false;
alter table projects drop constraint if exists projects_parent_id_fkey;
alter table projects add constraint projects_parent_id_fkey
    foreign key (user_id, parent_id) references projects (user_id, id) not valid;
commit;
"""
VALIDATE = "alter table projects validate constraint projects_parent_id_fkey;"
ADD_INDEX = """
drop index concurrently if exists projects_by_parent;
create index concurrently projects_by_parent on projects (user_id, parent_id, position, id)
    where parent_id is not null;
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run_script(ADD_COLUMNS)
        run_script(VALIDATE)
        run_script(ADD_INDEX)


def downgrade() -> None:
    run_script("alter table projects drop column parent_id, drop column favorite;")
