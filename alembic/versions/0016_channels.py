"""Channels: the ways in which reminders reach a person, their secrets, and what is to be sent

Revision ID: 0016
Revises: 0015
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The next moment after ``after`` at which it is ``digest_time`` in ``zone`` on one of ``digest_days``. A time that the
# clocks skip is as much later as they do; one that they repeat comes once. Immutable, which a distributed database
# requires: it depends on no setting, since ``digest_time`` is HH:MM.
NEXT_DIGEST = """
create or replace function next_digest(digest_time text, digest_days text[], zone text, after timestamptz)
returns timestamptz language sql immutable set search_path = pg_catalog, pg_temp as $$
    select min(m.at)
    from generate_series(-1, 8) n (days)
    cross join lateral (select (after at time zone zone)::date + n.days as day) d
    cross join lateral (select (d.day + digest_time::time) at time zone zone as at) m
    where ('{mon,tue,wed,thu,fri,sat,sun}'::text[])[extract(isodow from d.day)] = any(digest_days) and m.at > after
$$;
"""
TABLES = """
create table channels (
    user_id text not null,
    id bigint generated always as identity,
    kind text not null,
    name text not null,
    url text,
    topic text,
    secrets text[] not null default '{}',
    active boolean not null default true,
    disabled_reason text,
    all_reminders boolean not null default true,
    quiet_from text,
    quiet_to text,
    digest_time text,
    digest_days text[] not null default '{mon,tue,wed,thu,fri,sat,sun}',
    next_digest_at timestamptz,
    version bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (user_id, id),
    constraint channels_user_id_fkey foreign key (user_id) references users (id),
    constraint channels_kind_check check (kind in ('webpush', 'ntfy', 'gotify', 'apprise', 'mail')),
    constraint channels_name_check check (char_length(name) between 1 and 100),
    constraint channels_active_check check (active = (disabled_reason is null)),
    constraint channels_quiet_check check ((quiet_from is null) = (quiet_to is null))
);
create unique index channels_name_key on channels (user_id, name) where deleted_at is null;
create index channels_trash_by_age on channels (deleted_at) where deleted_at is not null;
create index channels_by_next_digest_at on channels (next_digest_at) where next_digest_at is not null;

create table channel_secrets (
    user_id text not null,
    channel_id bigint not null,
    secrets jsonb not null,
    primary key (user_id, channel_id),
    constraint channel_secrets_channel_fkey foreign key (user_id, channel_id)
        references channels (user_id, id) on delete cascade
);

create table deliveries (
    user_id text not null,
    id bigint generated always as identity,
    channel_id bigint not null,
    target text not null,
    kind text not null,
    revision bigint,
    task_id bigint,
    day date,
    due_at timestamptz not null,
    not_before timestamptz not null default now(),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    leased_until timestamptz,
    lease uuid,
    outcome text,
    status smallint,
    error text,
    latency_ms integer,
    created_at timestamptz not null default now(),
    attempted_at timestamptz,
    primary key (user_id, id),
    constraint deliveries_channel_fkey foreign key (user_id, channel_id)
        references channels (user_id, id) on delete cascade,
    constraint deliveries_kind_check check (kind in ('reminder', 'digest', 'test')),
    constraint deliveries_outcome_check check (outcome in ('delivered', 'failed', 'skipped'))
);
create unique index deliveries_reminder_key on deliveries (user_id, channel_id, revision, task_id)
    where kind = 'reminder';
create unique index deliveries_digest_key on deliveries (user_id, channel_id, day) where kind = 'digest';
create index deliveries_by_channel on deliveries (user_id, channel_id, id);
create index deliveries_pending on deliveries (user_id, channel_id, next_attempt_at, id) where outcome is null;
create index deliveries_by_next_attempt_at on deliveries (next_attempt_at) where outcome is null;
"""
ISOLATION = "".join(
    f"""
alter table {table} enable row level security;
alter table {table} force row level security;
create policy owner on {table}
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
"""
    for table in ("channels", "channel_secrets", "deliveries")
)
# The worker finds owners across users: of old trash, of digests and deliveries that are due. It sees nothing else.
RIGHTS = """
grant select, insert, update, delete on channels, deliveries to todo_user;
grant select, insert, update on channel_secrets to todo_user;
grant select (user_id, id, deleted_at, next_digest_at) on channels to todo_worker;
create policy worker on channels for select to todo_worker
    using (deleted_at is not null or next_digest_at is not null);
grant select (user_id, channel_id, target, next_attempt_at, leased_until, outcome, created_at), delete
    on deliveries to todo_worker;
create policy worker on deliveries for select to todo_worker using (outcome is null);
"""
TASKS = """
set local lock_timeout = '10s';
alter table tasks add column remind_channels bigint[];
"""


def upgrade() -> None:
    run_script(NEXT_DIGEST + TABLES + ISOLATION + RIGHTS + TASKS)


def downgrade() -> None:
    run_script("""
        alter table tasks drop column remind_channels;
        drop table deliveries, channel_secrets, channels;
        drop function next_digest;
    """)
