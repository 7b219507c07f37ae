"""The numbers of an owner's tasks by project and by tag, which a process remembers for owners with many tasks.

To count, all tasks are read. So the numbers are kept by parts of about PART_ROWS tasks, in the order of their creation,
as of a revision; later only those parts are counted again in which the changes since have a task. A write costs
nothing: neither a trigger nor a table of counters is there for it, and what another process writes, of whatever
version, is found by the same revisions. Only after a start all parts are counted, by a statement for each.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, DateTime, bindparam, text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.models.task_indexes import LONG_TEXT_CONDITION, SHORT_TEXT_CONDITION
from app.models.tasks import OPEN_CONDITION
from app.services.changes.revisions import get_initial_revision

PART_ROWS = 10_000
CHANGED_MAX = 1_000  # tasks that have changed since: with more of them all parts are counted again
# Numbers that a process remembers, about 200 bytes each: for 90 owners with 100,000 tasks, and 50 projects and tags.
REMEMBERED_MAX = 50_000
BEFORE_ALL, AFTER_ALL = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)  # -infinity and infinity
RANGE_PARAMETERS: list[Any] = [bindparam(name, type_=DateTime(timezone=True)) for name in ("start", "until")]
PROBE_PARAMETERS: list[Any] = [
    *RANGE_PARAMETERS,
    *(bindparam(name, type_=BigInteger) for name in ("part_rows", "probed")),
]
LIVE_IN_RANGE = "user_id = :owner and deleted_at is null and created_at > :start and created_at < :until"
NEXT_START = f"""
    select created_at from tasks where {LIVE_IN_RANGE} order by created_at, id offset :part_rows limit :probed"""  # noqa: S608
# One read, so that an owner with few tasks costs no further one: ``probed`` is 0 for one who is known to have many.
SELECT_COUNT_STATE = CompiledStatement(
    text(
        f"select revision, pruned_revision, created_at, ({NEXT_START}) as next from users where id = :owner"  # noqa: S608
    ).bindparams(*PROBE_PARAMETERS)
)
SELECT_NEXT_START = CompiledStatement(text(NEXT_START).bindparams(*PROBE_PARAMETERS))
LIVE_PART = f"""
    select project_id, tags, completed, {OPEN_CONDITION} as open from tasks
    where user_id = :owner and deleted_at is null and created_at >= :start and created_at < :until and """  # noqa: S608
TALLY_COLUMNS = """cast(sum(n) as bigint), cast(coalesce(sum(n) filter (where open), 0) as bigint),
           cast(coalesce(sum(n) filter (where completed), 0) as bigint)"""
# All columns are in tasks_by_text; the few tasks that it lacks are read.
COUNT_OF_PART = f"""
    with mine as (
        {LIVE_PART} {SHORT_TEXT_CONDITION} union all {LIVE_PART} {LONG_TEXT_CONDITION}
    ), counted as materialized (
        select project_id, tags, completed, open, count(*) as n from mine group by 1, 2, 3, 4
    )
    select project_id, cast(null as text) as tag, {TALLY_COLUMNS} from counted group by 1
    union all select null, tag, {TALLY_COLUMNS} from counted, unnest(tags) tag group by tag"""  # noqa: S608
SELECT_TALLIES = CompiledStatement(text(COUNT_OF_PART).bindparams(*RANGE_PARAMETERS))
SELECT_CHANGED_PLACES = CompiledStatement(
    text(f"""
    select distinct cast(data ->> 'created_at' as timestamptz) as at from changes
    where user_id = :owner and revision > :since and entity = 'task'
    limit {CHANGED_MAX + 1}""").bindparams(bindparam("since", type_=BigInteger))  # noqa: S608 - a constant
)


class Tally(NamedTuple):
    """Numbers of tasks out of the trash: all, those that are open, and those that are completed."""

    live: int
    open: int
    done: int

    def __add__(self, other: Any) -> "Tally":
        return Tally(self.live + other[0], self.open + other[1], self.done + other[2])


Tallies = Mapping[int | str | None, Tally]  # by the id of a project, None for the inbox, or the name of a tag
NO_TASKS = Tally(0, 0, 0)


class CountedPart(NamedTuple):
    """The tasks created at ``start`` or later, and before the next part."""

    start: datetime
    tallies: Tallies


class TaskCounts:
    """The counts of an owner as of a revision, by parts. ``since`` is when the owner's row was made."""

    def __init__(self, revision: int, since: datetime, parts: list[CountedPart]) -> None:
        self.revision, self.since = revision, since
        self.parts = parts
        self.tallies: dict[int | str | None, Tally] = {}
        for part in parts:
            for name, tally in part.tallies.items():
                self.tallies[name] = self.tallies.get(name, NO_TASKS) + tally

    @property
    def size(self) -> int:
        """Returns how many numbers are remembered."""
        return len(self.tallies) + sum(len(part.tallies) for part in self.parts)

    @property
    def total(self) -> Tally:
        """Returns the numbers of all tasks: each is in one project, or in the inbox."""
        return sum((tally for _, tally in self.of_projects()), NO_TASKS)

    def of_projects(self) -> Iterator[tuple[int | None, Tally]]:
        return ((name, tally) for name, tally in self.tallies.items() if not isinstance(name, str))

    def of_tags(self) -> Iterator[tuple[str, Tally]]:
        return ((name, tally) for name, tally in self.tallies.items() if isinstance(name, str))

    def places_of(self, moments: list[datetime]) -> list[int]:
        """Returns the places of the parts in which tasks that were created at ``moments`` are."""
        starts = [part.start for part in self.parts]
        return sorted({bisect_right(starts, moment) - 1 for moment in moments})


