"""Quick add: a line of text in, a task and what was understood out."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from app.domain.quick_add import QUICK_ADD_TEXT_MAX
from app.models.task_fields import DueDate, Priority, StartDate
from app.models.tasks import TaskRead
from app.models.types import UID_HELP, RequestModel, Uid, visible

EXAMPLE_TEXT = "Pay rent every month on the 1st at 9 #home p:high @bank"


QuickText = Annotated[StrictStr, visible(QUICK_ADD_TEXT_MAX), Field(min_length=1, max_length=QUICK_ADD_TEXT_MAX)]


class QuickTask(RequestModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": EXAMPLE_TEXT}]})

    text: QuickText
    uid: Uid | None = Field(None, description=UID_HELP)
    due_date: DueDate | None = Field(None, description="The due date of a task whose text has none.")
    dry_run: StrictBool = Field(False, description="Only say what would be understood.")


class Understood(BaseModel):
    """A piece of the text, `text[start:end]` in code points, and what it was read as."""

    text: str
    start: int
    end: int
    field: str = Field(description="project, tags, priority, due_date, start_date, recurrence or reminders.")
    value: str


class QuickAdded(BaseModel):
    task: TaskRead
    understood: list[Understood]


class TaskDraft(BaseModel):
    """A task as it would be created. ``project`` is a name: it may not be there yet."""

    title: str
    priority: Priority
    due_date: DueDate | None
    start_date: StartDate | None
    recurrence: str | None
    reminders: list[str] = Field(description="Instants, or durations from the due date.")
    tags: list[str]
    project: str | None


class QuickDraft(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "task": {
                        "title": "Buy milk",
                        "priority": "high",
                        "due_date": "2026-12-01",
                        "start_date": None,
                        "recurrence": None,
                        "reminders": [],
                        "tags": [],
                        "project": None,
                    },
                    "understood": [{"text": "p:high", "start": 9, "end": 15, "field": "priority", "value": "high"}],
                }
            ]
        }
    )

    task: TaskDraft
    understood: list[Understood]


QUICK_DRAFT_RESPONSE: dict[str, Any] = {"model": QuickDraft, "description": "With `dry_run`: nothing was created."}
