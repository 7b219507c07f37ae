"""``/api/{user_id}/projects``: parameters in, one service call, status out."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response, Security

from app.http.dependencies import (
    IfMatch,
    IfNoneMatch,
    NewProjectId,
    OnlyNew,
    Owner,
    ProjectId,
    ReadSession,
    WriteSession,
    bearer,
)
from app.http.entity_responses import (
    ENTITY_RESPONSE,
    ENTITY_UNCHANGED,
    VERSION_HEADER,
    conditional_response,
    created_response,
    entity_response,
    location_header,
    merge_refusals,
    put_response,
)
from app.http.etags import expected_versions, put_condition
from app.http.list_responses import LIST_HEADERS, LIST_UNCHANGED, etag_of_list, list_headers, unchanged_list
from app.http.responses import Json
from app.http.routing import DirectRoute
from app.models.projects import ProjectCreate, ProjectRead, ProjectUpdate
from app.schemas.duplicates import ProjectDuplicate
from app.schemas.projects import ProjectDeletion, ProjectMove, ProjectQuery
from app.services import duplicates, projects

router = APIRouter(
    prefix="/api/{user_id}/projects", tags=["projects"], route_class=DirectRoute, dependencies=[Security(bearer)]
)
PROJECT_CREATED: dict[str, Any] = {"headers": VERSION_HEADER | location_header("project")}
PROJECT_PUT = {"model": ProjectRead, "description": "Created.", **PROJECT_CREATED}
PROJECT_LIST: dict[str, Any] = {"headers": LIST_HEADERS}
PROJECT_NAME_TAKEN: dict[str, Any] = {"description": "A project has this name; letter case is ignored."}
CHANGE_REFUSALS = merge_refusals(PROJECT_NAME_TAKEN["description"])


@router.get("", response_model=list[ProjectRead], responses={200: PROJECT_LIST, 304: LIST_UNCHANGED})
async def list_projects(
    request: Request,
    owner: Owner,
    session: ReadSession,
    query: Annotated[ProjectQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Returns all projects in their order, archived ones on request. Tasks without a project are in the inbox."""
    if unchanged := await unchanged_list(request, session, owner, if_none_match):
        return unchanged
    found, revision = await projects.list_projects(session, owner, query.archived)
    return Json(found, headers=list_headers(revision, etag_of_list(request, revision, owner)))


@router.post("", status_code=201, response_model=ProjectRead, responses={201: PROJECT_CREATED, 409: PROJECT_NAME_TAKEN})
async def create_project(request: Request, owner: Owner, session: WriteSession, project: ProjectCreate) -> Response:
    """Creates a project after the others."""
    created = await projects.create_project(session, owner, project)
    return created_response(request, created)


@router.get("/{project_id}", response_model=ProjectRead, responses={200: ENTITY_RESPONSE, 304: ENTITY_UNCHANGED})
async def get_project(
    owner: Owner, session: ReadSession, project_id: ProjectId, if_none_match: IfNoneMatch = None
) -> Response:
    """Returns one project, or 304 if `If-None-Match` names its version."""
    return conditional_response(await projects.get_project(session, owner, project_id), if_none_match)


@router.patch("/{project_id}", response_model=ProjectRead, responses={200: ENTITY_RESPONSE, **CHANGE_REFUSALS})
async def update_project(
    owner: Owner, session: WriteSession, project_id: ProjectId, change: ProjectUpdate, if_match: IfMatch = None
) -> Response:
    """Changes the fields sent. An `archived` project is not listed by default; its tasks stay."""
    versions = expected_versions(if_match)
    return entity_response(await projects.update_project(session, owner, project_id, change, versions=versions))


@router.put(
    "/{project_id}",
    response_model=ProjectRead,
    responses={200: ENTITY_RESPONSE, 201: PROJECT_PUT, **CHANGE_REFUSALS},
)
async def put_project(
    request: Request,
    owner: Owner,
    session: WriteSession,
    project_id: NewProjectId,
    change: ProjectUpdate,
    if_match: IfMatch = None,
    if_none_match: OnlyNew = None,
) -> Response:
    """Changes the fields sent, like `update_project`: other fields keep their values.

    `uid:` with a uid that no project has creates it, which needs a `name`. With `If-None-Match: *` it only creates,
    with `If-Match` it only changes: else 412.
    """
    condition = put_condition(if_match, if_none_match)
    versions = expected_versions(if_match)
    project, created = await projects.put_project(
        session, owner, project_id, change, versions=versions, condition=condition
    )
    return put_response(request, "project", project, created=created)


@router.delete("/{project_id}", status_code=204, response_class=Response)
async def delete_project(
    owner: Owner,
    session: WriteSession,
    project_id: ProjectId,
    query: Annotated[ProjectDeletion, Query()],
    if_match: IfMatch = None,
) -> Response:
    """Deletes a project. Its tasks go to the trash, or with `tasks=move` to another project. Undo restores all."""
    versions = expected_versions(if_match)
    await projects.delete_project(session, owner, project_id, deletion=query, versions=versions)
    return Response(status_code=204)


@router.post(
    "/{project_id}/duplicate",
    status_code=201,
    response_model=ProjectRead,
    responses={201: PROJECT_CREATED, 409: PROJECT_NAME_TAKEN},
)
async def duplicate_project(
    request: Request,
    owner: Owner,
    session: WriteSession,
    project_id: ProjectId,
    wanted: Annotated[ProjectDuplicate | None, Body()] = None,
) -> Response:
    """Copies a project with its tasks and the projects inside of it, all open, directly after it.

    Dates are kept, or moved by `shift_days` or to a `start`. It copies at most 1,000 rows.
    """
    copy = await duplicates.duplicate_project(session, owner, project_id, wanted or ProjectDuplicate())
    return put_response(request, "project", copy, created=True)


@router.post("/{project_id}/move", response_model=ProjectRead, responses={200: ENTITY_RESPONSE})
async def move_project(owner: Owner, session: WriteSession, project_id: ProjectId, move: ProjectMove) -> Response:
    """Moves a project directly before or after another one."""
    return entity_response(await projects.move_project(session, owner, project_id, move))
