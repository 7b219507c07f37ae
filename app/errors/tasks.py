"""Errors of tasks and projects."""

from app.errors.kinds import AppError, Conflict, ErrorKind, Invalid, NotFound


class TaskNotFound(NotFound):
    code, message = "task_not_found", "Task not found"


class VersionConflict(AppError):
    kind, code = ErrorKind.STALE, "version_conflict"
    message = "It has changed since the version in If-Match: get it again."


class TaskCompleted(Conflict):
    code, message = "task_completed", "The task is completed or cancelled: it sends no reminders."


class StatusConflict(Invalid):
    code, message = "status_conflict", "Send status or completed: they contradict each other."


class ReminderPassed(Invalid):
    code, message = "reminder_passed", "That time has passed."


class TooManyMatches(Invalid):
    code, message = "too_many_matches", "The filter matches more than 1,000 tasks, the most that one call may write."


class TooManyCopies(Invalid):
    code, message = (
        "too_many_copies",
        "It has more than 1,000 tasks, projects and comments, the most that one call may copy.",
    )


class ShiftTooFar(Invalid):
    code, message = "shift_too_far", "A date of the copy would be outside of the years 1900 to 2199."


class TooManyTags(Invalid):
    code, message = "too_many_tags", "One of the tasks would have more than 20 tags."


class TooManyReminders(Conflict):
    code, message = "too_many_reminders", "The task has the maximum number of reminders: remove one first."


class ProjectNotFound(NotFound):
    code, message = "project_not_found", "Project not found"


class ProjectNameTaken(Conflict):
    code, message = "project_name_taken", "There is a project of this name already."


class TooManyProjects(Conflict):
    code, message = "too_many_projects", "This user has the maximum number of projects."


class NoRoomBetween(Conflict):
    code, message = "no_room_between", "No position is left between the neighbours: move one of them elsewhere first."


class UnknownReference(Invalid):
    """A body or query refers to a row that does not exist, is in the trash or is another user's; ``loc`` names it."""

    code, message = "unknown_reference", "The request refers to something that does not exist."


class OtherProject(Invalid):
    code, message = "other_project", "A subtask is in the project of its parent."


class TooDeep(Invalid):
    code, message = "too_deep", "Subtasks can be at most 5 levels deep."


class NotRecurring(Conflict):
    code, message = "not_recurring", "Only an open recurring task has an occurrence to skip."


class DueDateNeeded(Invalid):
    code, message = "due_date_needed", "A recurring task needs a due date: send recurrence null as well to end it."

    def __init__(self, *, retry_after: int | None = None) -> None:
        super().__init__(retry_after=retry_after, loc=("body", "due_date"))


class InvalidRecurrence(Invalid):
    """The rule is not RFC 5545 or outside the supported subset; ``part`` is the name of the part in RFC 5545."""

    code, message = "invalid_recurrence", "The recurrence rule is not acceptable."

    def __init__(self, part: str, reason: str) -> None:
        self.part = part
        super().__init__(f"Recurrence rule, {part}: {reason}.", loc=("body", "recurrence"))
