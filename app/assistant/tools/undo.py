"""The tool that undoes writes of an agent."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.assistant.tools.tool import NoArguments, Tool, ToolContext
from app.errors import AppError
from app.services.assistant import agent_writes

MAX_SHOWN_CHANGES = 20  # a tag can be on all tasks
STATUS_DESCRIPTION = "What happened to it: updated, completed, reopened, deleted, restored."


class UndoneTask(BaseModel):
    task_id: int
    uid: str | None
    status: str = Field(description=STATUS_DESCRIPTION)
    title: str


class UndoneProject(BaseModel):
    project_id: int
    uid: str | None
    status: str = Field(description=STATUS_DESCRIPTION)
    name: str


class UndoneComment(BaseModel):
    comment_id: int
    uid: str | None
    task_id: int
    status: str = Field(description=STATUS_DESCRIPTION)


class UndoneTagColor(BaseModel):
    """The colour of a tag."""

    name: str
    color: str
    status: str = Field(description=STATUS_DESCRIPTION)


class UndoneWrite(BaseModel):
    status: Literal["undone"]
    changes: list[UndoneTask | UndoneProject | UndoneComment | UndoneTagColor] = Field(
        description="Of more than 20 the first."
    )
    total: int = Field(description="How many there are.")


# The entities of agents' tools. Besides the id and the status, a model names fields of the row.
UNDONE_SHAPES: dict[str, type[BaseModel]] = {
    "task": UndoneTask,
    "project": UndoneProject,
    "comment": UndoneComment,
    "tag": UndoneTagColor,
}


def _describe_change(change: Any) -> dict[str, Any]:
    """Describes a change with the fields of its entity."""
    known = {f"{change.entity}_id": change.entity_id, "status": change.action}
    names = UNDONE_SHAPES[change.entity].model_fields
    return {name: known[name] if name in known else getattr(change.data, name) for name in names}


async def undo_last(call: ToolContext) -> Any:
    changes = await agent_writes.undo_last_write(call.session, call.owner, call.agent)
    if isinstance(changes, AppError):
        return changes
    return {
        "status": "undone",
        "changes": [_describe_change(change) for change in changes[:MAX_SHOWN_CHANGES]],
        "total": len(changes),
    }


UNDO_TOOLS = [
    Tool(
        "undo_last",
        "Undo the last change you made here; again, the one before it.",
        NoArguments,
        UndoneWrite,
        undo_last,
    ),
]
