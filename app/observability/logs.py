"""Structured logs on standard error. They never hold a token, a title or a query; user ids are hashed."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from app.config import Settings
from app.observability.request_context import request_id, short_hash, subject_hash

LIBRARY_LOGGERS = ("uvicorn.error", "alembic", "httpx", "httpcore", "httpx2", "httpcore2", "mcp")
# Attributes of every record; all others were passed as ``extra``.
RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
LEVEL_COLORS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}
COLOR_RESET = "\x1b[0m"


def _extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Returns the fields of the line other than its message."""
    given = {name: value for name, value in vars(record).items() if name not in RECORD_ATTRIBUTES}
    if identifier := request_id():
        given["request_id"] = identifier
    if user := subject_hash():
        given["user"] = user
    if "user_id" in given:
        given["user"] = short_hash(given.pop("user_id"))
    return given


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class JsonLines(logging.Formatter):
    """One JSON object a line. Tracebacks show code and no local variables, which may hold titles and tokens."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        fields |= _extra_fields(record) | {"timestamp": _time(record)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=repr)


class TerminalLines(logging.Formatter):
    """Lines for a person at a terminal, with the same fields."""

    def __init__(self, *, colored: bool) -> None:
        super().__init__()
        self._colors = LEVEL_COLORS if colored else {}

    def format(self, record: logging.LogRecord) -> str:
        level = f"[{record.levelname.lower():<8}]"
        if color := self._colors.get(record.levelname):
            level = f"{color}{level}{COLOR_RESET}"
        given = "".join(f" {name}={_quote_value(value)}" for name, value in _extra_fields(record).items())
        line = f"{_time(record)} {level} {record.getMessage():<30} [{record.name}]{given}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _quote_value(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() and " " not in value else repr(value)


def _is_no_startup_echo(record: logging.LogRecord) -> bool:
    """Drops the server's traceback of a failed start: the lifespan has logged the reason in one line."""
    message = record.getMessage()
    if message.startswith("Application startup failed"):
        return False
    return not (message.startswith("Traceback") and message.rstrip().rsplit("\n", 1)[-1].startswith("SystemExit"))


def configure_logging(settings: Settings) -> None:
    """Sets up one handler for this service and its libraries."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TerminalLines(colored=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in LIBRARY_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_no_startup_echo)
