"""The kinds of application errors, and their base classes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """The ways in which a request can fail; ``app.http.problems`` maps each to an HTTP status."""

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
    BAD_GATEWAY = "bad_gateway"
    GATEWAY_TIMEOUT = "gateway_timeout"


# The same request would fail again.
FINAL_KINDS = frozenset(
    {
        ErrorKind.MALFORMED, ErrorKind.NOT_FOUND, ErrorKind.CONFLICT, ErrorKind.STALE, ErrorKind.GONE,
        ErrorKind.UNSUPPORTED_MEDIA, ErrorKind.INVALID,
    }
)  # fmt: skip


class AppError(Exception):
    """Base of all application errors. ``message`` may be shown to anyone; it never holds user data or internals."""

    kind: ClassVar[ErrorKind]
    code: ClassVar[str]
    message: ClassVar[str]

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: int | None = None,
        loc: tuple[str | int, ...] = (),
        reason: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Takes ``retry_after`` in seconds, and in ``loc`` the path of the offending input, as in FastAPI's errors.

        ``reason``, one word, and ``details`` are for the operator's log only.
        """
        self.detail = message or self.message
        self.retry_after = retry_after
        self.loc = loc
        self.reason = reason
        self.details = dict(details or {})
        super().__init__(self.detail)


class NotFound(AppError):
    """A row that does not exist, or that belongs to another user: the response is the same."""

    kind, code, message = ErrorKind.NOT_FOUND, "not_found", "Not found"


class Conflict(AppError):
    kind, code, message = ErrorKind.CONFLICT, "conflict", "The request conflicts with what is stored."


class Invalid(AppError):
    kind, code, message = ErrorKind.INVALID, "invalid", "The request is not acceptable."


class Unavailable(AppError):
    """The database did not answer in time or at all."""

    kind, code, message = ErrorKind.UNAVAILABLE, "unavailable", "The service is not available right now: try again."


class Contention(Unavailable):
    """A deadlock or a serialization failure: the transaction was rolled back, and repeating it is safe."""

    code = "contention"


class StorageFull(AppError):
    kind, code, message = ErrorKind.STORAGE_FULL, "storage_full", "The database has no space left."


class NotYourPath(AppError):
    kind, code = ErrorKind.FORBIDDEN, "forbidden"
    message = "Access denied: Not authorized to access this user's resources"
