"""Apps that users allow to act for them: their registrations, codes and grants

Revision ID: 0017
Revises: 0016
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A session with a client is a grant, and no login. Older code cannot create any. Next to newer code, for the minutes of
# a rolling update, it refuses tokens for /mcp, because it requires its own audience; one for the whole service, and a
# refresh token, it takes for those of a login.
GRANTS = """
alter table sessions
    add column client_id text, add column client_name text, add column scope text, add column resource text;
"""
# Clients belong to no user. The rights of the eraser come from default privileges.
CLIENTS = """
create table oauth_clients (
    client_id text primary key,
    name text not null,
    redirect_uris text[] not null,
    created_at timestamptz not null default now(),
    fetched_at timestamptz,
    used_at timestamptz
);
create index oauth_clients_unused on oauth_clients (created_at) where used_at is null;
alter table oauth_clients enable row level security;
alter table oauth_clients force row level security;
create policy auth on oauth_clients to todo_auth using (true) with check (true);
grant select, insert, update, delete on oauth_clients to todo_auth;
revoke all on oauth_clients from todo_eraser;
"""
CODES = """
create table oauth_codes (
    user_id text not null,
    code_hash bytea not null,
    client_id text not null,
    client_name text not null,
    redirect_uri text not null,
    scope text not null,
    resource text not null,
    challenge text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    session_id text,
    primary key (user_id, code_hash),
    constraint oauth_codes_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create index oauth_codes_by_hash on oauth_codes (code_hash);
alter table oauth_codes enable row level security;
alter table oauth_codes force row level security;
create policy auth on oauth_codes to todo_auth using (true) with check (true);
grant select, insert, update, delete on oauth_codes to todo_auth;
create policy eraser on oauth_codes to todo_eraser
    using (user_id = nullif(current_setting('app.user_id', true), ''));
grant select (user_id), delete on oauth_codes to todo_eraser;
"""


def upgrade() -> None:
    run_script(GRANTS + CLIENTS + CODES)


def downgrade() -> None:
    # Without their client, grants would be logins.
    run_script("""
drop table oauth_codes;
drop table oauth_clients;
delete from sessions where client_id is not null;
alter table sessions drop column client_id, drop column client_name, drop column scope, drop column resource;
""")
