"""What can be wrong with what is wanted of tasks."""

from app.errors.kinds import AppError, Conflict, Invalid, Kind, NotFound


class TaskNotFound(NotFound):
    code, message = "task_not_found", "Task not found"


class VersionConflict(AppError):
    kind, code = Kind.STALE, "version_conflict"
    message = "The task has changed since the version in If-Match: get it again."


class TaskCompleted(Conflict):
    code, message = "task_completed", "The task is completed: it reminds of nothing."


class ReminderPassed(Invalid):
    code, message = "reminder_passed", "That moment has passed."


class TooManyReminders(Conflict):
    code, message = "too_many_reminders", "The task has as many reminders as there can be: remove one first."
