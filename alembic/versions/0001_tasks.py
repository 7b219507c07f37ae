"""Users, tasks and their changes, isolated by row-level security

Revision ID: 0001
Revises:
"""

from collections.abc import Sequence

from app.db.migrations import roles_script, run_script

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = """
create table users (
    id text primary key,
    revision bigint not null default 0,
    timezone text not null default 'UTC',
    created_at timestamptz not null default now()
);

create table tasks (
    user_id text not null,
    id bigint generated always as identity,
    title text not null,
    description text,
    completed boolean not null default false,
    completed_at timestamptz,
    priority text not null default 'medium',
    due_on date,
    due_at timestamptz,
    due_sort timestamptz generated always as
        (coalesce(due_at, (due_on)::timestamp without time zone at time zone 'UTC', 'infinity'::timestamptz)) stored,
    completed_sort timestamptz generated always as (coalesce(completed_at, 'infinity'::timestamptz)) stored,
    priority_sort integer generated always as
        (array_position(array['none','low','medium','high','urgent'], priority)) stored,
    title_sort text generated always as (lower(title)) stored,
    tags text[] not null default '{}',
    version bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (user_id, id),
    constraint tasks_user_id_fkey foreign key (user_id) references users (id),
    constraint tasks_title_check check (char_length(title) between 1 and 200),
    constraint tasks_completed_check check (completed = (completed_at is not null)),
    constraint tasks_priority_check check (priority in ('none', 'low', 'medium', 'high', 'urgent')),
    constraint tasks_due_check check (due_on is null or due_at is null),
    constraint tasks_tags_check check (cardinality(tags) <= 20)
);
create index tasks_by_created_at on tasks (user_id, created_at, id) where deleted_at is null;
create index tasks_by_updated_at on tasks (user_id, updated_at, id) where deleted_at is null;
create index tasks_by_due on tasks (user_id, due_sort, id) where deleted_at is null;
create index tasks_by_completed_at on tasks (user_id, completed_sort, id) where deleted_at is null;
create index tasks_by_priority on tasks (user_id, priority_sort, id) where deleted_at is null;
create index tasks_by_title on tasks (user_id, title_sort, id) where deleted_at is null;
create index tasks_trash on tasks (user_id, deleted_at, id) where deleted_at is not null;

create table changes (
    user_id text not null,
    revision bigint not null,
    entity text not null,
    entity_id bigint not null,
    action text not null,
    data jsonb not null,
    at timestamptz not null default now(),
    primary key (user_id, revision, entity, entity_id)
);
create index changes_by_entity on changes (user_id, entity, entity_id, revision);
"""

# After a transaction the setting is '', not NULL: nullif makes both mean "no user".
ISOLATION = """
alter table users enable row level security;
alter table users force row level security;
create policy owner on users
    using (id = nullif(current_setting('app.user_id', true), ''))
    with check (id = nullif(current_setting('app.user_id', true), ''));
alter table tasks enable row level security;
alter table tasks force row level security;
create policy owner on tasks
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
alter table changes enable row level security;
alter table changes force row level security;
create policy owner on changes
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));

grant usage on schema public to todo_user;
grant select, insert, update on users to todo_user;
grant select, insert, update, delete on tasks to todo_user;
grant select, insert on changes to todo_user;
grant select on alembic_version to todo_user;
"""


def upgrade() -> None:
    run_script(roles_script("todo_user") + TABLES + ISOLATION)


def downgrade() -> None:
    # The role stays: other databases of the server may use it.
    run_script("drop table changes; drop table tasks; drop table users;")
