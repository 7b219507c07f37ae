"""Batches: many writes in one transaction. Atomic, they are one write; else each takes a revision of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from time import monotonic
from typing import Any, NamedTuple

from pydantic import MISSING
from sqlalchemy import BigInteger, Text, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.changes import OWNER, TAKE_JOINED_REVISION
from app.db.compiled import CompiledStatement
from app.db.joined_changes import join_writes
from app.db.session import Session
from app.db.versioned_rows import kept_columns
from app.errors import FINAL_KINDS, AppError, BatchTooSlow, ChangesGone, DoesNotExist, VersionConflict, locate_error
from app.schemas.batch import Batch, InvalidOperation, Operation
from app.services.batch.new_tasks import NewTasks
from app.services.batch.operations import OPERATION_RUNS, Done, OperationCall
from app.services.changes.entities import ENTITY_REGISTRY, Entity
from app.services.changes.revisions import get_written_revision
from app.services.uids import ABSENT_ERRORS, UID_TABLES
from app.services.users import lock_or_create_owner

# 500 usual operations take 1 s, and 500 that rename a tag of 100,000 tasks would keep the owner locked for 3 hours.
BATCH_SECONDS_MAX = 20
PUT_OPERATIONS = {"put_task", "put_project"}
Versions = Sequence[list[int] | None]


def _select_named(entity: Entity) -> CompiledStatement:
    c = entity.table.c
    ids, uids = bindparam("ids", type_=ARRAY(BigInteger)), bindparam("uids", type_=ARRAY(Text))
    named = or_(c.id == func.any(ids), c.uid == func.any(uids))
    return CompiledStatement(
        select(*kept_columns(entity.table)).where(c.user_id == OWNER, c.deleted_at.is_(None), named)
    )


NAMED_ENTITIES = [entity for entity in ENTITY_REGISTRY if entity.name in UID_TABLES]
SELECT_NAMED = {entity.name: _select_named(entity) for entity in NAMED_ENTITIES}


class BatchOutcome(NamedTuple):
    """The response or the error of each operation, in their order, and the last revision that was taken."""

    results: list[Done | Exception]
    revision: int | None


async def run_batch(
    session: Session, owner: str, batch: Batch, versions: Versions, invalid: Mapping[int, Exception]
) -> BatchOutcome:
    """Runs the operations. ``versions`` are those that each of them accepts of its row, before the batch.

    If it is atomic, raises the error of the first operation that fails, with its place in ``loc``. Else those in
    ``invalid``, by number, are not run, and have these errors as results. Raises BatchTooSlow, and the error of an
    operation that says nothing about it alone: the database is not available, or was restored.
    """
    async with session.savepoint(keep=False) if batch.dry_run else nullcontext():
        await lock_or_create_owner(session, owner)
        stale = await _find_stale(session, owner, batch.operations, versions)
        if batch.atomic:
            async with join_writes(session, TAKE_JOINED_REVISION):
                results = await _run_together(session, owner, batch.operations, stale)
        else:
            results = await _run_apart(session, owner, batch.operations, {**stale, **invalid})
        return BatchOutcome(results, await get_written_revision(session, owner))


async def _find_stale(
    session: Session, owner: str, operations: list[Operation], versions: Versions
) -> dict[int, AppError]:
    """Returns the error of each operation whose row has another version than it accepts, or does not exist.

    Keeps the rows that operations with a base_version change, as they are before the batch.
    """
    stale: dict[int, AppError] = {}
    before: dict[tuple[str, int], Any] = {}
    for entity in NAMED_ENTITIES:
        named = {
            number: operation.arguments.target.find(entity.name)
            for number, operation in enumerate(operations)
            if (versions[number] is not None or _merges(operation))
            and operation.arguments.target.NOUNS[-1] == entity.name
        }
        if not named:
            continue
        ids = [name for name in named.values() if isinstance(name, int)]
        uids = [name for name in named.values() if isinstance(name, str)]
        rows = (await session.exec(SELECT_NAMED[entity.name], {"owner": owner, "ids": ids, "uids": uids})).all()
        present: dict[int | str, Any] = {key: row for row in rows for key in (row.id, row.uid)}
        for number, name in named.items():
            row, accepted = present.get(name), versions[number]
            if row is not None and _merges(operations[number]):
                before[entity.name, row.id] = entity.read_row(row)
            if accepted is None:
                continue
            if row is None:
                puts = operations[number].operation in PUT_OPERATIONS
                stale[number] = DoesNotExist() if puts else ABSENT_ERRORS[entity.name]()
            elif row.version not in accepted:
                stale[number] = VersionConflict()
    session.rows_before = before
    return stale


def _merges(operation: Operation | InvalidOperation) -> bool:
    if isinstance(operation, InvalidOperation):
        return False
    return getattr(operation.arguments.fields, "base_version", MISSING) is not MISSING


async def _run_together(
    session: Session, owner: str, operations: list[Operation], stale: Mapping[int, AppError]
) -> list[Done | Exception]:
    """Runs them as one write; new tasks that follow each other are inserted by one statement."""
    results: list[Done | Exception] = []
    tasks = NewTasks(session, owner)
    for number, operation in _number_in_time(operations):
        creates = operation.operation == "create_task"
        fields = operation.arguments.fields
        try:
            if number in stale:
                raise stale[number]
            if not creates or tasks.concern(fields):
                results += await tasks.insert(first=len(results))
            if creates:
                await tasks.add(fields)
            else:
                results.append(await _run_one(session, owner, operation))
        except AppError as error:
            locate_error(error, number)
            raise
    return results + await tasks.insert(first=len(results))


async def _run_apart(
    session: Session, owner: str, operations: list[Operation], refused: Mapping[int, Exception]
) -> list[Done | Exception]:
    """Runs them one after the other; one that is refused leaves nothing behind, and the others stay."""
    results: list[Done | Exception] = []
    for number, operation in _number_in_time(operations):
        if number in refused:
            error = refused[number]
            results.append(locate_error(error, number) if isinstance(error, AppError) else error)
            continue
        try:
            async with session.savepoint():
                results.append(await _run_one(session, owner, operation))
        except AppError as error:
            locate_error(error, number)
            if error.kind not in FINAL_KINDS or (isinstance(error, ChangesGone) and error.ahead):
                raise
            results.append(error)
    return results


def _number_in_time(operations: list[Operation]) -> Iterator[tuple[int, Operation]]:
    """Yields each with its number. Raises BatchTooSlow before one that would begin after BATCH_SECONDS_MAX."""
    ends_at = monotonic() + BATCH_SECONDS_MAX
    for number, operation in enumerate(operations):
        if monotonic() >= ends_at:
            raise BatchTooSlow
        yield number, operation


async def _run_one(session: Session, owner: str, operation: Operation) -> Done:
    arguments = operation.arguments
    may_create = getattr(operation, "if_match", None) is None  # with If-Match, also *, a PUT only changes
    call = OperationCall(session, owner, arguments.target, arguments.fields, may_create)
    return await OPERATION_RUNS[operation.operation](call)
