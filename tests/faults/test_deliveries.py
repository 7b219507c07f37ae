"""No reminder is lost or sent under two ids when one of two workers is killed, at whatever step."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.db.connection_options import ConnectOptions
from app.jobs.channels import CLAIMED_AT_ONCE
from tests.databases import TEMPLATE, Databases
from tests.faults.deliveries import OPTIONS, count_messages, play
from tests.faults.killed_worker import KILL_POINTS
from tests.servers import Server, running, working

pytestmark = pytest.mark.slow
SENDS_AGAIN = {"after it is sent, before its outcome is recorded", "after its outcome is recorded, before COMMIT"}


@pytest.fixture(scope="module")
async def served(postgres: ConnectOptions, migrated: str) -> AsyncIterator[tuple[Server, str]]:
    """Yields a service with one worker, on a database that no other test uses."""
    databases = Databases(postgres)
    dsn = (await databases.create(TEMPLATE, name="killed_workers")).dsn
    with running(dsn, **OPTIONS) as server, working(dsn, **OPTIONS):
        yield server, dsn
    await databases.drop()


@pytest.mark.parametrize("step", KILL_POINTS)
async def test_no_message_is_lost_or_renamed(served: tuple[Server, str], step: str) -> None:
    found = await play(*served, step)
    assert (found.lost, found.renamed, found.unfinished) == (0, 0, 0), found
    # What was sent and not recorded is sent again, with the same id: at most what was claimed for the two channels. A
    # worker that is killed at another step may be sending as well.
    assert (step in SENDS_AGAIN) <= found.doubled <= 2 * CLAIMED_AT_ONCE


def test_lost_and_renamed_messages_are_counted() -> None:
    calls: Any = [("a", "1"), ("a", "1"), ("b", "2"), ("b", "3")]
    assert count_messages(["a", "b", "c"], [calls], 0) == (3, 1, 1, 1, 0)
