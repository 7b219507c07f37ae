"""What can be wrong with what is wanted of tasks."""

from app.errors.kinds import AppError, Kind, NotFound


class TaskNotFound(NotFound):
    code, message = "task_not_found", "Task not found"


class VersionConflict(AppError):
    kind, code = Kind.STALE, "version_conflict"
    message = "The task has changed since the version in If-Match: get it again."
