"""``/mcp`` between the router and the SDK: started by its first request, stopped with the service."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.assistant.optional import load_in_thread, load_mcp_server
from app.assistant.tools import TOOLS_BY_NAME
from app.config import Settings
from app.db.database import Database
from app.errors import ENVELOPE_MAX, MessageTooLarge


class McpEndpoint:
    """The MCP server of one process. The SDK's task group runs in a task of its own, which ``aclose`` ends."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._starting = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._manager: Any = None

    async def answer(self, body: bytes) -> Response:
        """Starts the SDK at the first request. Raises AssistantNotInstalled."""
        async with self._starting:
            if self._running is None or self._running.done():
                await self._start()
        return _Handover(self._manager, body)

    async def aclose(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _start(self) -> None:
        module = await load_in_thread(load_mcp_server)
        limits = {"description_max": self._settings.description_max, "body_limit": self._settings.body_limit}
        self._manager = module.make_manager(self._database, **limits)
        started = asyncio.Event()
        self._running = asyncio.create_task(self._run(self._manager, started), name="mcp")
        await started.wait()

    async def _run(self, manager: Any, started: asyncio.Event) -> None:
        try:
            async with manager.run():
                started.set()
                await asyncio.Event().wait()
        finally:
            started.set()


class _Handover(Response):
    """A response that the SDK writes, from the body that was read and checked before."""

    def __init__(self, manager: Any, body: bytes) -> None:
        super().__init__()
        self._manager, self._read = manager, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = [{"type": "http.request", "body": self._read, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await receive()

        await self._manager.handle_request(scope, replay, send)


def calls_writing_tool(message: Any) -> bool:
    """Returns whether a message calls a tool that changes something."""
    params = message.get("params") if isinstance(message, dict) and message.get("method") == "tools/call" else None
    name = params.get("name") if isinstance(params, dict) else None
    return isinstance(name, str) and name in TOOLS_BY_NAME and not TOOLS_BY_NAME[name].read_only


def check_message(body: bytes, message: Any) -> None:
    """Checks the size without a tool's arguments. Raises MessageTooLarge."""
    if len(body) <= ENVELOPE_MAX:
        return
    params = message.get("params") if isinstance(message, dict) else None
    if not isinstance(params, dict) or message.get("method") != "tools/call":
        raise MessageTooLarge
    envelope = message | {"params": {name: value for name, value in params.items() if name != "arguments"}}
    if len(json.dumps(envelope)) > ENVELOPE_MAX:
        raise MessageTooLarge
