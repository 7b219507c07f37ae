"""Numbers over all tasks of an owner, by the calendar of their time zone."""

from typing import Any

from sqlalchemy import BigInteger, Date, Integer, Text, bindparam, cast, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import CURRENT_REVISION, OWNER, OWNER_TIMEZONE
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.tasks import LATE_CONDITION, OPEN_CONDITION, TASKS, is_open
from app.schemas.stats import StatsRead
from app.services.changes.revisions import get_initial_revision
from app.services.tasks.counts import TaskCounts, count_tasks

GROUPS_MAX = 100  # projects and tags, those with the most tasks
STATS_CLOCK = """
with recursive zone as (
    select coalesce((select timezone from users where id = :owner), 'UTC') as name
), clock as materialized (
    select name, today, timezone(name, cast(today as timestamp)) as today_begins,
           timezone(name, cast(today + 1 as timestamp)) as today_ends,
           timezone(name, date_trunc('week', cast(today - :days + 1 as timestamp))) as weeks_begin
    from (select name, cast(timezone(name, now()) as date) as today from zone) now
)"""
DUE_TODAY = "(due_on = today or (due_at >= today_begins and due_at < today_ends))"
# Of few tasks all counts are made of one scan.
FEW_TASKS = f""", mine as materialized (
    select cast(case when completed then timezone(name, completed_at) end as date) as "on",
           completed, {OPEN_CONDITION} as open, project_id, tags,
           {OPEN_CONDITION} and {LATE_CONDITION} as overdue,
           case when {OPEN_CONDITION} then estimate_minutes end as minutes,
           {OPEN_CONDITION} and {DUE_TODAY} as due_today
    from tasks, clock where user_id = :owner and deleted_at is null
), counted as materialized (
    select "on", project_id, tags, completed, open, count(*) as n, count(*) filter (where overdue) as overdue,
           count(*) filter (where due_today) as due_today, sum(minutes) as minutes
    from mine group by 1, 2, 3, 4, 5
), sums as (
    select sum(n) filter (where open) as open, sum(n) filter (where completed) as completed, sum(n) as live,
           sum(overdue) as overdue, sum(due_today) as due_today, sum(minutes) as minutes
    from counted
), done as materialized (
    select "on", sum(n) as done from counted where completed group by 1
), days as (
    select "on" from done
), groups as (
    select project_id, coalesce(sum(n) filter (where open), 0) as open,
           coalesce(sum(n) filter (where completed), 0) as done
    from counted group by project_id
), labels as (
    select tag as name, coalesce(sum(n) filter (where open), 0) as open,
           coalesce(sum(n) filter (where completed), 0) as done
    from counted, unnest(tags) tag group by tag order by sum(n) desc, tag limit {GROUPS_MAX}
)"""  # noqa: S608 - constants
# Of many tasks ``count_tasks`` knows the projects and tags. Open ones are read in tasks_open; of completed ones those
# of the weeks that are asked for, and for the streak the first of each day.
COMPLETED_TASKS = "user_id = :owner and deleted_at is null and completed_sort < 'infinity'"
MANY_TASKS = f""", sums as (
    select cast(:open as bigint) as open, cast(:completed as bigint) as completed, cast(:live as bigint) as live,
           count(*) filter (where {LATE_CONDITION}) as overdue, count(*) filter (where {DUE_TODAY}) as due_today,
           sum(estimate_minutes) as minutes
    from tasks, clock where user_id = :owner and deleted_at is null and {OPEN_CONDITION}
), done as materialized (
    select cast(timezone(name, completed_sort) as date) as "on", count(*) as done from tasks, clock
    where {COMPLETED_TASKS} and completed_sort >= (select weeks_begin from clock) group by 1
), days as (
    select cast(timezone(name, moment) as date) as "on", moment
    from clock, (
        select completed_sort as moment from tasks where {COMPLETED_TASKS} order by completed_sort limit 1) first
    union all
    select cast(timezone(name, later.moment) as date), later.moment from days, clock, lateral (
        select completed_sort as moment from tasks where {COMPLETED_TASKS} and completed_sort >= greatest(
            timezone(name, cast(days."on" + 1 as timestamp)), days.moment + interval '1 microsecond')
        order by completed_sort limit 1) later
), groups as (
    select * from unnest(:projects, :project_opens, :project_dones) as given (project_id, open, done)
), labels as (
    select name, open, done from unnest(:tags, :tag_lives, :tag_opens, :tag_dones) as given (name, live, open, done)
    order by live desc, name limit {GROUPS_MAX}
)"""  # noqa: S608 - constants
STATS_RESULT = f""", runs as (
    select count(*) as length, max("on") as until from (
        select "on", "on" - cast(row_number() over (order by "on") as integer) as run
        from (select distinct "on" from days) each) days group by run
), weeks as (
    select cast(generate_series(date_trunc('week', today - :days + 1), today, interval '7 days') as date) as "on"
    from clock
)
select name as timezone, today,
    (select jsonb_build_object(
        'open', coalesce(open, 0), 'completed', coalesce(completed, 0),
        'cancelled', coalesce(live, 0) - coalesce(open, 0) - coalesce(completed, 0),
        'overdue', coalesce(overdue, 0), 'due_today', coalesce(due_today, 0),
        'estimate_minutes', coalesce(minutes, 0),
        'trash', (select count(*) from tasks where user_id = :owner and deleted_at is not null))
     from sums) as totals,
    (select jsonb_agg(jsonb_build_object('on', today - n, 'done', coalesce(done, 0)) order by n desc)
     from generate_series(0, :days - 1) n left join done on "on" = today - n) as per_day,
    (select jsonb_agg(jsonb_build_object('on', weeks."on", 'done', (
        select coalesce(sum(done), 0) from done where done."on" between weeks."on" and weeks."on" + 6))
        order by weeks."on") from weeks) as per_week,
    jsonb_build_object(
        'current', coalesce((select length from runs where until >= today - 1 order by until limit 1), 0),
        'longest', coalesce((select max(length) from runs), 0)) as streak,
    (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from (
        select project_id, p.name, open, done from groups
        left join projects p on p.user_id = :owner and p.id = project_id
        order by open + done desc, project_id limit {GROUPS_MAX}) g) as projects,
    (select coalesce(jsonb_agg(to_jsonb(labels)), '[]') from labels) as tags
from clock"""  # noqa: S608 - constants
_days = bindparam("days", type_=Integer)
SELECT_STATS = CompiledStatement(text(STATS_CLOCK + FEW_TASKS + STATS_RESULT).bindparams(_days))
_numbers = ("projects", "project_opens", "project_dones", "tag_lives", "tag_opens", "tag_dones")
SELECT_MANY_STATS = CompiledStatement(
    text(STATS_CLOCK + MANY_TASKS + STATS_RESULT).bindparams(
        _days,
        bindparam("tags", type_=ARRAY(Text)),
        *(bindparam(name, type_=ARRAY(BigInteger)) for name in _numbers),
        *(bindparam(name, type_=BigInteger) for name in ("open", "completed", "live")),
    )
)
STATS_FIELDS = tuple(StatsRead.model_fields)
# What the statistics depend on besides the revision: the zone, its day, and the latest due date that has passed. While
# that is the same no task has become overdue. All are lookups in an index.
_passed = (
    select(func.max(TASKS.c.due_sort))
    .where(TASKS.c.user_id == OWNER, TASKS.c.deleted_at.is_(None), is_open(), TASKS.c.due_sort < func.now())
    .scalar_subquery()
)
_today = cast(func.timezone(OWNER_TIMEZONE, func.now()), Date)
_moment = func.concat_ws(literal_column("' '"), OWNER_TIMEZONE, _today, _passed, type_=Text)
SELECT_STATS_STATE = CompiledStatement(select(CURRENT_REVISION, _moment))


