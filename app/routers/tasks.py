"""``/api/{user_id}/tasks``: parameters in, one service call, status out."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response, Security

from app.http.dependencies import (
    IfMatch,
    IfNoneMatch,
    NewTaskId,
    OnlyNew,
    Owner,
    ReadSession,
    TaskId,
    WriteSession,
    bearer,
)
from app.http.entity_responses import (
    ENTITY_RESPONSE,
    ENTITY_UNCHANGED,
    MERGE_REFUSALS,
    VERSION_HEADER,
    conditional_response,
    created_response,
    entity_response,
    location_header,
    merge_refusals,
    put_response,
    version_headers,
)
from app.http.etags import expected_versions, put_condition
from app.http.list_responses import (
    LIST_UNCHANGED,
    TASK_LIST_RESPONSE,
    etag_of_list,
    task_list_response,
    unchanged_list,
    wants_total,
)
from app.http.paths import item_path
from app.http.responses import Json, revision_header
from app.http.routing import DirectRoute
from app.models.task_fields import SubtasksOnCompletion
from app.models.tasks import TaskCreate, TaskRead, TaskUpdate, TrashedTaskRead
from app.schemas.duplicates import TaskDuplicate
from app.schemas.quick_add import QUICK_DRAFT_RESPONSE, QuickAdded, QuickTask
from app.schemas.task_actions import Snooze, TaskComplete, TaskMove
from app.schemas.task_bulk import BulkResult, BulkWrite
from app.schemas.task_query import TaskQuery, TrashQuery
from app.services import duplicates, quick_add
from app.services.retention import trash
from app.services.tasks import bulk, completion, create_update, creation, listing, reminders, reordering
from app.services.tasks import trash as task_trash

router = APIRouter(
    prefix="/api/{user_id}/tasks", tags=["tasks"], route_class=DirectRoute, dependencies=[Security(bearer)]
)

TASK_CREATED_RESPONSE: dict[str, Any] = {"headers": VERSION_HEADER | location_header("task")}
TASK_PUT = {"model": TaskRead, "description": "Created.", **TASK_CREATED_RESPONSE}
PUT_REFUSALS = merge_refusals("The uid is that of a task in the trash; `detail` tells how to restore it.")
SNOOZE_CONFLICT = {"description": "The task is completed, or has the maximum number of reminders."}


@router.get("", response_model=list[TaskRead], responses={200: TASK_LIST_RESPONSE, 304: LIST_UNCHANGED})
async def list_tasks(
    request: Request,
    owner: Owner,
    session: ReadSession,
    query: Annotated[TaskQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Lists tasks, newest first. `Link` has the next page; sync continues from `X-Revision`."""
    zone = await listing.get_query_zone(session, owner, query)
    if query.stable and (unchanged := await unchanged_list(request, session, owner, if_none_match, zone)):
        return unchanged
    page = await listing.list_tasks(session, owner, query, count=wants_total(request, query))
    return task_list_response(
        request, page, query, etag_of_list(request, page.revision, owner, zone) if query.stable else None
    )


@router.post("", status_code=201, response_model=TaskRead, responses={201: TASK_CREATED_RESPONSE})
async def create_task(request: Request, owner: Owner, session: WriteSession, task: TaskCreate) -> Response:
    """Creates a task; only `title` is required."""
    created = await creation.create_task(session, owner, task)
    return created_response(request, created)


