"""The tasks that a digest lists, as of the moment at which it is sent."""

from typing import Any

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.digests import DIGEST_TITLES_MAX, DigestContents, DigestPart, DigestTask
from app.models.task_rows import due_of
from app.models.tasks import LATE_CONDITION, OPEN_CONDITION

# Days are those of the owner's zone. The bounds of ``due_sort`` and ``completed_sort`` are ranges of their indexes:
# the value of a day is its midnight in UTC, which is before its end in every zone.
SELECT_DIGEST_TASKS = CompiledStatement(
    text(f"""
    with zone as (
        select coalesce((select timezone from users where id = :owner), 'UTC') as name
    ), clock as (
        select name, cast(timezone(name, now()) as date) as today from zone
    ), days as (
        select today, timezone(name, cast(today - 1 as timestamp)) as yesterday_at,
            timezone(name, cast(today as timestamp)) as today_at,
            timezone(name, cast(today + 1 as timestamp)) as tomorrow_at
        from clock
    ), listed as (
        select case when {LATE_CONDITION} then 'overdue' else 'due_today' end as part,
            id, title, due_on, due_at, due_sort as place
        from tasks, days where user_id = :owner and deleted_at is null and {OPEN_CONDITION}
            and due_sort < tomorrow_at and (due_on <= today or due_at < tomorrow_at)
        union all
        select 'overdue', id, title, deadline, cast(null as timestamptz), timezone('UTC', cast(deadline as timestamp))
        from tasks, days where user_id = :owner and deleted_at is null and {OPEN_CONDITION}
            and deadline < today and not coalesce(due_on <= today or due_at < tomorrow_at, false)
        union all
        select 'done', id, title, cast(null as date), cast(null as timestamptz), completed_sort
        from tasks, days where user_id = :owner and deleted_at is null and completed
            and completed_sort >= yesterday_at and completed_sort < today_at
    ), numbered as (
        select part, title, due_on, due_at, count(*) over (partition by part) as total,
            row_number() over (partition by part order by place, id) as number
        from listed
    )
    select today, part, title, due_on, due_at, total
    from days left join numbered on number <= :limit order by part, number""")  # noqa: S608 - a constant
)


async def read_digest(session: Session, owner: str) -> DigestContents:
    """Returns what is overdue, due today and was done yesterday; of each the number and the first tasks."""
    rows = (await session.exec(SELECT_DIGEST_TASKS, {"owner": owner, "limit": DIGEST_TITLES_MAX})).all()
    parts = {name: _part_of([row for row in rows if row.part == name]) for name in ("overdue", "due_today", "done")}
    return DigestContents(today=rows[0].today, **parts)


def _part_of(rows: list[Any]) -> DigestPart:
    tasks = tuple(DigestTask(row.title, due_of(row)) for row in rows)
    return DigestPart(rows[0].total, tasks) if rows else DigestPart()