async def get_stats_state(session: Session, owner: str) -> tuple[int, str]:
    """Returns the owner's revision, and a text that changes when the clock or the time zone changes the statistics."""
    revision, moment = (await session.exec(SELECT_STATS_STATE, {"owner": owner})).one()
    return await get_initial_revision(session, owner) if revision is None else revision, moment


async def get_stats(session: Session, owner: str, *, days: int) -> dict[str, Any]:
    """Returns the fields of StatsRead; ``per_day`` has ``days`` entries, the last one today."""
    values = {"owner": owner, "days": days}
    _, counts = await count_tasks(session, owner)
    if counts is None:
        row = (await session.exec(SELECT_STATS, values)).one()
    else:
        row = (await session.exec(SELECT_MANY_STATS, values | _count_values(counts))).one()
    return dict(zip(STATS_FIELDS, row, strict=True))


def _count_values(counts: TaskCounts) -> dict[str, Any]:
    """Returns the parameters that hold what has been counted."""
    live, is_open, done = counts.total
    projects, tags = list(counts.of_projects()), list(counts.of_tags())
    return {
        "live": live,
        "open": is_open,
        "completed": done,
        "projects": [name for name, _ in projects],
        "project_opens": [tally.open for _, tally in projects],
        "project_dones": [tally.done for _, tally in projects],
        "tags": [name for name, _ in tags],
        "tag_lives": [tally.live for _, tally in tags],
        "tag_opens": [tally.open for _, tally in tags],
        "tag_dones": [tally.done for _, tally in tags],
    }
