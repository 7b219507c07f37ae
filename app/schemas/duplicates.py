"""Bodies of the requests that copy a task or a project with all that is below it."""

from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from app.models.projects import ProjectName
from app.models.task_fields import DueDate
from app.models.types import UID_HELP, Day, RequestModel, Uid, field_error, integral

SHIFT_DAYS_MAX = 36_500


class Duplication(RequestModel):
    """The options of any copy. Closed tasks are open again in it, and the occurrences of a series are left out."""

    uid: Uid | None = Field(None, description=UID_HELP)
    completed: StrictBool = Field(True, description="false: without what is done or cancelled.")
    comments: StrictBool = Field(False, description="true: with the comments.")


class TaskDuplicate(Duplication):
    model_config = ConfigDict(json_schema_extra={"examples": [{"due_date": "2027-01-15"}]})

    due_date: DueDate | None = Field(
        None,
        description="The due date of the copy. All other dates in it, and reminders, keep their distance from it. "
        "Default: all dates are kept.",
    )


class ProjectDuplicate(Duplication):
    """At most one of ``shift_days`` and ``start``. Without either, all dates are kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Move to Paris", "start": "2027-01-15"}]})

    name: ProjectName | None = Field(None, description='Default: the name with "(copy)".')
    shift_days: (
        Annotated[int, Field(strict=True, ge=-SHIFT_DAYS_MAX, le=SHIFT_DAYS_MAX), BeforeValidator(integral)] | None
    ) = Field(None, description="How many days later all dates are.")
    start: Day | None = Field(
        None, description="The day of the first due date in the copy; all other dates keep their distance from it."
    )

    @model_validator(mode="after")
    def _one_shift(self) -> Self:
        if self.shift_days is not None and self.start is not None:
            raise field_error("start", "one_shift", "Send shift_days or start.")
        return self
