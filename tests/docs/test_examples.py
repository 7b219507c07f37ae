"""The programs of examples/, run unchanged."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.ports import free_port
from tests.servers import running
from tests.support import make_token

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 20.0


@contextmanager
def example(command: list[str], log: Path, **env: str) -> Iterator[Callable[[], list[str]]]:
    """Runs an example; yields a function that returns its output so far."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], **env}, stdout=output)
        try:
            yield lambda: log.read_text().splitlines()
        finally:
            process.kill()
            process.wait()


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.05)


async def test_the_sync_example_stays_up_to_date_across_a_restart(postgres: ConnectOptions, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/sync.mjs was not run")
    subject = f"user-{uuid.uuid4().hex}"
    with running(postgres.dsn) as server:
        env = {"TODO_URL": server.url, "TODO_TOKEN": make_token(subject)}
        async with server.person(subject) as person:
            first = await person.add("a")
            with example([node, str(EXAMPLES / "sync.mjs")], tmp_path / "log", **env) as said:

                def titles() -> list[str]:
                    lines = said()
                    return list(json.loads(lines[-1])["titles"]) if lines else []

                await until(lambda: titles() == ["a"])
                await person.add("b")
                await person.patch(f"/tasks/{first['id']}", {"title": "c"})
                await until(lambda: titles() == ["b", "c"])
                await asyncio.to_thread(server.stop)
                server.start()
                await person.delete(f"/tasks/{first['id']}")
                await person.add("d")
                await until(lambda: titles() == ["b", "d"])


class Shaky(BaseHTTPRequestHandler):
    """A service whose second page fails at first, whose stream requires a new snapshot, which then fails."""

    asked: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.asked.append(self.path)
        second, times = "cursor" in self.path, self.asked.count(self.path)
        if self.path.endswith("/events"):
            self.answer(410, "")
        elif times > 2 or (second and times == 1):
            self.answer(503, "")
        else:
            row = {"id": int(second), "uid": str(second), "title": "b" if second else "a"}
            change = {"entity": "task", "entity_id": row["id"], "action": "snapshot", "data": row}
            cursor = None if second else "2"
            page = {"changes": [change], "next": 2, "cursor": cursor, "has_more": not second}
            self.answer(200, json.dumps(page))

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


async def test_the_sync_example_uses_only_complete_snapshots_and_pauses_after_a_failure(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/sync.mjs was not run")
    page, stream = "/api/me/changes?snapshot=true&limit=1000", "/api/me/events"
    following = f"{page}&cursor=2"
    with ThreadingHTTPServer(("127.0.0.1", 0), Shaky) as server:
        threading.Thread(target=server.serve_forever).start()
        env = {"TODO_URL": f"http://127.0.0.1:{server.server_port}", "TODO_TOKEN": "t"}
        try:
            with example([node, str(EXAMPLES / "sync.mjs")], tmp_path / "log", **env) as said:
                await until(lambda: Shaky.asked.count(page) > 2)
                await asyncio.sleep(0.5)  # its pause is a second
                assert Shaky.asked == [page, following, page, following, stream, page]
                assert [json.loads(line)["titles"] for line in said()] == [["a", "b"]]
        finally:
            server.shutdown()


async def test_the_receiver_example_accepts_only_signed_webhooks(postgres: ConnectOptions, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    env = {"WEBHOOKS_ALLOW_PRIVATE": "true", "WORKER": "inside"}
    with running(postgres.dsn, **env) as server:
        async with server.person(f"user-{uuid.uuid4().hex}") as person:
            hook = (await person.post("/webhooks", {"url": url})).json()
            command = [sys.executable, str(EXAMPLES / "webhook_receiver.py")]
            with example(command, tmp_path / "log", SECRET=hook["secret"], PORT=str(port)) as said:
                await until(lambda: answers(url))
                forged = {"webhook-id": "1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
                assert (await person.client.post(url, content=b"{}", headers=forged)).status_code == 401
                await person.add("Buy milk")
                await until(lambda: said() == ['task.created "Buy milk"'])
            deadline = time.monotonic() + PATIENCE  # the delivery is recorded after it was received
            while not (told := (await person.get(f"/webhooks/{hook['id']}/deliveries")).json()):
                assert time.monotonic() < deadline, "it was never recorded"
                await asyncio.sleep(0.05)
            assert [delivery["status"] for delivery in told] == [204]


def answers(url: str) -> bool:
    try:
        return httpx.post(url, content=b"{}", trust_env=False).status_code == 401
    except httpx.TransportError:
        return False
