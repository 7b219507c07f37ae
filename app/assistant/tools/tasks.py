"""The tools for tasks: the services that HTTP calls, and their shapes."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import MISSING, BaseModel, Field, StrictBool, StrictStr, model_validator

from app.assistant.tools.tool import (
    TOOL_PAGE_LIMIT,
    NextPage,
    NoArguments,
    PageArguments,
    TaskNumber,
    Tool,
    ToolContext,
    ToolLimit,
    changed_values,
)
from app.models.task_fields import Deadline, DueDate, Priority, StartDate, TaskStatus
from app.models.tasks import TaskCreate, TaskRead, TaskUpdate
from app.models.types import UID_HELP, RequestModel, RowId, Uid, UidTwin, cleaned
from app.pagination import Page
from app.schemas.duplicates import TaskDuplicate
from app.schemas.quick_add import QuickTask, QuickText
from app.schemas.task_actions import TaskMove, require_one_place
from app.schemas.task_query import SEARCH_MAX, TaskFilter, TaskQuery, TaskSort
from app.services.duplicates import duplicate_task as copy_task
from app.services.quick_add import quick_add_task
from app.services.retention import trash
from app.services.tasks import completion, create_update, creation, listing, reordering
from app.services.tasks import trash as task_trash

MOVE_PLACES = tuple(TaskMove.model_fields)
# The fields that PATCH empties with null, without those that have another value for it: lists, and what has a default.
ClearableField = Literal[
    "description", "due_date", "start_date", "deadline", "estimate_minutes", "project_id", "parent_id", "recurrence"
]


class TaskId(RequestModel):
    task_id: TaskNumber


class ListTasks(PageArguments, TaskFilter):
    """All filters must hold."""

    offset: ClassVar[None] = None
    sort: TaskSort = Field(TaskSort.CREATED_AT, description="What has no such date comes last. relevance needs search.")


class ListTrash(PageArguments):
    """Only a page, latest first."""

    offset: ClassVar[None] = None


class SearchTasks(RequestModel):
    query: Annotated[StrictStr, cleaned(SEARCH_MAX), Field(min_length=1, max_length=SEARCH_MAX)] = Field(
        description="Words that must all occur in title, description or tags, in any case."
    )
    limit: ToolLimit = TOOL_PAGE_LIMIT


class UpdateTask(TaskUpdate):
    """Only the fields sent change."""

    ABOUT: ClassVar[frozenset[str]] = frozenset({"task_id"})
    # Left out: an agent reads a row directly before it changes it.
    base_version: ClassVar[None] = None  # type: ignore[misc]
    on_conflict: ClassVar[None] = None  # type: ignore[misc]

    uid: ClassVar[None] = None  # type: ignore[misc]  # the row is named by its id
    task_id: TaskNumber
    clear: Annotated[list[ClearableField], Field(min_length=1, max_length=8)] | MISSING = Field(
        MISSING, description="Fields to empty."
    )

    @property
    def change(self) -> TaskUpdate:
        return TaskUpdate.model_construct(None, **changed_values(self))


class DuplicateTask(TaskDuplicate):
    task_id: TaskNumber


class CompleteTask(TaskId):
    completed: StrictBool = Field(True, description="false: open again.")


class WriteDone(BaseModel):
    """The effect of a write on a task."""

    task_id: int
    uid: str
    status: Literal["created", "updated", "completed", "reopened", "deleted", "restored", "moved", "skipped"]
    title: str


class TaskLine(BaseModel):
    """A task in a list; get_task returns all fields."""

    id: int
    uid: str
    title: str
    completed: bool
    status: TaskStatus
    priority: Priority
    due_date: DueDate | None
    start_date: StartDate | None
    deadline: Deadline | None
    tags: list[str]


class TaskLines(NextPage):
    tasks: list[TaskLine]


class QuickAdd(RequestModel):
    text: QuickText
    uid: Uid | None = Field(None, description=UID_HELP)


class MoveTask(RequestModel):
    TWINS: ClassVar[Mapping[str, UidTwin]] = TaskMove.TWINS

    task_id: TaskNumber
    before: RowId | MISSING = MISSING
    before_uid: Uid | MISSING = MISSING
    after: RowId | MISSING = MISSING
    after_uid: Uid | MISSING = MISSING
    project_id: RowId | Literal["none"] | MISSING | None = Field(MISSING, description="none: into the inbox.")
    project_uid: Uid | MISSING = MISSING
    parent_id: RowId | Literal["none"] | MISSING | None = Field(MISSING, description="none: to the top level.")
    parent_uid: Uid | MISSING = MISSING

    @model_validator(mode="before")
    @classmethod
    def _drop_unused_places(cls, data: Any) -> Any:
        """Leaves out null next to a place; alone it means none."""
        if isinstance(data, dict) and any(data.get(name) is not None for name in MOVE_PLACES):
            return {name: value for name, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _one_place(self) -> "MoveTask":
        require_one_place(self.sent_fields - {"task_id"})
        return self

    @property
    def move(self) -> TaskMove:
        sent: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set - {"task_id"}}
        places: dict[str, Any] = {name: None if at == "none" else at for name, at in sent.items()}
        return TaskMove.model_construct(None, **places)


class Read(BaseModel):
    """A piece of the text, and what it was read as."""

    text: str
    field: str
    value: str


class QuickDone(WriteDone):
    understood: list[Read]


class Skipped(WriteDone):
    due_date: DueDate | None = Field(description="The next date. A series that was at its last one is completed.")


class Emptied(BaseModel):
    status: Literal["emptied"]
    deleted: int = Field(description="Tasks, comments, projects and views that were deleted permanently.")


def done(task: Any, status: str) -> dict[str, Any]:
    return {"task_id": task.id, "uid": task.uid, "status": status, "title": task.title}


def _lines(page: Page) -> dict[str, Any]:
    shown = [{name: getattr(task, name) for name in TaskLine.model_fields} for task in page.rows]
    return {"tasks": shown, "next_cursor": page.next_cursor}


async def add_task(call: ToolContext) -> Any:
    return done(await creation.create_task(call.session, call.owner, call.arguments), "created")


async def list_tasks(call: ToolContext) -> Any:
    return _lines(await listing.list_tasks(call.session, call.owner, call.arguments, count=False))


async def search_tasks(call: ToolContext) -> Any:
    query = TaskQuery(search=call.arguments.query, limit=call.arguments.limit)
    return _lines(await listing.list_tasks(call.session, call.owner, query, count=False))


async def get_task(call: ToolContext) -> Any:
    return await create_update.get_task(call.session, call.owner, call.arguments.task_id)


async def update_task(call: ToolContext) -> Any:
    changed = await create_update.update_task(call.session, call.owner, call.arguments.task_id, call.arguments.change)
    return done(changed, "updated")


async def complete_task(call: ToolContext) -> Any:
    completed = call.arguments.completed
    task = await completion.complete_task(call.session, call.owner, call.arguments.task_id, completed)
    return done(task, "completed" if completed else "reopened")


async def duplicate_task(call: ToolContext) -> Any:
    return done(await copy_task(call.session, call.owner, call.arguments.task_id, call.arguments), "created")


async def delete_task(call: ToolContext) -> Any:
    return done(await task_trash.delete_task(call.session, call.owner, call.arguments.task_id), "deleted")


async def restore_task(call: ToolContext) -> Any:
    return done(await task_trash.restore_task(call.session, call.owner, call.arguments.task_id), "restored")


async def list_trash(call: ToolContext) -> Any:
    return _lines(await listing.list_trash(call.session, call.owner, call.arguments, count=False))


async def empty_trash(call: ToolContext) -> Any:
    return {"status": "emptied", "deleted": await trash.empty_trash(call.session, call.owner)}


async def quick_add(call: ToolContext) -> Any:
    wanted = QuickTask(text=call.arguments.text, uid=call.arguments.uid)
    added = await quick_add_task(call.session, call.owner, wanted)
    pieces = [{name: span[name] for name in Read.model_fields} for span in added["understood"]]
    return {**done(added["task"], "created"), "understood": pieces}


async def move_task(call: ToolContext) -> Any:
    moved = await reordering.move_task(call.session, call.owner, call.arguments.task_id, call.arguments.move)
    return done(moved, "moved")


async def skip_task(call: ToolContext) -> Any:
    task = await completion.skip_task(call.session, call.owner, call.arguments.task_id)
    return {**done(task, "completed" if task.completed else "skipped"), "due_date": task.due_date}


TASK_TOOLS = [
    Tool("add_task", "Add a task. Only the title is required.", TaskCreate, WriteDone, add_task),
    Tool(
        "list_tasks",
        "List tasks, newest first, with filters and order. status=pending lists what is open.",
        ListTasks,
        TaskLines,
        list_tasks,
        read_only=True,
    ),
    Tool("search_tasks", "Find tasks by words, open and completed.", SearchTasks, TaskLines, search_tasks, True),
    Tool("get_task", "All about one task, its description too.", TaskId, TaskRead, get_task, read_only=True),
    Tool(
        "update_task",
        "Change fields of a task.",
        UpdateTask,
        WriteDone,
        update_task,
        idempotent=True,
    ),
    Tool(
        "complete_task",
        "Mark a task as done, or open it again.",
        CompleteTask,
        WriteDone,
        complete_task,
        idempotent=True,
    ),
    Tool(
        "duplicate_task",
        "Copy a task with its subtasks, open again, for another due date or the same.",
        DuplicateTask,
        WriteDone,
        duplicate_task,
    ),
    Tool(
        "delete_task",
        "Move a task to the trash, from where it can be restored.",
        TaskId,
        WriteDone,
        delete_task,
        destructive=True,
    ),
    Tool("restore_task", "Bring a task back from the trash.", TaskId, WriteDone, restore_task, idempotent=True),
    Tool(
        "list_trash", "List deleted tasks that can be restored, latest first.", ListTrash, TaskLines, list_trash, True
    ),
    Tool(
        "empty_trash",
        "Delete permanently what is in the trash, and deleted comments, projects and views. Cannot be undone.",
        NoArguments,
        Emptied,
        empty_trash,
        destructive=True,
        idempotent=True,
    ),
    Tool(
        "quick_add",
        "Add a task from one line of English, such as: Pay rent every month on the 1st at 9 #home p:high @bank. "
        "# names a project, @ a tag.",
        QuickAdd,
        QuickDone,
        quick_add,
    ),
    Tool(
        "move_task",
        "Put a task before or after another in the order by hand, into a project, or below another task. "
        "Without before and after it comes last.",
        MoveTask,
        WriteDone,
        move_task,
        keeps_null=frozenset({"project_id", "parent_id"}),
    ),
    Tool("skip_task", "Move a repeating task on to its next date without doing it.", TaskId, Skipped, skip_task),
]
