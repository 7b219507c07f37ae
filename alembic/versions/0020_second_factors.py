"""Second factors: secrets of authenticator apps, recovery codes, and logins that wait for a factor

Revision ID: 0020
Revises: 0019
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Older code starts sessions without it: they have proved no factor.
SESSIONS = "alter table sessions add column second_factor_at timestamptz;"
TABLES = """
create table totp_secrets (
    user_id text primary key,
    secret bytea not null,
    created_at timestamptz not null default now(),
    confirmed_at timestamptz,
    last_used_at timestamptz,
    last_step bigint,
    constraint totp_secrets_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create table recovery_codes (
    user_id text not null,
    code_hash bytea not null,
    created_at timestamptz not null default now(),
    used_at timestamptz,
    primary key (user_id, code_hash),
    constraint recovery_codes_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create table login_challenges (
    user_id text not null,
    challenge_hash bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (user_id, challenge_hash),
    constraint login_challenges_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create index login_challenges_by_hash on login_challenges (challenge_hash);
"""
ISOLATION = "".join(
    f"""
alter table {table} enable row level security;
alter table {table} force row level security;
create policy auth on {table} to todo_auth using (true) with check (true);
grant select, insert, update, delete on {table} to todo_auth;
create policy eraser on {table} to todo_eraser
    using (user_id = nullif(current_setting('app.user_id', true), ''));
grant select (user_id), delete on {table} to todo_eraser;
"""
    for table in ("totp_secrets", "recovery_codes", "login_challenges")
)


def upgrade() -> None:
    run_script(SESSIONS + TABLES + ISOLATION)


def downgrade() -> None:
    run_script("""
drop table login_challenges;
drop table recovery_codes;
drop table totp_secrets;
alter table sessions drop column second_factor_at;
""")
