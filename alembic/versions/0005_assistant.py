"""Conversations with the assistant, writes of agents, and tokens used per day

Revision ID: 0005
Revises: 0004
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = """
create table conversations (
    user_id text not null,
    id bigint generated always as identity,
    title text not null,
    version bigint not null,
    created_at timestamptz not null default now(),
    primary key (user_id, id),
    constraint conversations_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);

create table messages (
    user_id text not null,
    id bigint generated always as identity,
    conversation_id bigint not null,
    role text not null,
    content text not null,
    tool_calls jsonb not null default '[]',
    version bigint not null,
    created_at timestamptz not null default now(),
    primary key (user_id, id),
    constraint messages_conversation_fkey foreign key (user_id, conversation_id)
        references conversations (user_id, id) on delete cascade,
    constraint messages_role_check check (role in ('user', 'assistant'))
);
create index messages_by_conversation on messages (user_id, conversation_id, id);

create table agent_writes (
    user_id text not null,
    source text not null,
    revision bigint not null,
    primary key (user_id, source, revision),
    constraint agent_writes_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);

create table token_use (
    user_id text not null,
    day date not null,
    tokens bigint not null,
    primary key (user_id, day),
    constraint token_use_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);
"""

OWNED = ("conversations", "messages", "agent_writes", "token_use")
ISOLATION = "".join(
    f"""
alter table {table} enable row level security;
alter table {table} force row level security;
create policy owner on {table}
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
grant select, insert, delete on {table} to todo_user;
"""
    for table in OWNED
)
# Messages are never updated; only the tokens of a day are.
RIGHTS = "grant update on token_use to todo_user;"


def upgrade() -> None:
    run_script(TABLES + ISOLATION + RIGHTS)


def downgrade() -> None:
    run_script("drop table token_use, agent_writes, messages, conversations;")
