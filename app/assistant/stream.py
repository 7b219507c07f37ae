"""The answer to a message as server-sent events: delta, tool_call, then done or error. Pure ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack, suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.assistant.idempotency import EVENT_STREAM_TYPE, encode_event
from app.assistant.turn import EventCallback
from app.errors import AppError
from app.http.connection import abort_of
from app.http.problems import log_unexpected_error, problem_from_error
from app.json_codec import encode

CHAT_SEND_TIMEOUT = 20.0  # seconds for which a client may leave sent data unread


async def cancel_on_disconnect(work: Coroutine[Any, Any, Any], receive: Receive) -> Any:
    """Returns the result of ``work``. Cancels it and raises ClientDisconnect if the client disconnects."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, watching):
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await working


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class ChatStream(Response):
    """Runs ``answer`` while it is sent. Errors are events: the status has been sent."""

    media_type = EVENT_STREAM_TYPE

    def __init__(
        self,
        answer: Callable[[EventCallback], Awaitable[dict[str, Any]]],
        headers: dict[str, str],
        admission: ExitStack,
    ) -> None:
        """Takes over ``admission``, which is left when the stream ends."""
        super().__init__(headers={**headers, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._answer, self._admission = answer, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._admission:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                await cancel_on_disconnect(self._run(send), receive)
            except ClientDisconnect:
                if abort := abort_of(scope):  # a client that does not read has not disconnected by itself
                    abort()

    async def _run(self, send: Send) -> None:
        async def write(kind: str, data: bytes, *, more: bool = True) -> None:
            try:
                async with asyncio.timeout(CHAT_SEND_TIMEOUT):
                    await send({"type": "http.response.body", "body": encode_event(kind, data), "more_body": more})
            except TimeoutError:
                raise ClientDisconnect from None

        async def emit(kind: str, data: Any) -> None:
            await write(kind, encode(data))

        try:
            kind, last = "done", encode(await self._answer(emit))
        except AppError as error:
            kind, last = "error", bytes(problem_from_error(error).body)
        except ClientDisconnect:
            raise
        except Exception as error:
            kind, last = "error", bytes(log_unexpected_error(error).body)
        await write(kind, last, more=False)
