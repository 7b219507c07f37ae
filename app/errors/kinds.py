"""The few ways in which a request can fail, and what is common to all facts."""

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
    BAD_GATEWAY = "bad_gateway"
    GATEWAY_TIMEOUT = "gateway_timeout"


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


class NotFound(AppError):
    """What is absent and what belongs to somebody else are the same answer."""

    kind, code, message = Kind.NOT_FOUND, "not_found", "Not found"


class Conflict(AppError):
    kind, code, message = Kind.CONFLICT, "conflict", "The request conflicts with what is stored."


class Invalid(AppError):
    kind, code, message = Kind.INVALID, "invalid", "The request is not acceptable."


class Unavailable(AppError):
    """The database did not answer in time or at all."""

    kind, code, message = Kind.UNAVAILABLE, "unavailable", "The service is not available right now: try again."


class Contention(Unavailable):
    """A deadlock or a serialization failure: the database undid the transaction, and doing it again is safe."""

    code = "contention"


class StorageFull(AppError):
    kind, code, message = Kind.STORAGE_FULL, "storage_full", "The database has no space left."


class NotYourPath(AppError):
    kind, code = Kind.FORBIDDEN, "forbidden"
    message = "Access denied: not authorized to access this user's resources"
