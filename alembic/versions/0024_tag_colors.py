"""Colours of tags

Revision ID: 0024
Revises: 0023
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TAGS = """
create table tags (
    user_id text not null,
    id bigint generated always as identity,
    name text not null,
    color text not null,
    version bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (user_id, id),
    constraint tags_user_id_fkey foreign key (user_id) references users (id),
    constraint tags_name_check check (char_length(name) between 1 and 50),
    constraint tags_color_check check (color ~ '^#[0-9a-f]{6}$')
);
create unique index tags_name_key on tags (user_id, name) where deleted_at is null;
create index tags_trash_by_age on tags (deleted_at) where deleted_at is not null;
alter table tags enable row level security;
alter table tags force row level security;
create policy owner on tags
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
grant select, insert, update, delete on tags to todo_user;
"""
# The worker finds owners of old trash across users. It sees nothing else.
RIGHTS = """
grant select (user_id, deleted_at) on tags to todo_worker;
create policy worker on tags for select to todo_worker using (deleted_at is not null);
"""


def upgrade() -> None:
    run_script(TAGS + RIGHTS)


def downgrade() -> None:
    run_script("drop table tags;")
