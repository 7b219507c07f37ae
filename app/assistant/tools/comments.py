"""The tools for comments."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.assistant.tools.tool import NextPage, PageArguments, TaskNumber, Tool, ToolContext
from app.models.comments import Body
from app.models.types import UID_HELP, RequestModel, Uid
from app.services import comments


class ListComments(PageArguments):
    task_id: TaskNumber


class AddComment(RequestModel):
    task_id: TaskNumber
    uid: Uid | None = Field(None, description=UID_HELP)
    body: Body


class DoneComment(BaseModel):
    """The outcome of a write to a comment."""

    comment_id: int
    uid: str
    task_id: int
    status: Literal["created"]


class CommentLine(BaseModel):
    id: int
    uid: str
    body: str
    created_at: datetime


class CommentLines(NextPage):
    comments: list[CommentLine]


async def list_comments(call: ToolContext) -> Any:
    page = await comments.list_comments(call.session, call.owner, call.arguments.task_id, call.arguments)
    lines = [{name: getattr(row, name) for name in CommentLine.model_fields} for row in page.rows]
    return {"comments": lines, "next_cursor": page.next_cursor}


async def add_comment(call: ToolContext) -> Any:
    made = await comments.create_comment(call.session, call.owner, call.arguments.task_id, call.arguments)
    return {"comment_id": made.id, "uid": made.uid, "task_id": made.task_id, "status": "created"}


COMMENT_TOOLS = [
    Tool("list_comments", "The comments on a task, oldest first.", ListComments, CommentLines, list_comments, True),
    Tool("add_comment", "Write a comment on a task.", AddComment, DoneComment, add_comment),
]
