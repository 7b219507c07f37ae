"""Structured logs on standard error. Never a token, a title, a query or a user's id: that is a hash."""

import logging
import sys
from typing import Any

import structlog

from app.config import Settings
from app.request_id import request_id, short_hash, subject_hash

LIBRARIES = ("uvicorn.error", "alembic", "httpx", "httpcore", "httpx2", "httpcore2", "mcp", "openai")


def _add_request_id(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    if identifier := request_id():
        event["request_id"] = identifier
    if user := subject_hash():
        event["user"] = user
    if "user_id" in event:
        event["user"] = short_hash(event.pop("user_id"))
    return event


def _not_our_exit(record: logging.LogRecord) -> bool:
    """The lifespan has said in one line why it cannot start; the server's echo of that would bury it."""
    message = record.getMessage()
    if message.startswith("Application startup failed"):
        return False
    return not (message.startswith("Traceback") and message.rstrip().rsplit("\n", 1)[-1].startswith("SystemExit"))


def configure_logging(settings: Settings) -> None:
    """One handler for this service and the libraries under it."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
    ]
    # Tracebacks without local variables: those hold titles and tokens.
    frames = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    last: list[Any] = [frames, structlog.processors.JSONRenderer()] if as_json else [console]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),  # not its default, which prints on standard output
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_not_our_exit)