class CountMemory:
    """The counts of the owners that have asked last."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, TaskCounts] = OrderedDict()
        self._size = 0

    def find(self, owner: str) -> TaskCounts | None:
        if owner in self._by_owner:
            self._by_owner.move_to_end(owner)
        return self._by_owner.get(owner)

    def forget(self, owner: str) -> None:
        if (counts := self._by_owner.pop(owner, None)) is not None:
            self._size -= counts.size

    def remember(self, owner: str, counts: TaskCounts) -> None:
        self.forget(owner)
        if counts.size > REMEMBERED_MAX:
            return
        self._by_owner[owner] = counts
        self._size += counts.size
        while self._size > REMEMBERED_MAX:
            self.forget(next(iter(self._by_owner)))


_memories: WeakKeyDictionary[Any, CountMemory] = WeakKeyDictionary()  # by database


async def count_tasks(session: Session, owner: str) -> tuple[int, TaskCounts | None]:
    """Returns the owner's revision and counts; None for few tasks, which one statement counts as fast."""
    memory = _memories.setdefault(session.database, CountMemory())
    known = memory.find(owner)
    values = {
        "owner": owner,
        "start": BEFORE_ALL,
        "until": AFTER_ALL,
        "part_rows": PART_ROWS,
        "probed": int(known is None),
    }
    state = (await session.exec(SELECT_COUNT_STATE, values)).first()
    if state is None:
        memory.forget(owner)
        return await get_initial_revision(session, owner), None
    revision, pruned, since, is_more = state
    is_same = known is not None and known.since == since  # else the account was erased, and the subject came again
    if known is not None and is_same and known.revision == revision:
        return revision, known
    parts = None
    if known is not None and is_same and pruned <= known.revision < revision:
        parts = await _count_changed(session, owner, known)
    elif known is None and is_more is None:
        return revision, None
    counts = TaskCounts(revision, since, parts or await _count_range(session, owner, BEFORE_ALL, AFTER_ALL))
    # What this transaction has written may be rolled back, and its revision be taken by another write.
    if session.revision is None and len(counts.parts) > 1:
        memory.remember(owner, counts)
    else:
        memory.forget(owner)
    return revision, counts


async def _count_changed(session: Session, owner: str, known: TaskCounts) -> list[CountedPart] | None:
    """Returns the parts, counted again where a task has changed; None if most would be."""
    found = (await session.exec(SELECT_CHANGED_PLACES, {"owner": owner, "since": known.revision})).all()
    places = known.places_of(found)
    if len(found) > CHANGED_MAX or len(places) > max(1, len(known.parts) // 2):
        return None
    parts, starts = [], [*(part.start for part in known.parts), AFTER_ALL]
    for place, part in enumerate(known.parts):
        if place in places:
            parts += await _count_range(session, owner, part.start, starts[place + 1])
        else:
            parts.append(part)
    return parts


async def _count_range(session: Session, owner: str, start: datetime, until: datetime) -> list[CountedPart]:
    """Counts the tasks created at ``start`` or later and before ``until``, in parts."""
    parts = []
    while True:
        values = {"owner": owner, "start": start, "until": until, "part_rows": PART_ROWS, "probed": 1}
        following: datetime | None = (await session.exec(SELECT_NEXT_START, values)).first()
        rows = (await session.exec(SELECT_TALLIES, values | {"until": following or until})).all()
        parts.append(CountedPart(start, {row[0] if row[1] is None else row[1]: Tally(*row[2:]) for row in rows}))
        if following is None:
            return parts
        start = following