@router.get("/trash", response_model=list[TrashedTaskRead], responses={200: TASK_LIST_RESPONSE, 304: LIST_UNCHANGED})
async def list_trash(
    request: Request,
    owner: Owner,
    session: ReadSession,
    query: Annotated[TrashQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Lists deleted tasks that can be restored, latest deletion first."""
    if unchanged := await unchanged_list(request, session, owner, if_none_match):
        return unchanged
    page = await listing.list_trash(session, owner, query, count=wants_total(request, query))
    return task_list_response(request, page, query, etag_of_list(request, page.revision, owner))


@router.delete("/trash", status_code=204, response_class=Response)
async def empty_trash(owner: Owner, session: WriteSession) -> Response:
    """Deletes permanently everything in the trash, and deleted projects, comments and views."""
    await trash.empty_trash(session, owner)
    return Response(status_code=204)


@router.get("/{task_id}", response_model=TaskRead, responses={200: ENTITY_RESPONSE, 304: ENTITY_UNCHANGED})
async def get_task(owner: Owner, session: ReadSession, task_id: TaskId, if_none_match: IfNoneMatch = None) -> Response:
    """Returns one task; 304 if `If-None-Match` names its version."""
    return conditional_response(await create_update.get_task(session, owner, task_id), if_none_match)


@router.patch("/{task_id}", response_model=TaskRead, responses={200: ENTITY_RESPONSE, **MERGE_REFUSALS})
async def update_task(
    owner: Owner, session: WriteSession, task_id: TaskId, change: TaskUpdate, if_match: IfMatch = None
) -> Response:
    """Changes the fields sent and no others; `null` clears. A stale `If-Match` is 412.

    With `base_version` it is merged with what other writes have changed since.
    """
    versions = expected_versions(if_match)
    return entity_response(await create_update.update_task(session, owner, task_id, change, versions=versions))


@router.put(
    "/{task_id}",
    response_model=TaskRead,
    responses={200: ENTITY_RESPONSE, 201: TASK_PUT, **PUT_REFUSALS},
)
async def put_task(
    request: Request,
    owner: Owner,
    session: WriteSession,
    task_id: NewTaskId,
    change: TaskUpdate,
    if_match: IfMatch = None,
    if_none_match: OnlyNew = None,
) -> Response:
    """Changes the fields sent, like `update_task`: other fields keep their values.

    `uid:` with a uid that no task has creates it, which needs a `title`. With `If-None-Match: *` it only creates, with
    `If-Match` it only changes: else 412.
    """
    condition = put_condition(if_match, if_none_match)
    versions = expected_versions(if_match)
    task, created = await create_update.put_task(
        session, owner, task_id, change, versions=versions, condition=condition
    )
    return put_response(request, "task", task, created=created)


@router.patch("/{task_id}/complete", response_model=TaskRead, responses={200: ENTITY_RESPONSE})
async def complete_task(
    owner: Owner,
    session: WriteSession,
    task_id: TaskId,
    wanted: Annotated[TaskComplete | None, Body()] = None,
    if_match: IfMatch = None,
) -> Response:
    """Toggles completion without a body; sets it with `{"completed": true}` or `false`.

    Open subtasks are also completed; `"subtasks": "keep"` leaves them open. A recurring task moves to its next due
    date, and the occurrence stays as a completed task of its own: without `If-Match`, a repeated request completes two.
    """
    completed = wanted.completed if wanted else None
    keep = wanted is not None and wanted.subtasks is SubtasksOnCompletion.KEEP
    versions = expected_versions(if_match)
    return entity_response(
        await completion.complete_task(session, owner, task_id, completed, keep_subtasks=keep, versions=versions)
    )


@router.post(
    "/{task_id}/skip",
    response_model=TaskRead,
    responses={200: ENTITY_RESPONSE, 409: {"description": "The task does not recur."}},
)
async def skip_task(owner: Owner, session: WriteSession, task_id: TaskId, if_match: IfMatch = None) -> Response:
    """Moves a recurring task to its next due date without completing the occurrence."""
    return entity_response(await completion.skip_task(session, owner, task_id, versions=expected_versions(if_match)))


@router.post("/{task_id}/move", response_model=TaskRead, responses={200: ENTITY_RESPONSE})
async def move_task(
    owner: Owner, session: WriteSession, task_id: TaskId, move: TaskMove, if_match: IfMatch = None
) -> Response:
    """Moves a task before or after another, or to the end; with `project_id` or `parent_id` into or below it."""
    return entity_response(
        await reordering.move_task(session, owner, task_id, move, versions=expected_versions(if_match))
    )


@router.post("/{task_id}/duplicate", status_code=201, response_model=TaskRead, responses={201: TASK_CREATED_RESPONSE})
async def duplicate_task(
    request: Request,
    owner: Owner,
    session: WriteSession,
    task_id: TaskId,
    wanted: Annotated[TaskDuplicate | None, Body()] = None,
) -> Response:
    """Copies a task with its subtasks, open, directly after it. Its dates are kept, or moved with a `due_date`."""
    copy = await duplicates.duplicate_task(session, owner, task_id, wanted or TaskDuplicate())
    return put_response(request, "task", copy, created=True)


@router.delete("/{task_id}", status_code=204, response_class=Response)
async def delete_task(owner: Owner, session: WriteSession, task_id: TaskId, if_match: IfMatch = None) -> Response:
    """Moves a task with all its subtasks into the trash, from where it can be restored."""
    await task_trash.delete_task(session, owner, task_id, versions=expected_versions(if_match))
    return Response(status_code=204)


@router.post("/{task_id}/restore", response_model=TaskRead, responses={200: ENTITY_RESPONSE})
async def restore_task(owner: Owner, session: WriteSession, task_id: TaskId) -> Response:
    """Restores a task from the trash, with the subtasks that were deleted together with it."""
    return entity_response(await task_trash.restore_task(session, owner, task_id))


@router.post(
    "/quick",
    status_code=201,
    response_model=QuickAdded,
    responses={200: QUICK_DRAFT_RESPONSE, 201: TASK_CREATED_RESPONSE},
)
async def quick_add_task(request: Request, owner: Owner, session: WriteSession, wanted: QuickTask) -> Response:
    """Creates a task from a line of text, such as "Pay rent every month on the 1st at 9 #home p:high @bank".

    Days, times and repeats are read in English, in your time zone. `#` names a project, which is created when new;
    `@` a tag; `p:high` or `p1` to `p4` the priority. What is not understood stays in the title.
    """
    done = await quick_add.quick_add_task(session, owner, wanted)
    if wanted.dry_run:
        return Json(done)
    task = done["task"]
    return Json(done, 201, version_headers(task, Location=item_path(request, task.id)))


@router.post("/bulk", response_model=BulkResult)
async def write_tasks(owner: Owner, session: WriteSession, wanted: BulkWrite) -> Response:
    """Applies one action to up to 1,000 tasks, in one write or none. Undoing its revision reverts all of it.

    Each action has the effect that it has on one task, subtasks and series included. Where a task and one of its
    subtasks are both named, the task decides for both. `move` puts them after all others, in the order of `ids`.
    Unknown ids are `not_found` and do not affect the others.
    """
    results, revision = await bulk.write_tasks(session, owner, wanted)
    return Json({"results": results}, headers=revision_header(revision))


@router.post("/{task_id}/snooze", response_model=TaskRead, responses={200: ENTITY_RESPONSE, 409: SNOOZE_CONFLICT})
async def snooze_task(
    owner: Owner, session: WriteSession, task_id: TaskId, snooze: Snooze, if_match: IfMatch = None
) -> Response:
    """Reminds again, at `until` or in `minutes`. Reminders at past instants are removed."""
    task = await reminders.snooze_task(session, owner, task_id, snooze, versions=expected_versions(if_match))
    return entity_response(task)
