"""Worst values beside the load of others: nothing is lost, and everybody is answered."""

import pytest

from tests.faults.play import play
from tests.faults.requests import REQUESTS
from tests.faults.stage import Stage

pytestmark = pytest.mark.slow


async def test_no_cheap_request_stops_the_service(inside: Stage) -> None:
    outcome = await play(inside, REQUESTS)
    assert outcome.findings == (), outcome
