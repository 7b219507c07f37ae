"""The service as deployed: its own process, its own port, real sockets."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import httpx

from tests.ports import free_port
from tests.support import SECRET, Person

PATIENCE = 60.0  # seconds: several processes may start concurrently


class Server:
    """Runs ``python -m app serve`` on ``port``; ``start`` again restarts it on the same port."""

    def __init__(self, dsn: str, *, app: str | None = None, **env: str) -> None:
        """Prepares a server; ``app`` is a factory to serve instead, for faults that only a test causes.

        ``{url}`` in a value of ``env`` is its own URL. Without ``PORT`` it has a free one.
        """
        self.port = int(env.get("PORT", 0)) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        serve = ["app", "serve"]
        if app is not None:
            serve = ["uvicorn", "--factory", app, "--port", str(self.port), "--log-level", "warning"]
        self._command = [sys.executable, "-m", *serve]
        settings = {
            "DATABASE_URL": dsn,
            "JWT_SECRET": SECRET,
            "PORT": str(self.port),
            "ACCESS_LOG": "false",
            "WORKER": "off",
            **{name: value.replace("{url}", self.url) for name, value in env.items()},
        }
        self._env = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}} | settings
        self.process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def start(self) -> Self:
        if self.process is not None:  # it was killed
            self.process.wait(PATIENCE)
        root = Path(__file__).parents[1]
        if self._errors is None:  # a file, because a pipe that is not read would block the service
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(self._command, env=self._env, cwd=root, stderr=self._errors)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/ready", trust_env=False).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the service did not start: {self.stop(signal.SIGKILL)}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Stops the server, and returns its output to standard error."""
        assert self.process is not None
        assert self._errors is not None
        self.process.send_signal(how)
        self.process.wait(PATIENCE)
        with self._errors as written:
            written.seek(0)
            said = written.read().decode()
        self.process = self._errors = None
        return said

    @asynccontextmanager
    async def person(self, subject: str) -> AsyncIterator[Person]:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE) as client:
            yield Person(client, subject)


@contextmanager
def running(*args: Any, **options: Any) -> Iterator[Server]:
    server = Server(*args, **options).start()
    try:
        yield server
    finally:
        if server.process is not None:
            server.stop()


@contextmanager
def working(dsn: str, **env: str) -> Iterator[None]:
    """Runs ``todo worker`` next to the servers."""
    settings = {"DATABASE_URL": dsn, "JWT_SECRET": SECRET, "PATH": os.environ["PATH"], **env}
    command = [sys.executable, "-m", "app", "worker"]
    process = subprocess.Popen(command, env=settings, cwd=Path(__file__).parents[1])
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


class Event(NamedTuple):
    """A dispatched event; ``id`` is the last one received, as in a browser."""

    name: str
    id: str
    data: Any


class EventSource:
    """Reads a stream like a browser's EventSource, without reconnecting."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id, self.retry, self.comments = "", 0, 0
        self.lines = answer.aiter_lines()

    async def __aiter__(self) -> AsyncIterator[Event]:
        name, data = "message", ""
        async for line in self.lines:
            field, _, value = line.partition(": ")
            match field:
                case "":
                    if data:
                        yield Event(name, self.last_id, json.loads(data))
                    name, data = "message", ""
                case "id":
                    self.last_id = value
                case "event":
                    name = value
                case "data":
                    data = value
                case "retry":
                    self.retry = int(value)
                case _:
                    self.comments += line == ":"

    async def next(self) -> Event:
        async for event in self:
            return event
        raise EOFError

    async def rest(self) -> list[Event]:
        return [event async for event in self]


@asynccontextmanager
async def events(person: Person, query: str = "", **headers: str) -> AsyncIterator[EventSource]:
    path = f"/api/{person.subject}/events{query}"
    async with person.client.stream("GET", path, headers={**person.headers, **headers}) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield EventSource(answer)
