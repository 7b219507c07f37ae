"""The only source of "now" outside the database."""

from datetime import UTC, datetime


def now() -> datetime:
    """Returns the current instant, with time zone UTC."""
    return datetime.now(UTC)
