"""What can go wrong, as facts. Each has a kind, a stable code and a sentence for a person.

Services raise facts; ``app.problems`` is the only place that knows which HTTP status a kind has.
"""

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """The few ways in which a request can fail."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STALE = "stale"
    GONE = "gone"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA = "unsupported_media"
    INVALID = "invalid"
    RATE_LIMITED = "rate_limited"
    STORAGE_FULL = "storage_full"
    UNAVAILABLE = "unavailable"


class AppError(Exception):
    """Base of all facts. ``message`` may be shown to anyone; it never holds user data or internals."""

    kind: ClassVar[Kind]
    code: ClassVar[str]
    message: ClassVar[str]

    def __init__(
        self, message: str | None = None, *, retry_after: int | None = None, loc: tuple[str, ...] = ()
    ) -> None:
        """``retry_after`` is in seconds; ``loc`` names the offending input, as in FastAPI's errors."""
        self.detail = message or self.message
        self.retry_after = retry_after
        self.loc = loc
        super().__init__(self.detail)


class MalformedBody(AppError):
    kind, code, message = Kind.MALFORMED, "malformed_body", "The body is not valid JSON in UTF-8."


class UnsupportedMediaType(AppError):
    kind, code, message = Kind.UNSUPPORTED_MEDIA, "unsupported_media_type", "Send the body as application/json."


class BodyTooLarge(AppError):
    kind, code, message = Kind.TOO_LARGE, "body_too_large", "The body is larger than this service accepts."


class TokenMissing(AppError):
    kind, code = Kind.UNAUTHENTICATED, "token_missing"
    message = "Authentication required: send 'Authorization: Bearer <token>'."


class TokenNotBearer(AppError):
    kind, code = Kind.UNAUTHENTICATED, "token_not_bearer"
    message = "The Authorization header must be 'Bearer <token>'."


class TokenExpired(AppError):
    kind, code, message = Kind.UNAUTHENTICATED, "token_expired", "The token has expired: get a new one."


class TokenInvalid(AppError):
    kind, code, message = Kind.UNAUTHENTICATED, "token_invalid", "The token is not valid here."


class SessionEnded(AppError):
    kind, code, message = Kind.UNAUTHENTICATED, "session_ended", "This session has ended: log in again."


class LoginFailed(AppError):
    """The same for an unknown e-mail and a wrong password."""

    kind, code, message = Kind.UNAUTHENTICATED, "login_failed", "E-mail or password is wrong."


class WrongPassword(AppError):
    """Of somebody who is logged in: 403, because a 401 would make clients throw the session away."""

    kind, code, message = Kind.FORBIDDEN, "wrong_password", "The current password is wrong."


class RefreshTokenMissing(AppError):
    kind, code, message = Kind.UNAUTHENTICATED, "refresh_token_missing", "Send the refresh token."


class RefreshTokenInvalid(AppError):
    kind, code = Kind.UNAUTHENTICATED, "refresh_token_invalid"
    message = "The refresh token is not valid (any more): log in again."


class RefreshInProgress(AppError):
    kind, code = Kind.CONFLICT, "refresh_in_progress"
    message = "Another request is using this refresh token right now: use its answer, or try again."


class ResetTokenInvalid(AppError):
    kind, code = Kind.INVALID, "reset_token_invalid"
    message = "The reset token is not valid (any more): ask for a new mail."


class WeakPassword(AppError):
    kind, code = Kind.INVALID, "weak_password"
    message = "This is one of the most common passwords: choose another."


class EmailTaken(AppError):
    kind, code, message = Kind.CONFLICT, "email_taken", "There is an account with this e-mail already."


class AccountDisabled(AppError):
    kind, code, message = Kind.FORBIDDEN, "account_disabled", "This account has been disabled."


class RegistrationClosed(AppError):
    kind, code, message = Kind.FORBIDDEN, "registration_closed", "New accounts are made by the operator here."


class OriginRefused(AppError):
    kind, code = Kind.FORBIDDEN, "origin_refused"
    message = "This site may not use the refresh cookie: its Origin is not allowed here."


