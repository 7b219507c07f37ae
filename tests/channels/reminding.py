"""Reminders that are due, and the wait for what comes of them."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import Person


async def make_channel(person: Person, **body: Any) -> dict[str, Any]:
    answer = await person.post("/channels", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def remind(sql: Any, person: Person, title: str = "Call mum", *, ago: float = 0, **fields: Any) -> dict[str, Any]:
    """Creates a task whose reminder was due ``ago`` seconds ago and has not fired."""
    task = await person.add(title, reminders=["2090-01-01T00:00:00Z"], **fields)
    due = datetime.now(UTC) - timedelta(seconds=ago)
    await sql.execute("update tasks set remind_at = $2 where id = $1", task["id"], due)
    return task


async def deliveries(person: Person, channel: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the deliveries of a channel, the oldest first."""
    answer = await person.get(f"/channels/{channel['id']}/deliveries")
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()))


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.02)


async def tried(person: Person, channel: dict[str, Any], attempts: int = 1) -> dict[str, Any]:
    """Returns the only delivery as soon as so many attempts are recorded."""
    for _ in range(400):
        found = await deliveries(person, channel)
        if found and found[0]["attempts"] >= attempts:
            return found[0]
        await asyncio.sleep(0.025)
    raise AssertionError(f"it was never sent: {found}")


async def settled(person: Person, channel: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
    """Returns the deliveries as soon as there are ``count`` with an outcome."""
    for _ in range(400):
        found = await deliveries(person, channel)
        if sum(each["outcome"] is not None for each in found) >= count:
            return found
        await asyncio.sleep(0.025)
    raise AssertionError(f"they were never sent: {found}")
