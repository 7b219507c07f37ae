"""Where a client continues from."""

from typing import Annotated

from pydantic import Field

from app.models.base import MAX_ID, Shape
from app.schemas.task_query import Limit, Whole

Since = Annotated[int, Whole, Field(ge=0, le=MAX_ID)]


class ChangesQuery(Shape):
    since: Since = Field(0, description="What came after this number: X-Revision of a list, or next of a page.")
    limit: Limit = Field(100, description="Rows; a page is longer where it would cut a write in two.")


class EventsQuery(Shape):
    since: Since | None = Field(
        None, description="Replay what came after this number first. Default: Last-Event-ID, else only what comes."
    )


class HistoryQuery(Shape):
    limit: Limit = Field(100, description="Writes, latest first.")
    before: Since | None = Field(None, description="Only writes before this number: the last one of the page before.")
