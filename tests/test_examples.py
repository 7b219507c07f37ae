"""The examples of the README, run as they are."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db.url import ConnectOptions
from tests.servers import free_port, running
from tests.support import make_token

EXAMPLES = Path(__file__).parents[1] / "examples"
PATIENCE = 20.0


@contextmanager
def example(command: list[str], log: Path, **env: str) -> Iterator[Callable[[], list[str]]]:
    """Runs it; gives what it has printed so far."""
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


async def test_the_client_keeps_in_step_and_survives_a_restart(postgres: ConnectOptions, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/sync.mjs was not run")
    subject = f"user-{uuid.uuid4().hex}"
    with running(postgres.dsn) as server:
        env = {"URL": server.url, "TOKEN": make_token(subject)}
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


async def test_the_receiver_believes_only_what_was_signed(postgres: ConnectOptions, tmp_path: Path) -> None:
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
            told = (await person.get(f"/webhooks/{hook['id']}/deliveries")).json()
            assert [delivery["status"] for delivery in told] == [204]


def answers(url: str) -> bool:
    try:
        return httpx.post(url, content=b"{}", trust_env=False).status_code == 401
    except httpx.TransportError:
        return False
