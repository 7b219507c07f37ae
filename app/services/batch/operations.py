"""The operations of a batch: what each does, by its operationId."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from app.db.session import Session
from app.models.task_fields import SubtasksOnCompletion
from app.schemas.batch import NoFields
from app.schemas.duplicates import ProjectDuplicate, TaskDuplicate
from app.services import comments, duplicates, projects, quick_add, views
from app.services.tasks import bulk, completion, create_update, creation, reminders, reordering, tags, trash
from app.services.uids import NamedRow, PutCondition, find_named_row


class OperationCall(NamedTuple):
    """One call, in the transaction of the batch."""

    session: Session
    owner: str
    target: Any
    fields: Any
    may_create: bool

    async def find(self, noun: str) -> int:
        """Returns the id of a row of the target. Raises the error of a row that is not there."""
        named = self.target.find(noun)
        if isinstance(named, int):
            return named
        return await find_named_row(self.session, self.owner, NamedRow(noun, named))


class Done(NamedTuple):
    """The response of an operation."""

    status: int
    body: Any = None


Run = Callable[[OperationCall], Awaitable[Done]]
Service = Callable[..., Awaitable[Any]]


def _makes(create: Service) -> Run:
    async def run(call: OperationCall) -> Done:
        return Done(201, await create(call.session, call.owner, *await _ids_of(call), call.fields))

    return run


def _changes(write: Service) -> Run:
    async def run(call: OperationCall) -> Done:
        fields = () if isinstance(call.fields, NoFields) else (call.fields,)
        return Done(200, await write(call.session, call.owner, *await _ids_of(call), *fields))

    return run


def _deletes(delete: Service) -> Run:
    async def run(call: OperationCall) -> Done:
        await delete(call.session, call.owner, *await _ids_of(call))
        return Done(204)

    return run


def _puts(put: Service) -> Run:
    async def run(call: OperationCall) -> Done:
        condition = PutCondition(may_create=call.may_create, may_change=True)
        named = call.target.find(*call.target.NOUNS)
        row, created = await put(call.session, call.owner, named, call.fields, versions=None, condition=condition)
        return Done(201 if created else 200, row)

    return run


async def _ids_of(call: OperationCall) -> list[int]:
    return [await call.find(noun) for noun in call.target.NOUNS]


async def _complete_task(call: OperationCall) -> Done:
    completed = call.fields.completed if call.fields else None
    keep = call.fields is not None and call.fields.subtasks is SubtasksOnCompletion.KEEP
    task_id = await call.find("task")
    return Done(200, await completion.complete_task(call.session, call.owner, task_id, completed, keep_subtasks=keep))


async def _duplicate_task(call: OperationCall) -> Done:
    wanted = call.fields or TaskDuplicate()
    return Done(201, await duplicates.duplicate_task(call.session, call.owner, await call.find("task"), wanted))


async def _duplicate_project(call: OperationCall) -> Done:
    wanted = call.fields or ProjectDuplicate()
    return Done(201, await duplicates.duplicate_project(call.session, call.owner, await call.find("project"), wanted))


async def _quick_add_task(call: OperationCall) -> Done:
    added = await quick_add.quick_add_task(call.session, call.owner, call.fields)
    return Done(200 if call.fields.dry_run else 201, added)


async def _write_tasks(call: OperationCall) -> Done:
    results, _ = await bulk.write_tasks(call.session, call.owner, call.fields)
    return Done(200, {"results": results})


async def _delete_project(call: OperationCall) -> Done:
    await projects.delete_project(call.session, call.owner, *await _ids_of(call), deletion=call.fields)
    return Done(204)


async def _rename_tag(call: OperationCall) -> Done:
    return Done(200, await tags.rename_tag(call.session, call.owner, call.target.tag, call.fields))


async def _delete_tag(call: OperationCall) -> Done:
    await tags.delete_tag(call.session, call.owner, call.target.tag)
    return Done(204)


OPERATION_RUNS: dict[str, Run] = {
    "create_task": _makes(creation.create_task),
    "put_task": _puts(create_update.put_task),
    "update_task": _changes(create_update.update_task),
    "complete_task": _complete_task,
    "skip_task": _changes(completion.skip_task),
    "move_task": _changes(reordering.move_task),
    "snooze_task": _changes(reminders.snooze_task),
    "duplicate_task": _duplicate_task,
    "delete_task": _deletes(trash.delete_task),
    "restore_task": _changes(trash.restore_task),
    "quick_add_task": _quick_add_task,
    "write_tasks": _write_tasks,
    "create_project": _makes(projects.create_project),
    "put_project": _puts(projects.put_project),
    "update_project": _changes(projects.update_project),
    "move_project": _changes(projects.move_project),
    "duplicate_project": _duplicate_project,
    "delete_project": _delete_project,
    "create_comment": _makes(comments.create_comment),
    "update_comment": _changes(comments.update_comment),
    "delete_comment": _deletes(comments.delete_comment),
    "create_view": _makes(views.create_view),
    "update_view": _changes(views.update_view),
    "delete_view": _deletes(views.delete_view),
    "rename_tag": _rename_tag,
    "delete_tag": _delete_tag,
}
