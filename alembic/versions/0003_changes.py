"""Sync, undo, idempotency keys and webhooks

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Sequence

from app.db.migrations import roles_script, run_script

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Finds users with due work, and deletes expired rows: the service's own role can only insert into ``changes``. It has
# no other rights except reading. Roles belong to the whole server.
ROLE = roles_script("todo_worker")

# prune_at is when the owner's oldest change or idempotency key expires: the worker checks an owner only then.
# An update of the revision does not change the indexed column, so it stays HOT.
TABLES = """
alter table users
    add column pruned_revision bigint not null default 0,
    add column prune_at timestamptz not null default now() + interval '1 day';
create index users_by_prune_at on users (prune_at);

alter table changes add column through text not null default 'api';

create table idempotency_keys (
    user_id text not null,
    key text not null,
    fingerprint bytea not null,
    status smallint not null,
    headers jsonb not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    primary key (user_id, key),
    constraint idempotency_keys_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);

create index idempotency_keys_by_age on idempotency_keys (user_id, created_at);

create table webhooks (
    user_id text not null,
    id bigint generated always as identity,
    url text not null,
    events text[] not null default '{}',
    secret text not null,
    previous_secret text,
    previous_secret_until timestamptz,
    after_revision bigint not null,
    after_entity text not null default '',
    after_entity_id bigint not null default 0,
    test_requested boolean not null default false,
    attempts integer not null default 0,
    failing_since timestamptz,
    next_attempt_at timestamptz not null default now(),
    leased_until timestamptz,
    lease uuid,
    disabled_at timestamptz,
    disabled_reason text,
    created_at timestamptz not null default now(),
    primary key (user_id, id),
    constraint webhooks_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint webhooks_disabled_check check ((disabled_at is null) = (disabled_reason is null))
);

create table webhook_deliveries (
    user_id text not null,
    id bigint generated always as identity,
    webhook_id bigint not null,
    message_id text not null,
    event text not null,
    attempt integer not null,
    status smallint,
    error text,
    latency_ms integer not null,
    at timestamptz not null default now(),
    primary key (user_id, id),
    constraint webhook_deliveries_webhook_fkey foreign key (user_id, webhook_id)
        references webhooks (user_id, id) on delete cascade
);
create index webhook_deliveries_by_webhook on webhook_deliveries (user_id, webhook_id, id);
"""

OWNED = ("idempotency_keys", "webhooks", "webhook_deliveries")
ISOLATION = "".join(
    f"""
alter table {table} enable row level security;
alter table {table} force row level security;
create policy owner on {table}
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
grant select, insert, update, delete on {table} to todo_user;
"""
    for table in OWNED
)
RIGHTS = """
grant usage on schema public to todo_worker;
grant select (id, revision, pruned_revision, prune_at) on users to todo_worker;
grant select (user_id, id, after_revision, test_requested, next_attempt_at, leased_until, disabled_at)
    on webhooks to todo_worker;
grant update (pruned_revision, prune_at) on users to todo_worker;
grant select (user_id, revision, at), delete on changes to todo_worker;
grant select (user_id, created_at), delete on idempotency_keys to todo_worker;
create policy old on changes as restrictive for delete to todo_worker using (at < now() - interval '1 day');
create policy worker on users for select to todo_worker using (true);
create policy worker on webhooks for select to todo_worker using (true);
"""


def upgrade() -> None:
    run_script(ROLE + TABLES + ISOLATION + RIGHTS)


def downgrade() -> None:
    run_script("""
drop policy worker on users;
drop policy old on changes;
revoke all on users, changes from todo_worker;
revoke all on schema public from todo_worker;
drop table webhook_deliveries, webhooks, idempotency_keys;
alter table changes drop column through;
alter table users drop column prune_at, drop column pruned_revision;
""")
