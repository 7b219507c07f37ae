"""Statistics of all tasks of a user."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.models.types import Int64, RequestModel
from app.schemas.queries import WholeNumber

STATS_EXAMPLE: Any = {
    "timezone": "Europe/Berlin",
    "today": "2026-11-20",
    "totals": {"open": 12, "completed": 40, "cancelled": 1, "overdue": 2, "due_today": 1}
    | {"estimate_minutes": 240, "trash": 3},
    "per_day": [{"on": "2026-11-19", "done": 3}, {"on": "2026-11-20", "done": 1}],
    "per_week": [{"on": "2026-11-16", "done": 4}],
    "streak": {"current": 5, "longest": 12},
    "projects": [{"project_id": 3, "name": "Home", "open": 5, "done": 20}],
    "tags": [{"name": "errands", "open": 2, "done": 9}],
}


class StatsQuery(RequestModel):
    days: Annotated[int, Field(ge=1, le=366), WholeNumber] = Field(30, description="Days of per_day, today included.")


class Totals(BaseModel):
    open: int
    completed: int
    cancelled: int
    overdue: int
    due_today: int = Field(description="Open and due today.")
    estimate_minutes: int = Field(description="The sum of the open tasks that have an estimate.")
    trash: int


class CompletedCount(BaseModel):
    on: date = Field(description="The day; of a week its Monday.")
    done: int


class Streak(BaseModel):
    """Consecutive days on which at least one task was completed."""

    current: int = Field(description="Up to today, or up to yesterday while nothing was completed today.")
    longest: int


class ProjectStats(BaseModel):
    project_id: Int64 | None = Field(description="null: tasks in no project.")
    name: str | None
    open: int
    done: int


class TagStats(BaseModel):
    name: str
    open: int
    done: int


class StatsRead(BaseModel):
    """Days are those of the user's time zone. The trash counts only in `totals.trash`."""

    model_config = ConfigDict(json_schema_extra={"examples": [STATS_EXAMPLE]})

    timezone: str
    today: date
    totals: Totals
    per_day: list[CompletedCount] = Field(description="Each of the last days, oldest first.")
    per_week: list[CompletedCount] = Field(description="The whole weeks that contain these days.")
    streak: Streak
    projects: list[ProjectStats] = Field(description="The 100 with the most tasks.")
    tags: list[TagStats] = Field(description="The 100 with the most tasks.")
