"""The tool that undoes writes of an agent."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.assistant.tools.tool import Call, Nothing, Tool
from app.services.assistant import agent_writes

SHOWN = 20  # a tag can be on all tasks
STATUS = "What happened to it: updated, completed, reopened, deleted, restored."


class UndoneTask(BaseModel):
    task_id: int
    status: str = Field(description=STATUS)
    title: str


class UndoneProject(BaseModel):
    project_id: int
    status: str = Field(description=STATUS)
    name: str


class UndoneComment(BaseModel):
    comment_id: int
    task_id: int
    status: str = Field(description=STATUS)


class Undone(BaseModel):
    status: Literal["undone"]
    changes: list[UndoneTask | UndoneProject | UndoneComment] = Field(description="Of more than 20 the first.")
    total: int = Field(description="How many there are.")


# What agents have tools for. Beside the id and the status, a shape names fields of the row.
UNDONE_SHAPES: dict[str, type[BaseModel]] = {"task": UndoneTask, "project": UndoneProject, "comment": UndoneComment}


def _describe(change: Any) -> dict[str, Any]:
    """Returns a change in the shape of its entity."""
    known = {f"{change.entity}_id": change.entity_id, "status": change.action}
    names = UNDONE_SHAPES[change.entity].model_fields
    return {name: known[name] if name in known else getattr(change.data, name) for name in names}


async def undo_last(call: Call) -> Any:
    changes = await agent_writes.undo_last_write(call.session, call.owner, call.source)
    return {"status": "undone", "changes": [_describe(change) for change in changes[:SHOWN]], "total": len(changes)}


UNDO_TOOLS = [
    Tool("undo_last", "Undo the last change you made here; again, the one before it.", Nothing, Undone, undo_last),
]
