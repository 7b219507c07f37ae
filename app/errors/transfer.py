"""Errors of imports."""

from app.errors.kinds import AppError, ErrorKind, Invalid

# Here because the messages name them.
EXPORT_FORMAT = "todo/1"
NESTED_MAX = 20  # components of an iCalendar
READABLE_FILES = (
    "Files that can be imported: JSON or CSV of this service, iCalendar (also of Apple Reminders), todo.txt, Todoist "
    "(CSV, backup in a zip, JSON), TickTick (CSV), Microsoft To Do (JSON), Outlook's tasks (CSV), Google Takeout "
    "(Tasks.json), Vikunja (zip), Trello (JSON), Super Productivity (JSON), Taskwarrior (JSON); each also in a zip."
)


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


class UnknownDocument(Invalid):
    code, message = "import_format", f"The JSON is of no program that is known here. {READABLE_FILES}"


class UnknownFile(AppError):
    kind, code = ErrorKind.UNSUPPORTED_MEDIA, "unsupported_media_type"
    message = f"The content of the file is not recognized. {READABLE_FILES}"


class UnreadableArchive(Invalid):
    code, message = "import_format", "The zip is damaged, encrypted, or compressed in a way that is not read."


class ArchiveTooLarge(AppError):
    kind, code = ErrorKind.TOO_LARGE, "archive_too_large"
    message = "The zip holds more than this service unpacks: unpack it and send the files one by one."
