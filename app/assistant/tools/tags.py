"""The tools for tags and statistics."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.assistant.tools.tool import NextPage, PageArguments, Tool, ToolContext
from app.models.task_fields import Tag
from app.models.types import RequestModel
from app.schemas.queries import WholeNumber
from app.schemas.stats import StatsQuery, StatsRead
from app.schemas.tags import TagRead, TagUpdate
from app.services.tasks import stats, tags


class RenameTag(TagUpdate):
    tag: Tag


class DeleteTag(RequestModel):
    tag: Tag


class DoneTag(BaseModel):
    """The outcome of a write to a tag, on all tasks that have it."""

    tag: str
    status: Literal["renamed", "coloured", "deleted"]


class TagLines(NextPage):
    tags: list[TagRead]


class StatsArguments(StatsQuery):
    """Defaults to a week, and over HTTP to a month: each day costs a model about 12 tokens."""

    days: Annotated[int, Field(ge=1, le=366), WholeNumber] = Field(7, description="Days of per_day, today included.")


async def list_tags(call: ToolContext) -> Any:
    page = await tags.list_tags(call.session, call.owner, call.arguments)
    return {"tags": page.rows, "next_cursor": page.next_cursor}


async def rename_tag(call: ToolContext) -> Any:
    renamed = await tags.rename_tag(call.session, call.owner, call.arguments.tag, call.arguments)
    return {"tag": renamed.name, "status": "coloured" if call.arguments.name is None else "renamed"}


async def delete_tag(call: ToolContext) -> Any:
    await tags.delete_tag(call.session, call.owner, call.arguments.tag)
    return {"tag": call.arguments.tag, "status": "deleted"}


async def get_stats(call: ToolContext) -> Any:
    return await stats.get_stats(call.session, call.owner, days=call.arguments.days)


TAG_TOOLS = [
    Tool("list_tags", "List the tags in use, with how many tasks have each.", PageArguments, TagLines, list_tags, True),
    Tool(
        "rename_tag",
        "Rename a tag on all tasks, merge it into another, or give it a colour.",
        RenameTag,
        DoneTag,
        rename_tag,
    ),
    Tool("delete_tag", "Take a tag from all tasks; the tasks stay.", DeleteTag, DoneTag, delete_tag, destructive=True),
]
STATS_TOOLS = [
    Tool(
        "stats",
        "Count tasks: open, completed, overdue, due today, done per day and week, streak, by project and tag.",
        StatsArguments,
        StatsRead,
        get_stats,
        read_only=True,
    ),
]
