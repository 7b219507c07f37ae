"""Worst values under load: no write is lost, and every request gets a response."""

import pytest

from tests.faults.play import play
from tests.faults.requests import REQUESTS
from tests.faults.stage import Stage

pytestmark = pytest.mark.slow


async def test_no_cheap_request_stops_the_service_under_load(inside: Stage) -> None:
    outcome = await play(inside, REQUESTS)
    assert outcome.findings == (), outcome
