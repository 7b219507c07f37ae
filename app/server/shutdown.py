"""Hearing of the end in time.

uvicorn first waits until all answers are complete and only then tells the lifespan, so an open stream would hold the
process until its grace is over. A subclass of ``uvicorn.Server`` could hear the signal, but not in the processes of
WEB_CONCURRENCY, where uvicorn makes its own servers: so its signal handlers are wrapped.
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
    """Call ``callback`` in the event loop as soon as uvicorn is told to stop. Without uvicorn nothing happens."""
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
