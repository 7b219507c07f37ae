"""Reminders while one of two workers is killed: ``python -m tests.faults.deliveries`` prints the table."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg

from app.config import Settings
from app.db import migrations
from app.db.embedded import embedded_postgres
from tests.channels.conftest import VAPID_KEY
from tests.channels.push_service import Browser
from tests.channels.reminding import make_channel
from tests.faults.killed_worker import KILL_POINTS
from tests.receivers import receiving
from tests.servers import Server, running, working
from tests.support import SECRET, Person

ROOT = Path(__file__).parents[2]
OPTIONS = {"WEBHOOKS_ALLOW_PRIVATE": "true", "VAPID_PRIVATE_KEY": VAPID_KEY, "PUBLIC_URL": "https://todo.example.com"}
AT_ONCE, AHEAD = 6, 0.5  # reminders, and the seconds after which they are due
PATIENCE = 90.0  # seconds
# Else the messages of a killed worker would wait for 40 seconds. The other one sends within 20, however busy it is.
EXPIRE_LEASES = """
    update deliveries set leased_until = now() where user_id = $1 and lease is not null
      and leased_until < now() + interval '20 seconds'"""
SELECT_UNFINISHED = "select count(*) from deliveries where user_id = $1 and outcome is distinct from 'delivered'"
SELECT_NUMBER = "select count(*) from deliveries where user_id = $1"


class Result(NamedTuple):
    """Numbers of messages. ``renamed`` came again with another id, so that the receiver could not tell."""

    due: int
    lost: int
    doubled: int
    renamed: int
    unfinished: int


async def play(server: Server, dsn: str, step: str) -> Result:
    """Fires reminders until a second worker was killed at ``step``, and counts what arrived in the end."""
    with receiving(lambda _: 201) as ntfy, receiving(lambda _: 201) as push:
        async with server.person(f"anna-{time.monotonic_ns()}") as anna:
            browser = Browser()
            await make_channel(anna, kind="ntfy", url=ntfy.server_url, topic="anna")
            await make_channel(anna, kind="webpush", subscription=browser.subscription(push.server_url))
            titles = await _remind_until_killed(anna, dsn, step)
            unfinished = await _wait_for_outcomes(anna, dsn, 2 * len(titles))
    sent = [(call.json["title"], call.headers["x-sequence-id"]) for call in ntfy.calls]
    pushed = [(browser.read(call)["title"], call.headers["topic"]) for call in push.calls]
    return count_messages(titles, [sent, pushed], unfinished)


async def _remind_until_killed(anna: Person, dsn: str, step: str) -> list[str]:
    titles: list[str] = []
    env = {"DATABASE_URL": dsn, "JWT_SECRET": SECRET, "PATH": os.environ["PATH"], "KILLED_AT": step, **OPTIONS}
    command = [sys.executable, "-m", "tests.faults.killed_worker"]
    killed = await asyncio.to_thread(subprocess.Popen, command, env=env, cwd=ROOT)
    try:
        deadline = time.monotonic() + PATIENCE
        while killed.poll() is None:
            assert time.monotonic() < deadline, "it never came to this step"
            for _ in range(AT_ONCE):
                moment = datetime.now(UTC) + timedelta(seconds=AHEAD)
                task = await anna.add(f"task {len(titles)}", reminders=[moment.isoformat()])
                if task["remind_at"]:  # else the machine was too busy: the moment has passed
                    titles.append(task["title"])
            await asyncio.sleep(AHEAD)
    finally:
        killed.kill()
    assert killed.wait() == -9
    return titles


async def _wait_for_outcomes(anna: Person, dsn: str, count: int) -> int:
    """Returns how many messages have not been delivered in the end."""
    connection = await asyncpg.connect(dsn)
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            await connection.execute(EXPIRE_LEASES, anna.subject)
            left: int = await connection.fetchval(SELECT_UNFINISHED, anna.subject)
            if not left and await connection.fetchval(SELECT_NUMBER, anna.subject) >= count:
                break
            await asyncio.sleep(0.5)
        return left
    finally:
        await connection.close()


def count_messages(titles: list[str], receivers: list[list[tuple[str, str]]], unfinished: int) -> Result:
    """Compares what was due with the titles and ids that each receiver got."""
    lost = doubled = renamed = 0
    for calls in receivers:
        known = {title for title, _ in calls}
        lost += len(set(titles) - known)
        doubled += sum(times - 1 for times in Counter(calls).values())
        renamed += len(set(calls)) - len(known)
    return Result(len(titles) * len(receivers), lost, doubled, renamed, unfinished)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


async def main() -> int:
    folder, broken = Path(tempfile.mkdtemp(prefix="faults-")), 0
    _say(
        "| one of two workers is killed | messages | lost | same id twice | two ids |\n| --- | --: | --: | --: | --: |"
    )
    try:
        async with embedded_postgres(Settings(_env_file=None, data_dir=folder)) as options:
            await migrations.upgrade(options)
            with running(options.dsn, **OPTIONS) as server, working(options.dsn, **OPTIONS):
                for step in KILL_POINTS:
                    found = await play(server, options.dsn, step)
                    broken += found.lost + found.renamed + found.unfinished
                    _say(f"| {step} | {found.due} | {found.lost} | {found.doubled} | {found.renamed} |")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
