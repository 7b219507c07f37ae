"""Errors of calendar feeds."""

from app.errors.kinds import AppError, Conflict, ErrorKind, NotFound


class CalendarNotFound(NotFound):
    code, message = "calendar_not_found", "Calendar feed not found"


class CalendarTokenInvalid(AppError):
    """Also for a user that does not exist: the response does not disclose who does."""

    kind, code, message = ErrorKind.UNAUTHENTICATED, "calendar_token_invalid", "This calendar URL is not valid."


class TooManyCalendars(Conflict):
    code, message = "too_many_calendars", "This user has the maximum number of calendar feeds."
