"""Errors of changes, event streams and webhooks."""

from collections.abc import Sequence
from typing import Any

from app.errors.kinds import AppError, Conflict, ErrorKind, NotFound


class ChangesGone(AppError):
    """Also for a cursor, and for a revision from before a restore, below the new epoch or above the owner's.

    ``ahead`` is the client's revision if it is above the owner's, else 0.
    """

    kind, code = ErrorKind.GONE, "changes_gone"
    message = (
        "Changes since that revision are no longer kept: begin again with a snapshot, /changes?snapshot=true, "
        "and continue from its next."
    )

    def __init__(self, message: str | None = None, *, ahead: int = 0, **options: Any) -> None:
        super().__init__(message, **options)
        self.ahead = ahead


class TooManyStreams(AppError):
    kind, code, message = ErrorKind.RATE_LIMITED, "too_many_streams", "Too many event streams are open for this user."


class ChangeNotFound(NotFound):
    code, message = "change_not_found", "There is no change with that revision."


class UndoConflict(Conflict):
    code, message = "undo_conflict", "The rows that this change wrote have been changed since."


class FieldConflict(Conflict):
    """``conflicts`` are objects with the name of a field, and its values at the base, now and in the request."""

    code, message = "field_conflict", "Other writes have changed the same fields since base_version."

    def __init__(
        self,
        message: str | None = None,
        *,
        conflicts: Sequence[dict[str, Any]] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.conflicts = conflicts


class WebhookNotFound(NotFound):
    code, message = "webhook_not_found", "Webhook not found"


class WebhookDisabled(Conflict):
    code, message = "webhook_disabled", "The webhook is not active: set active to true first."


class TooManyWebhooks(Conflict):
    code, message = "too_many_webhooks", "This user has the maximum number of webhooks."
