"""The tools for projects."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import MISSING, BaseModel, Field

from app.assistant.tools.tool import ProjectNumber, Tool, ToolContext, changed_values
from app.models.projects import ProjectCreate, ProjectUpdate
from app.models.types import RequestModel
from app.schemas.duplicates import ProjectDuplicate
from app.schemas.projects import ProjectDeletion, ProjectQuery, ProjectTasksAction, SubprojectsAction
from app.services import duplicates, projects


class UpdateProject(ProjectUpdate):
    """Only the fields sent change. An archived project is not listed; its tasks stay."""

    ABOUT: ClassVar[frozenset[str]] = frozenset({"project_id"})
    # Left out, as of a task.
    base_version: ClassVar[None] = None  # type: ignore[misc]
    on_conflict: ClassVar[None] = None  # type: ignore[misc]

    uid: ClassVar[None] = None  # type: ignore[misc]  # the row is named by its id
    project_id: ProjectNumber
    clear: Annotated[list[Literal["color", "parent_id"]], Field(min_length=1, max_length=2)] | MISSING = Field(
        MISSING, description="Fields to empty."
    )

    @property
    def change(self) -> ProjectUpdate:
        return ProjectUpdate.model_construct(None, **changed_values(self))


class DeleteProject(RequestModel):
    project_id: ProjectNumber
    move_tasks_to: ProjectNumber | Literal["inbox"] | None = Field(
        None, description="Where its tasks go: another project's id, or inbox. Default: into the trash with it."
    )

    subprojects: SubprojectsAction = Field(
        SubprojectsAction.MOVE_UP, description="The projects inside of it: they take its place, or are deleted like it."
    )

    @property
    def deletion(self) -> ProjectDeletion:
        if self.move_tasks_to is None:
            return ProjectDeletion(subprojects=self.subprojects)
        return ProjectDeletion(tasks=ProjectTasksAction.MOVE, to=self.move_tasks_to, subprojects=self.subprojects)


class DuplicateProject(ProjectDuplicate):
    project_id: ProjectNumber


class DoneProject(BaseModel):
    """The outcome of a write to a project."""

    project_id: int
    uid: str
    status: Literal["created", "updated", "deleted"]
    name: str


class ProjectLine(BaseModel):
    id: int
    uid: str
    name: str
    color: str | None
    favorite: bool
    parent_id: int | None = Field(description="The project that contains it.")
    archived: bool


class ProjectLines(BaseModel):
    projects: list[ProjectLine]


def _project_result(project: Any, status: str) -> dict[str, Any]:
    return {"project_id": project.id, "uid": project.uid, "status": status, "name": project.name}


def _line(project: Any) -> dict[str, Any]:
    fields = {name: getattr(project, name) for name in ("id", "uid", "name", "color", "favorite", "parent_id")}
    return {**fields, "archived": project.archived_at is not None}


async def list_projects(call: ToolContext) -> Any:
    found, _ = await projects.list_projects(call.session, call.owner, call.arguments.archived)
    return {"projects": [_line(project) for project in found]}


async def create_project(call: ToolContext) -> Any:
    return _project_result(await projects.create_project(call.session, call.owner, call.arguments), "created")


async def update_project(call: ToolContext) -> Any:
    asked = call.arguments
    return _project_result(
        await projects.update_project(call.session, call.owner, asked.project_id, asked.change), "updated"
    )


async def duplicate_project(call: ToolContext) -> Any:
    asked = call.arguments
    copy = await duplicates.duplicate_project(call.session, call.owner, asked.project_id, asked)
    return _project_result(copy, "created")


async def delete_project(call: ToolContext) -> Any:
    asked = call.arguments
    project = await projects.get_project(call.session, call.owner, asked.project_id)
    await projects.delete_project(call.session, call.owner, asked.project_id, deletion=asked.deletion)
    return _project_result(project, "deleted")


PROJECT_TOOLS = [
    Tool(
        "list_projects",
        "List the projects that tasks can be kept in. A task in none is in the inbox.",
        ProjectQuery,
        ProjectLines,
        list_projects,
        read_only=True,
    ),
    Tool("create_project", "Create a project.", ProjectCreate, DoneProject, create_project),
    Tool(
        "update_project",
        "Rename, colour or archive a project, or put it inside of another one.",
        UpdateProject,
        DoneProject,
        update_project,
        idempotent=True,
    ),
    Tool(
        "duplicate_project",
        "Copy a project with its tasks and the projects inside of it, all open again.",
        DuplicateProject,
        DoneProject,
        duplicate_project,
    ),
    Tool(
        "delete_project",
        "Delete a project, and its tasks unless they are moved. Can be undone.",
        DeleteProject,
        DoneProject,
        delete_project,
        destructive=True,
    ),
]
