"""Numbers over all tasks of an owner, by the calendar of their time zone."""

from typing import Any

from sqlalchemy import Date, Integer, Text, bindparam, cast, func, literal_column, select, text

from app.db.changes import CURRENT_REVISION, OWNER, OWNER_TIMEZONE
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.tasks import LATE_CONDITION, OPEN_CONDITION, TASKS, is_open
from app.schemas.stats import StatsRead
from app.services.changes.revisions import get_initial_revision

GROUPS_MAX = 100  # projects and tags, those with the most tasks
# One scan: all other counts are made from its groups, which are few compared with the tasks.
SELECT_STATS = CompiledStatement(
    text(f"""
with zone as (
    select coalesce((select timezone from users where id = :owner), 'UTC') as name
), clock as (
    select name, cast(timezone(name, now()) as date) as today from zone
), mine as materialized (
    select cast(case when completed then timezone(name, completed_at) end as date) as "on",
           completed, {OPEN_CONDITION} as open, project_id, tags,
           {OPEN_CONDITION} and {LATE_CONDITION} as overdue,
           case when {OPEN_CONDITION} then estimate_minutes end as minutes,
           {OPEN_CONDITION} and (due_on = today or (
               due_at >= timezone(name, cast(today as timestamp))
               and due_at < timezone(name, cast(today + 1 as timestamp)))) as due_today
    from tasks, clock where user_id = :owner and deleted_at is null
), counted as materialized (
    select "on", project_id, tags, completed, open, count(*) as n, count(*) filter (where overdue) as overdue,
           count(*) filter (where due_today) as due_today, sum(minutes) as minutes
    from mine group by 1, 2, 3, 4, 5
), done as materialized (
    select "on", sum(n) as done from counted where completed group by 1
), runs as (
    select count(*) as length, max("on") as until
    from (select "on", "on" - cast(row_number() over (order by "on") as integer) as run from done) days group by run
), groups as (
    select project_id, coalesce(sum(n) filter (where open), 0) as open,
           coalesce(sum(n) filter (where completed), 0) as done
    from counted group by project_id
), labels as (
    select tag as name, coalesce(sum(n) filter (where open), 0) as open,
           coalesce(sum(n) filter (where completed), 0) as done
    from counted, unnest(tags) tag group by tag order by sum(n) desc, tag limit {GROUPS_MAX}
), weeks as (
    select cast(generate_series(date_trunc('week', today - :days + 1), today, interval '7 days') as date) as "on"
    from clock
)
select name as timezone, today,
    (select jsonb_build_object(
        'open', coalesce(sum(n) filter (where open), 0),
        'completed', coalesce(sum(n) filter (where completed), 0),
        'cancelled', coalesce(sum(n) filter (where not open and not completed), 0),
        'overdue', coalesce(sum(overdue), 0), 'due_today', coalesce(sum(due_today), 0),
        'estimate_minutes', coalesce(sum(minutes), 0),
        'trash', (select count(*) from tasks where user_id = :owner and deleted_at is not null))
     from counted) as totals,
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
from clock""").bindparams(bindparam("days", type_=Integer))  # noqa: S608 - constants
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
    row = (await session.exec(SELECT_STATS, {"owner": owner, "days": days})).one()
    return dict(zip(STATS_FIELDS, row, strict=True))
