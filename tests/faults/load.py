"""Clients that write and read at a bounded rate, through all faults, and keep the ledger."""

import asyncio
import itertools
import time
import uuid
from types import TracebackType
from typing import Any, Self

import httpx

from tests.faults.ledger import Ledger
from tests.support import make_token

CLIENTS, RATE = 16, 120  # connections; requests a second in total
PATIENCE = 40.0  # seconds; far longer than the service may take
PROBE_EVERY = 0.1


class Load:
    """Generates load; an async context manager.

    Of four requests one creates a task; one creates with an Idempotency-Key and repeats it until there is a response;
    one changes a task; one reads a list.
    """

    def __init__(self, url: str, *, token: Any = make_token, clients: int = CLIENTS, rate: float = RATE) -> None:
        run = uuid.uuid4().hex[:8]
        owners = [f"ledger-{run}-{number}" for number in range(4)]
        self.ledger = Ledger(owners)
        self.health: list[int] = []
        self.slowest_health = 0.0  # seconds
        self._url, self._token, self._clients, self._pause = url, token, clients, clients / rate
        self._ending = asyncio.Event()
        self._numbers = itertools.count()
        self._run = run
        self._tasks: list[asyncio.Task[None]] = []
        self.started_at = self.ended_at = 0.0

    async def __aenter__(self) -> Self:
        self.started_at = time.monotonic()
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(self._clients)]
        self._tasks.append(asyncio.create_task(self._probe()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.ended_at = time.monotonic()
        await asyncio.gather(*self._tasks)

    async def _work(self, number: int) -> None:
        owner = self.ledger.owners[number % len(self.ledger.owners)]
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=PATIENCE) as http:
            client = _Client(self, http, owner)
            await asyncio.sleep(self._pause * number / self._clients)
            for kind in itertools.cycle((client.create, client.create_once, client.change, client.read)):
                due = time.monotonic() + self._pause
                await kind(self.mark())
                try:
                    async with asyncio.timeout(max(0.0, due - time.monotonic())):
                        await self._ending.wait()
                    return
                except TimeoutError:
                    continue

    async def _probe(self) -> None:
        """Requests /health all the time, on connections of its own."""
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=PATIENCE) as http:
            while not self._ending.is_set():
                asked = time.monotonic()
                try:
                    self.health.append((await http.get("/health")).status_code)
                except httpx.TransportError:
                    self.health.append(0)
                self.slowest_health = max(self.slowest_health, time.monotonic() - asked)
                await asyncio.sleep(PROBE_EVERY)

    def mark(self) -> str:
        return f"{self._run}-{next(self._numbers)}"

    def bearer(self, owner: str) -> str:
        token: str = self._token(owner)
        return token


class _Client:
    def __init__(self, load: Load, http: httpx.AsyncClient, owner: str) -> None:
        self._load, self._http, self._path = load, http, f"/api/{owner}/tasks"
        self._ledger = load.ledger
        self._headers = {"Authorization": f"Bearer {load.bearer(owner)}"}
        self._own: int | None = None
        self._unknown: str | None = None

    async def create(self, mark: str) -> None:
        answer = await self._write("POST", "", mark, {"title": "plain", "description": mark})
        if answer is not None and answer.status_code == 201:
            self._own = answer.json()["id"]

    async def create_once(self, mark: str) -> None:
        """Creates like a careful client: with the same key again, at its next turn, until the outcome is known."""
        mark, self._unknown = self._unknown or mark, None
        body = {"title": "once", "description": mark}
        answer = await self._write("POST", "", mark, body, **{"Idempotency-Key": f"key-{mark}"})
        if answer is None or answer.status_code >= 500 or answer.status_code in (409, 429):
            self._unknown = mark

    async def change(self, mark: str) -> None:
        if self._own is not None:
            await self._write("PATCH", f"/{self._own}", mark, {"description": mark})

    async def read(self, mark: str) -> None:
        await self._call("GET", "?limit=5")

    async def _write(self, method: str, path: str, mark: str, body: Any, **headers: str) -> httpx.Response | None:
        self._ledger.sent.add(mark)
        answer = await self._call(method, path, json=body, headers=headers)
        if answer is not None and answer.is_success:
            self._ledger.acknowledged.add(mark)
        return answer

    async def _call(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        headers = self._headers | options.pop("headers", {})
        started = time.monotonic()
        try:
            answer = await self._http.request(method, self._path + path, headers=headers, **options)
        except httpx.TransportError:
            self._ledger.note(method, started, 0, retry_after=False)
            return None
        self._ledger.note(method, started, answer.status_code, "retry-after" in answer.headers)
        return answer
