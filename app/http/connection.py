"""The connection below a request.

ASGI cannot give one up: a server closes it when what was written has been read, so a client that never reads keeps it.
"""

from collections.abc import Callable

from starlette.types import Scope

ABORT = "todo.abort"  # in the state of a request


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """Drops the connection and what was not sent yet; None under another server."""
    abort: Callable[[], None] | None = scope.get("state", {}).get(ABORT)
    return abort
