"""Passkeys, and the challenges that browsers are to sign

Revision ID: 0021
Revises: 0020
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

PASSKEYS = """
create table passkeys (
    user_id text not null,
    id text not null,
    credential_id bytea not null,
    public_key bytea not null,
    sign_count bigint not null,
    name text not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    primary key (user_id, id),
    constraint passkeys_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create unique index passkeys_by_credential on passkeys (credential_id);
alter table passkeys enable row level security;
alter table passkeys force row level security;
create policy auth on passkeys to todo_auth using (true) with check (true);
grant select, insert, update, delete on passkeys to todo_auth;
create policy eraser on passkeys to todo_eraser
    using (user_id = nullif(current_setting('app.user_id', true), ''));
grant select (user_id), delete on passkeys to todo_eraser;
"""
# They belong to a browser or a session, and live for five minutes.
CHALLENGES = """
create table passkey_challenges (
    challenge_hash bytea primary key,
    bound_hash bytea not null,
    expires_at timestamptz not null
);
create index passkey_challenges_by_end on passkey_challenges (expires_at);
alter table passkey_challenges enable row level security;
alter table passkey_challenges force row level security;
create policy auth on passkey_challenges to todo_auth using (true) with check (true);
grant select, insert, update, delete on passkey_challenges to todo_auth;
revoke all on passkey_challenges from todo_eraser;
"""


def upgrade() -> None:
    run_script(PASSKEYS + CHALLENGES)


def downgrade() -> None:
    run_script("drop table passkey_challenges; drop table passkeys;")
