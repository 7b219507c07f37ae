"""The reason why the service cannot start, in one line for the operator, without a traceback or a password."""

import socket

import asyncpg
from pydantic import ValidationError

from app.errors import AppError

STARTUP_HINTS = {
    asyncpg.InvalidPasswordError: "check the user and password in DATABASE_URL",
    asyncpg.InvalidCatalogNameError: "create it, or correct DATABASE_URL",
    asyncpg.ProtocolViolationError: "behind a connection pooler set STATEMENT_CACHE=off",
}


def describe_failure(error: BaseException) -> str:
    """Describes the error and, where it is known, its remedy."""
    if isinstance(error, AppError) and error.__cause__ is not None:
        # The application error is for clients; the operator may read the database's own message.
        return describe_failure(error.__cause__)
    if isinstance(error, asyncpg.PostgresError):
        text = str(error.args[0]) if error.args else type(error).__name__
        hint = next((hint for kind, hint in STARTUP_HINTS.items() if isinstance(error, kind)), None)
        return _one_line(f"{text}: {hint}" if hint else text)
    if isinstance(error, socket.gaierror):
        return "the host in DATABASE_URL is not known"
    if isinstance(error, TimeoutError):
        return "the database did not answer in time: check the host and port in DATABASE_URL"
    if isinstance(error, ConnectionError):
        return _one_line(f"cannot connect to the database: {error}")
    return _one_line(str(error) or type(error).__name__)


def describe_invalid_settings(error: ValidationError) -> list[str]:
    """Returns one line for each invalid setting, without its value, which may be a secret."""
    lines = []
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        text = found["msg"].removeprefix("Value error, ")  # the sentence of app.config
        lines.append(_one_line(f"{str(found['loc'][0]).upper()}: {text}" if found["loc"] else text))
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
