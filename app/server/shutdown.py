"""A callback as soon as the server receives a signal to stop.

uvicorn first waits until all responses are complete and only then ends the lifespan, so an open stream would hold the
process until the grace period is over. A subclass of ``uvicorn.Server`` could handle the signal, but not in the
processes of WEB_CONCURRENCY, where uvicorn creates its own servers: so its signal handlers are wrapped.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn


@contextmanager
def before_shutdown(callback: Callable[[], None]) -> Iterator[None]:
    """Calls ``callback`` in the event loop as soon as uvicorn receives SIGINT or SIGTERM; never without uvicorn."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    wrapped: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        handler = signal.getsignal(number)
        if isinstance(getattr(handler, "__self__", None), uvicorn.Server):
            wrapped[number] = handler

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        wrapped[number](number, frame)

    for number in wrapped:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in wrapped.items():
            if signal.getsignal(number) is handle:
                signal.signal(number, handler)
