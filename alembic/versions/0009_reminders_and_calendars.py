"""The time of the next reminder, and calendar feeds

Revision ID: 0009
Revises: 0008
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The earliest time after ``after`` among ``reminders``, for a task due on or at its date in ``zone``.
# A duration has its sign in front, with days and time of day in separate parts (app/models/task_reminders.py).
NEXT_REMINDER = """
create function next_reminder(reminders text[], due_on date, due_at timestamptz, zone text, after timestamptz)
returns timestamptz language sql stable set search_path = pg_catalog, pg_temp as $$
    select min(m.at)
    from unnest(reminders) r (text)
    cross join lateral (select case when r.text ~ 'P' then ltrim(r.text, '+-')::interval end as span,
                               case when r.text ~ '^-' then -1 else 1 end as sign) s
    cross join lateral (select make_interval(days => extract(day from s.span)::integer) as days) d
    cross join lateral (select case
        when s.span is null then r.text::timestamptz
        when due_on is not null then (due_on + s.sign * s.span) at time zone zone
        else ((due_at at time zone zone + s.sign * d.days) at time zone zone) + s.sign * (s.span - d.days)
    end as at) m
    where m.at > after
$$;
"""

CALENDAR_FEEDS = """
create table calendar_feeds (
    user_id text not null,
    id bigint generated always as identity,
    name text not null,
    token_hash bytea not null,
    created_at timestamptz not null default now(),
    primary key (user_id, id),
    constraint calendar_feeds_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);
alter table calendar_feeds enable row level security;
alter table calendar_feeds force row level security;
create policy owner on calendar_feeds
    using (user_id = nullif(current_setting('app.user_id', true), ''))
    with check (user_id = nullif(current_setting('app.user_id', true), ''));
grant select, insert, delete on calendar_feeds to todo_user;
"""


def upgrade() -> None:
    run_script(NEXT_REMINDER + CALENDAR_FEEDS)


def downgrade() -> None:
    run_script("drop table calendar_feeds; drop function next_reminder;")
