"""The tool that takes back what an agent did."""

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


def _told(change: Any) -> dict[str, Any]:
    if change.entity == "project":
        return {"project_id": change.entity_id, "status": change.action, "name": change.data.name}
    if change.entity == "comment":
        return {"comment_id": change.entity_id, "task_id": change.data.task_id, "status": change.action}
    return {"task_id": change.entity_id, "status": change.action, "title": change.data.title}


async def undo_last(call: Call) -> Any:
    changes = await agent_writes.undo_last_write(call.session, call.owner, call.source)
    return {"status": "undone", "changes": [_told(change) for change in changes[:SHOWN]], "total": len(changes)}


UNDO_TOOLS = [
    Tool("undo_last", "Undo the last change you made here; again, the one before it.", Nothing, Undone, undo_last),
]
