"""Aborting the connection of a request.

ASGI has no way to do so: a server closes a connection once the client has read everything that was written, so a client
that never reads keeps it open.
"""

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

ABORT_STATE_KEY = "todo.abort"  # in the ``state`` of a request's scope


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """Returns what drops the connection and the data not yet sent; None under another server."""
    abort: Callable[[], None] | None = scope.get("state", {}).get(ABORT_STATE_KEY)
    return abort


async def require_client(request: Request) -> None:
    """Raises ClientDisconnect when the client has gone: no one would read the response."""
    if await request.is_disconnected():
        raise ClientDisconnect
