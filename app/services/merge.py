"""Merging a change with what other writes have changed since the version from which it was made.

Field by field, of three values: the base is that of the row at ``base_version``, theirs that of the row now, yours that
of the body. What only one side has changed is taken from that side; what both have changed conflicts, unless both made
it the same. Names and values are those of the API.

In a batch, what its earlier operations have written is yours: a client that was offline made all of them from one
version of the row.
"""

from collections.abc import Iterable
from typing import Any

from app.db.session import Session
from app.errors import ChangesGone, FieldConflict, VersionConflict
from app.models.types import MergedUpdate, OnConflict
from app.services.changes.entities import Entity
from app.services.changes.feed import find_rows_before
from app.services.changes.revisions import get_revision_range
from app.services.uids import require_own_uid

Fields = dict[str, Any]
# Fields of bodies that rows show as the time since which they hold.
TIMED_FLAGS = {"archived": "archived_at"}
BASE_AHEAD = "base_version is above every version of yours, so it is from before a restore: get the row again."


async def merge_change(
    session: Session,
    owner: str,
    entity: Entity,
    change: MergedUpdate,
    *,
    row: Any,
    yours: Fields,
    versions: list[int] | None,
    linked: Iterable[frozenset[str]] = (),
) -> Fields:
    """Returns those of ``yours`` that are to be written: none if the row has them all.

    ``row`` is as a GET returns it, and read after the owner was locked. ``yours`` are the fields of ``change`` as a GET
    would return them. ``linked`` are further sets of fields of which all are taken from one side.

    Raises VersionConflict unless ``versions`` has the row's, OtherUid, FieldConflict, ChangesGone for a future base.
    """
    if versions is not None and row.version not in versions:
        raise VersionConflict
    require_own_uid(change, row)
    assert isinstance(change.base_version, int), "without it nothing is merged"
    before = session.rows_before.get((entity.name, row.id), row)
    base = await _find_base(session, owner, entity, before, change.base_version)
    kept: Fields = {}
    conflicts: list[Fields] = []
    for group in _join_linked(yours, [*entity.merged_together, *linked]):
        sent = {name: yours[name] for name in group & yours.keys()}
        if sent == _values(row, sent):
            continue
        # Not if that would complete the next occurrence, which an earlier operation has made.
        if _values(row, group) != _values(before, group) and not ("completed" in sent and "due_date" in group):
            kept |= sent
            continue
        if base is not None and sent == _values(base, sent):
            continue  # it is not a change: clients send back what they got
        found = _find_conflicts(row, base, group, sent)
        conflicts += found
        if not found or change.on_conflict is OnConflict.MINE:
            kept |= sent
    if conflicts and change.on_conflict is OnConflict.REFUSE:
        order = list(type(change).model_fields)
        raise _field_conflict(sorted(conflicts, key=lambda each: order.index(each["field"])), known=base is not None)
    return {name: value for name, value in yours.items() if name in kept}


async def _find_base(session: Session, owner: str, entity: Entity, row: Any, version: int) -> Any:
    """Returns the row as it was at ``version``; None if that is no longer kept. Raises ChangesGone."""
    if version == row.version:
        return row
    allowed = await get_revision_range(session, owner)
    if version > allowed.current:
        raise ChangesGone(BASE_AHEAD, ahead=version)
    if version < allowed.pruned:  # also before a restore, which may have lost that version of the row
        return None
    if version > row.version:
        return row
    found = await find_rows_before(session, owner, entity.name, [row.id], version + 1)
    return entity.to_read_shape(found[row.id]) if found else None


def _join_linked(names: Iterable[str], linked: Iterable[frozenset[str]]) -> list[set[str]]:
    """Returns disjoint sets: each name alone or with all that are linked to it, also if they are not in ``names``."""
    groups = [{name} for name in names]
    for fields in linked:
        touched = [group for group in groups if group & fields]
        if touched:
            groups = [group for group in groups if not group & fields] + [set(fields).union(*touched)]
    return groups


def _find_conflicts(row: Any, base: Any, group: set[str], sent: Fields) -> list[Fields]:
    """Returns the fields of ``group`` that differ; none if only you have changed it. A field not sent has its base."""
    names = group if base is not None else sent.keys()
    old = _values(base, names) if base is not None else dict.fromkeys(names)
    theirs = _values(row, names)
    if base is not None and theirs == old:
        return []
    yours = old | sent
    return [
        {"field": name, "base": old[name], "theirs": theirs[name], "yours": yours[name]}
        for name in names
        if yours[name] != theirs[name]
    ]


def _values(row: Any, names: Iterable[str]) -> Fields:
    return {
        name: getattr(row, TIMED_FLAGS[name]) is not None if name in TIMED_FLAGS else getattr(row, name)
        for name in names
    }


def _field_conflict(conflicts: list[Fields], *, known: bool) -> FieldConflict:
    names = ", ".join(conflict["field"] for conflict in conflicts)
    if known:
        return FieldConflict(f"{FieldConflict.message[:-1]}: {names}.", conflicts=conflicts)
    return FieldConflict(f"base_version is no longer kept, and these fields differ: {names}.", conflicts=conflicts)
