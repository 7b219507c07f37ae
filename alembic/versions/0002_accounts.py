"""Accounts, their sessions and tokens, accessible to a role of their own

Revision ID: 0002
Revises: 0001
"""

from collections.abc import Sequence

from app.db.migrations import roles_script, run_script

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Lookups by e-mail, token or IP address precede the lookup of the user, so these few indexes cannot begin with
# user_id. On a distributed PostgreSQL the tables of this file are reference tables: small, and joined with no other.
TABLES = """
create table accounts (
    user_id text primary key,
    email text not null,
    email_key text not null,
    name text not null default '',
    password_hash text,
    disabled_at timestamptz,
    created_at timestamptz not null default now(),
    constraint accounts_user_id_fkey foreign key (user_id) references users (id),
    constraint accounts_email_key_key unique (email_key)
);

create table sessions (
    user_id text not null,
    id text not null,
    user_agent text not null default '',
    address text not null default '',
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    idle_ends_at timestamptz not null,
    ends_at timestamptz not null,
    ended_at timestamptz,
    primary key (user_id, id),
    constraint sessions_user_id_fkey foreign key (user_id) references accounts (user_id)
);

create table refresh_tokens (
    user_id text not null,
    token_hash bytea not null,
    session_id text not null,
    parent_hash bytea,
    created_at timestamptz not null default now(),
    used_at timestamptz,
    primary key (user_id, token_hash),
    constraint refresh_tokens_session_fkey foreign key (user_id, session_id)
        references sessions (user_id, id) on delete cascade
);
create index refresh_tokens_by_hash on refresh_tokens (token_hash);
create index refresh_tokens_by_session on refresh_tokens (user_id, session_id);

create table api_tokens (
    user_id text not null,
    id bigint generated always as identity,
    name text not null,
    scope text not null,
    token_hash bytea not null,
    hint text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    primary key (user_id, id),
    constraint api_tokens_user_id_fkey foreign key (user_id) references users (id),
    constraint api_tokens_scope_check check (scope in ('read', 'write'))
);
create index api_tokens_by_hash on api_tokens (token_hash);

create table password_resets (
    user_id text not null,
    token_hash bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (user_id, token_hash),
    constraint password_resets_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create index password_resets_by_hash on password_resets (token_hash);

create table login_attempts (
    account bytea not null,
    address bytea not null,
    failures integer not null,
    admitted boolean not null,
    blocked_until timestamptz not null,
    last_at timestamptz not null,
    primary key (account, address)
);
create index login_attempts_by_last_at on login_attempts (last_at);
"""

# Row-level security is forced here also; the policies name the roles, so todo_user would see no rows even if granted.
ISOLATION = """
do $$
declare name text;
begin
    foreach name in array array['accounts', 'sessions', 'refresh_tokens', 'api_tokens', 'password_resets',
                                'login_attempts'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy auth on %I to todo_auth using (true) with check (true)', name);
        execute format('grant select, insert, update, delete on %I to todo_auth', name);
        if name <> 'login_attempts' then
            execute format('create policy eraser on %I to todo_eraser using (user_id = '
                           'nullif(current_setting(''app.user_id'', true), ''''))', name);
            execute format('grant select (user_id), delete on %I to todo_eraser', name);
        end if;
    end loop;
end $$;

create policy auth on users to todo_auth using (true) with check (true);
grant usage on schema public to todo_auth, todo_eraser;
grant select (id, timezone, created_at), insert (id, timezone), update (timezone) on users to todo_auth;
grant select (id), delete on users to todo_eraser;
grant select (user_id), delete on tasks, changes to todo_eraser;
-- Whatever table is added later, an account can still be deleted with every row it has.
alter default privileges in schema public grant select, delete on tables to todo_eraser;
"""


def upgrade() -> None:
    # todo_auth serves login and refresh, todo_eraser deletes all data of one user.
    run_script(roles_script("todo_auth", "todo_eraser") + TABLES + ISOLATION)


def downgrade() -> None:
    # The roles stay: other databases of the server may use them.
    run_script("""
        alter default privileges in schema public revoke select, delete on tables from todo_eraser;
        drop policy auth on users;
        revoke all on users, tasks, changes from todo_auth, todo_eraser;
        drop table login_attempts, password_resets, api_tokens, refresh_tokens, sessions, accounts;
    """)
