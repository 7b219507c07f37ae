"""The query of a list of comments."""

from pydantic import Field

from app.models.base import Shape
from app.paging import LIMIT_DEFAULT
from app.schemas.task_query import CursorText, Limit


class CommentsQuery(Shape):
    """Only a page: comments have one order."""

    limit: Limit = LIMIT_DEFAULT
    cursor: CursorText | None = Field(None, description="Opaque; from the Link header of the page before.")
