"""Projects, subtasks, order, recurrence, reminders, comments, saved views

Revision ID: 0004
Revises: 0003
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = """
create table projects (
    user_id text not null,
    id bigint generated always as identity,
    name text not null,
    color text,
    moved_to text collate "C",
    position text collate "C" generated always as
        (coalesce(moved_to, chr(96 + length(to_hex(id))) || to_hex(id) || 'i')) stored,
    archived_at timestamptz,
    source_id text,
    version bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (user_id, id),
    constraint projects_user_id_fkey foreign key (user_id) references users (id),
    constraint projects_name_check check (char_length(name) between 1 and 100),
    constraint projects_color_check check (color ~ '^#[0-9a-f]{6}$')
);
create index projects_by_position on projects (user_id, position, id);
create unique index projects_name_key on projects (user_id, lower(name)) where deleted_at is null;
create unique index projects_by_source_id on projects (user_id, source_id) where source_id is not null;

alter table tasks
    add column project_id bigint,
    add column parent_id bigint,
    add column moved_to text collate "C",
    add column position text collate "C" generated always as
        (coalesce(moved_to, chr(96 + length(to_hex(id))) || to_hex(id) || 'i')) stored,
    add column recurrence text,
    add column recurrence_from text not null default 'due',
    add column series_id bigint,
    add column occurrences_done integer not null default 0,
    add column anchor_on date,
    add column anchor_at timestamptz,
    add column reminders text[] not null default '{}',
    add column remind_at timestamptz,
    add column source_id text,
    add constraint tasks_project_id_fkey foreign key (user_id, project_id) references projects (user_id, id),
    add constraint tasks_parent_id_fkey foreign key (user_id, parent_id) references tasks (user_id, id),
    add constraint tasks_series_id_fkey foreign key (user_id, series_id) references tasks (user_id, id),
    add constraint tasks_recurrence_check check (recurrence is null or num_nonnulls(due_on, due_at) = 1),
    add constraint tasks_recurrence_from_check check (recurrence_from in ('due', 'completion'));
create index tasks_by_position on tasks (user_id, position, id);
create index tasks_by_project on tasks (user_id, project_id, position, id);
create index tasks_by_parent on tasks (user_id, parent_id, position, id) where parent_id is not null;
create index tasks_by_series on tasks (user_id, series_id, id) where series_id is not null;
create index tasks_by_remind_at on tasks (remind_at) where remind_at is not null;
create unique index tasks_by_source_id on tasks (user_id, source_id) where source_id is not null;

create table comments (
    user_id text not null,
    id bigint generated always as identity,
    task_id bigint not null,
    body text not null,
    source_id text,
    version bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (user_id, id),
    constraint comments_task_id_fkey foreign key (user_id, task_id) references tasks (user_id, id) on delete cascade,
    constraint comments_body_check check (char_length(body) between 1 and 5000)
);
create index comments_by_task on comments (user_id, task_id, id);
create unique index comments_by_source_id on comments (user_id, source_id) where source_id is not null;

create table views (
    user_id text not null,
    id bigint generated always as identity,
    name text not null,
    parameters jsonb not null,
    version bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (user_id, id),
    constraint views_user_id_fkey foreign key (user_id) references users (id),
    constraint views_name_check check (char_length(name) between 1 and 100)
);
create unique index views_name_key on views (user_id, name) where deleted_at is null;
"""

ISOLATION = "".join(
    f"""
alter table {table} enable row level security;
alter table {table} force row level security;
create policy owner on {table}
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
grant select, insert, update, delete on {table} to todo_user;
"""
    for table in ("projects", "comments", "views")
)
# The worker finds users with due reminders.
RIGHTS = """
grant select (user_id, id, remind_at) on tasks to todo_worker;
create policy worker on tasks for select to todo_worker using (true);
"""


def upgrade() -> None:
    run_script(TABLES + ISOLATION + RIGHTS)


def downgrade() -> None:
    run_script("""
drop policy worker on tasks;
revoke select (user_id, id, remind_at) on tasks from todo_worker;
drop table views;
drop table comments;
alter table tasks
    drop column project_id, drop column parent_id, drop column position, drop column moved_to, drop column recurrence,
    drop column recurrence_from, drop column series_id, drop column occurrences_done, drop column anchor_on,
    drop column anchor_at, drop column reminders, drop column remind_at, drop column source_id;
drop table projects;
""")
