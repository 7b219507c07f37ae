"""What can be wrong with calendar feeds."""

from app.errors.kinds import AppError, Conflict, Kind, NotFound


class CalendarNotFound(NotFound):
    code, message = "calendar_not_found", "Calendar feed not found"


class CalendarTokenInvalid(AppError):
    """Also for a user that is not there: the answer tells nobody who is."""

    kind, code, message = Kind.UNAUTHENTICATED, "calendar_token_invalid", "This calendar address is not valid."


class TooManyCalendars(Conflict):
    code, message = "too_many_calendars", "This user has as many calendar feeds as there can be."
