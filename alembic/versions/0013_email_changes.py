"""Confirmed e-mails, and changes of an e-mail that wait for their confirmation

Revision ID: 0013
Revises: 0012
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Null for the accounts that exist: nobody can tell which of them read their mail.
CONFIRMED = "alter table accounts add column email_confirmed_at timestamptz;"
EMAIL_CHANGES = """
create table email_changes (
    user_id text primary key,
    email text not null,
    token_hash bytea not null,
    expires_at timestamptz not null,
    constraint email_changes_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create index email_changes_by_hash on email_changes (token_hash);
alter table email_changes enable row level security;
alter table email_changes force row level security;
create policy auth on email_changes to todo_auth using (true) with check (true);
grant select, insert, update, delete on email_changes to todo_auth;
create policy eraser on email_changes to todo_eraser
    using (user_id = nullif(current_setting('app.user_id', true), ''));
grant select (user_id), delete on email_changes to todo_eraser;
"""


def upgrade() -> None:
    run_script(CONFIRMED + EMAIL_CHANGES)


def downgrade() -> None:
    run_script("drop table email_changes; alter table accounts drop column email_confirmed_at;")
