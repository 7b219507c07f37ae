"""Errors of the database and its connections as application errors. Only this module maps SQLSTATE classes."""

import logging
import re

import asyncpg

from app.errors import (
    AppError,
    ChannelNameTaken,
    Conflict,
    Contention,
    DueDateNeeded,
    EmailTaken,
    Invalid,
    NotFound,
    ProjectNameTaken,
    StorageFull,
    TaskNotFound,
    Unavailable,
    UndoConflict,
    UnknownTimeZone,
    ViewNameTaken,
)

log = logging.getLogger(__name__)

DATABASE_RETRY_AFTER = 1  # seconds
# Exceptions that mean "no response": asyncpg does not wrap all of them in its own.
LOST_CONNECTION = (ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
NO_RESPONSE = (TimeoutError, OSError, *LOST_CONNECTION)
CONTENTION_STATES = {"40001", "40P01"}
BUSY_STATES = {"55P03", "57014", "53300", "53000", "53200", "53400", "25P03"}
DISK_FULL_STATES = {"53100"}
IO_ERROR_STATES = {"58030"}
SHARD_CONSTRAINT = re.compile(r'constraint "(\w+?)(?:_[0-9]{6,})?"')
FILE_REFUSED = "could not "  # a read-only file system has the SQLSTATE of a missing privilege, and this beginning

# Constraint -> application error. A constraint that is not listed is mapped by its SQLSTATE.
CONSTRAINT_ERRORS: dict[str, type[AppError]] = {
    "accounts_email_key_key": EmailTaken,
    "channels_name_key": ChannelNameTaken,
    "views_name_key": ViewNameTaken,
    "comments_task_id_fkey": TaskNotFound,  # deleted permanently by a concurrent request
    "projects_name_key": ProjectNameTaken,
    "tags_name_key": UndoConflict,  # every other write looks first, under the owner's lock
    "tasks_recurrence_check": DueDateNeeded,
}


def to_app_error(error: BaseException) -> AppError | None:
    """Returns the application error for ``error``; None if it is not a failure of the database but a bug."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_sqlstate(error)
    if isinstance(error, asyncpg.DataError):  # a value the driver could not encode, e.g. an integer beyond 64 bits
        return Invalid("A value is outside the range that can be stored.")
    if isinstance(error, NO_RESPONSE):
        return Unavailable(retry_after=DATABASE_RETRY_AFTER)
    return None


def is_connection_lost(error: BaseException) -> bool:
    """Returns whether the connection had ended before the statement was sent. A timeout does not show that."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("08", "57P"))
    return isinstance(error, LOST_CONNECTION)


def _constraint(error: asyncpg.PostgresError) -> str:
    """Returns the name of a constraint. An error of a shard has it only in its message, with a number."""
    name: str | None = getattr(error, "constraint_name", None)
    found = None if name else SHARD_CONSTRAINT.search(str(error))
    return found[1] if found else name or ""


def _of_sqlstate(error: asyncpg.PostgresError) -> AppError | None:
    state = error.sqlstate or ""
    if app_error := CONSTRAINT_ERRORS.get(_constraint(error)):
        return app_error()
    if state in DISK_FULL_STATES:
        return StorageFull()
    if state in CONTENTION_STATES:
        return Contention(retry_after=DATABASE_RETRY_AFTER)
    if state in BUSY_STATES or state.startswith(("08", "57P")):
        return Unavailable(retry_after=DATABASE_RETRY_AFTER)
    message = str(error.args[0]) if error.args else state
    if state in IO_ERROR_STATES or (state == "42501" and message.startswith(FILE_REFUSED)):
        log.error("the database cannot use its files: %s", message)
        return Unavailable(retry_after=DATABASE_RETRY_AFTER)
    if state == "42501":  # another user's row: row-level security held where the first two isolation layers failed
        log.critical("database denied access: %s", message)
        return NotFound()
    if state in {"23505", "23503"}:
        return Conflict()
    if state == "22023" and "time zone" in str(error):  # a missing role is also an "invalid parameter value"
        return UnknownTimeZone()
    if state.startswith("22") or state in {"23502", "23514"}:
        # Validation of the request should have refused it with a better message. The log shows no values of the user.
        log.warning("the database refused a value: %s %s", state, _constraint(error))
        return Invalid()
    return None
