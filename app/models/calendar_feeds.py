"""Calendar feeds: each has its own token, which is valid for that feed only."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr
from sqlalchemy import ForeignKeyConstraint, LargeBinary, Text
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import identity, written_at
from app.models.types import Instant, Int64, RequestModel, visible

FEED_NAME_MAX = 100


class CalendarFeed(SQLModel, table=True):
    """``token_hash`` is the SHA-256 of the token in the feed's URL."""

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["users.id"], name="calendar_feeds_user_id_fkey", ondelete="CASCADE"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    name: str = Col(sa_type=Text)
    token_hash: bytes = Col(sa_type=LargeBinary)
    created_at: datetime = written_at()


class CalendarCreate(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "phone"}]})

    name: Annotated[StrictStr, visible(FEED_NAME_MAX), Field(min_length=1, max_length=FEED_NAME_MAX)] = "calendar"


class CalendarRead(BaseModel):
    id: Int64
    name: str
    created_at: Instant


class CalendarCreated(CalendarRead):
    """The only response that contains the token."""

    token: str
    url: str = Field(description="The URL that a calendar subscribes to.")