class InsufficientScope(AppError):
    kind, code = Kind.FORBIDDEN, "insufficient_scope"
    message = "This API token may only read."


class LoginRequired(AppError):
    kind, code = Kind.FORBIDDEN, "login_required"
    message = "This needs the access token of a login, not an API token or another issuer's token."


class TooManyAttempts(AppError):
    kind, code, message = Kind.RATE_LIMITED, "too_many_attempts", "Too many wrong attempts: wait and try again."


class NotYourPath(AppError):
    kind, code = Kind.FORBIDDEN, "forbidden"
    message = "Access denied: not authorized to access this user's resources"


class NotFound(AppError):
    """What is absent and what belongs to somebody else are the same answer."""

    kind, code, message = Kind.NOT_FOUND, "not_found", "Not found"


class TaskNotFound(NotFound):
    code, message = "task_not_found", "Task not found"


class AccountNotFound(NotFound):
    code, message = "account_not_found", "There is no account for this user here."


class SessionNotFound(NotFound):
    code, message = "session_not_found", "Session not found"


class ApiTokenNotFound(NotFound):
    code, message = "api_token_not_found", "API token not found"


class VersionConflict(AppError):
    kind, code = Kind.STALE, "version_conflict"
    message = "The task has changed since the version in If-Match: get it again."


class Conflict(AppError):
    kind, code, message = Kind.CONFLICT, "conflict", "The request conflicts with what is stored."


class ChangesGone(AppError):
    """Also for a number that was never given out: the database is an older one than the client knows."""

    kind, code = Kind.GONE, "changes_gone"
    message = "Changes since that number are not kept: list again, and continue from its X-Revision."


class TooManyStreams(AppError):
    kind, code, message = Kind.RATE_LIMITED, "too_many_streams", "Too many event streams are open for this user."


class ChangeNotFound(NotFound):
    code, message = "change_not_found", "There is no change with that number."


class WebhookNotFound(NotFound):
    code, message = "webhook_not_found", "Webhook not found"


class UndoConflict(Conflict):
    code, message = "undo_conflict", "What this change wrote has been changed since."


class IdempotencyKeyInUse(AppError):
    kind, code = Kind.CONFLICT, "idempotency_key_in_use"
    message = "A request with this Idempotency-Key is still running."


class WebhookDisabled(Conflict):
    code, message = "webhook_disabled", "The webhook is not active: set active to true first."


class TooManyWebhooks(Conflict):
    code, message = "too_many_webhooks", "This user has as many webhooks as there can be."


class Invalid(AppError):
    kind, code, message = Kind.INVALID, "invalid", "The request is not acceptable."


class IdempotencyKeyReused(Invalid):
    code, message = "idempotency_key_reused", "This Idempotency-Key belongs to another request: use a new one."


class IdempotencyKeyInvalid(Invalid):
    code, message = "idempotency_key_invalid", "An Idempotency-Key has 1 to 255 visible ASCII characters."


class UrlRefused(Invalid):
    code, message = "url_refused", "The address is not one of the public internet."


class KeysUnavailable(AppError):
    kind, code = Kind.UNAVAILABLE, "keys_unavailable"
    message = "The token issuer's keys cannot be reached yet: try again."


class Unavailable(AppError):
    """The database did not answer in time or at all."""

    kind, code, message = Kind.UNAVAILABLE, "unavailable", "The service is not available right now: try again."


class Contention(Unavailable):
    """A deadlock or a serialization failure: the database undid the transaction, and doing it again is safe."""

    code = "contention"


class StorageFull(AppError):
    kind, code, message = Kind.STORAGE_FULL, "storage_full", "The database has no space left."


class AccountsUnavailable(AppError):
    kind, code = Kind.UNAVAILABLE, "accounts_unavailable"
    message = "This service has no key to sign tokens with: its operator must set JWT_SECRET or JWT_PRIVATE_KEY."


class MailUnavailable(AppError):
    kind, code = Kind.UNAVAILABLE, "mail_unavailable"
    message = "This service cannot send mail: its operator must set SMTP_URL."
