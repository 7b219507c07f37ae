"""Errors of calendar feeds, and of calendar apps."""

from typing import Any, ClassVar

from app.errors.kinds import AppError, Conflict, ErrorKind, NotFound


class CalendarNotFound(NotFound):
    code, message = "calendar_not_found", "Calendar feed not found"


class CalendarTokenInvalid(AppError):
    """Also for a user that does not exist: the response does not disclose who does."""

    kind, code, message = ErrorKind.UNAUTHENTICATED, "calendar_token_invalid", "This calendar URL is not valid."


class TooManyCalendars(Conflict):
    code, message = "too_many_calendars", "This user has the maximum number of calendar feeds."


class DavRefusal(AppError):
    """A request of a calendar app that fails a precondition: ``condition`` is its element (RFC 4918, 16)."""

    kind, code, message = ErrorKind.FORBIDDEN, "dav_refused", "A calendar app cannot do that here."
    condition: ClassVar[tuple[str, str]] = ("DAV:", "cannot-modify-protected-property")


class CalendarDataRefused(DavRefusal):
    code, message = "calendar_data_refused", "The body is no calendar object that this service can read."
    condition = ("urn:ietf:params:xml:ns:caldav", "valid-calendar-data")


class ComponentRefused(DavRefusal):
    code, message = "component_refused", "A list holds to-dos (VTODO) and nothing else."
    condition = ("urn:ietf:params:xml:ns:caldav", "supported-calendar-component")


class ObjectTooLarge(DavRefusal):
    code, message = "object_too_large", "The calendar object is larger than this service keeps."
    condition = ("urn:ietf:params:xml:ns:caldav", "max-resource-size")


class UidConflict(DavRefusal):
    code, message = "uid_conflict", "Another to-do has this name, or this one has another UID."
    condition = ("urn:ietf:params:xml:ns:caldav", "no-uid-conflict")


class SyncTokenInvalid(DavRefusal):
    code, message = "sync_token_invalid", "The changes since this token are not known (any more): begin without one."
    condition = ("DAV:", "valid-sync-token")

    def __init__(self, message: str | None = None, *, ahead: int = 0, **options: Any) -> None:
        """Takes in ``ahead`` a revision above the owner's, from before a restore."""
        super().__init__(message, **options)
        self.ahead = ahead


class ReportUnknown(DavRefusal):
    code, message = "report_unknown", "This report is not available here."
    condition = ("DAV:", "supported-report")


class CollectionRefused(DavRefusal):
    code, message = "collection_refused", "This collection cannot be made, moved or deleted."
    condition = ("urn:ietf:params:xml:ns:caldav", "calendar-collection-location-ok")


class FilterRefused(DavRefusal):
    code, message = "filter_refused", "The filter of the query is not acceptable."
    condition = ("urn:ietf:params:xml:ns:caldav", "valid-filter")


class MalformedXml(AppError):
    kind, code = ErrorKind.MALFORMED, "malformed_xml"
    message = "The body is not XML without a document type, of bounded size and depth."


class DavObjectNotFound(NotFound):
    code, message = "dav_not_found", "There is no such list or to-do here."
