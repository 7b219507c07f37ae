"""Errors of imports."""

from app.errors.kinds import AppError, ErrorKind, Invalid

# Here because the messages name them.
EXPORT_FORMAT = "todo/1"
NESTED_MAX = 20  # components of an iCalendar


class TooManyRows(AppError):
    kind, code = ErrorKind.TOO_LARGE, "too_many_rows"
    message = "The file has more rows than this service imports at once: cut it into several."


class WrongFormat(Invalid):
    code, message = (
        "import_format",
        f'The document is not an export of this service: "format" is not "{EXPORT_FORMAT}".',
    )


class NotACalendar(Invalid):
    code, message = "import_format", "The file is not an iCalendar: it does not begin with BEGIN:VCALENDAR."


class NestedTooDeep(Invalid):
    code, message = "import_format", f"The components of an iCalendar are nested at most {NESTED_MAX} levels deep."


class NoTitleColumn(Invalid):
    code = "import_format"
    message = (
        'The first line of a CSV names its columns, and one of them is "title"; '
        "they are separated by commas, semicolons, tabs or vertical bars."
    )
