"""A response that is sent while it is generated, and cut off visibly if that fails."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import AppError
from app.http.connection import abort_of

log = logging.getLogger(__name__)

FIRST_BYTES = 65_536  # bytes generated before the response starts: an error until then has a status
ABORT_SECONDS = 1.0  # seconds within which the server notices an aborted connection


class StreamedFile(StreamingResponse):
    """Sends ``chunks`` and yields to the event loop after each.

    An application error after the first FIRST_BYTES bytes aborts the connection: the client sees a truncated response.
    """

    def __init__(self, chunks: AsyncIterator[bytes], *, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(_yield_between_chunks(chunks), media_type=media_type, headers=headers)
        self._scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        chunks: Any = self.body_iterator
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) >= FIRST_BYTES or self._scope.get("head"):
                break
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self._scope.get("head"):  # set by RequestContextMiddleware: HEAD has no content
            await chunks.aclose()
        else:
            await send({"type": "http.response.body", "body": bytes(head), "more_body": True})
            try:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except AppError as error:
                log.warning("response aborted: %s", error.code)
                if (abort := abort_of(self._scope)) is None:
                    raise
                abort()
                await asyncio.sleep(ABORT_SECONDS)  # the server would log a response without an end as an error
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _yield_between_chunks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yields to the event loop after each chunk: a server that buffers chunks does not do so itself."""
    async for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)
