"""The connection below a request.

ASGI cannot give one up: a server closes it when what was written has been read, so a client that never reads keeps it.
"""

from collections.abc import Callable

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT = "todo.abort"  # in the state of a request


class Connection(HttpToolsProtocol):
    """uvicorn's, and a request can drop it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][ABORT] = self.transport.abort


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """Drops the connection and what was not sent yet; None under another server."""
    abort: Callable[[], None] | None = scope.get("state", {}).get(ABORT)
    return abort
