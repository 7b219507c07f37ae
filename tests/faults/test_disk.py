"""A full disk refuses writes and loses none; the service recovers by itself when there is space again."""

import pytest

from tests.faults.disk import FULL, NoRight, small_disk
from tests.faults.play import play
from tests.faults.stage import embedded

pytestmark = pytest.mark.slow


async def test_the_service_survives_a_full_disk() -> None:
    try:
        with small_disk() as folder:
            async with embedded(brief=True, folder=folder) as stage:
                outcome = await play(stage, FULL)
                assert outcome.findings == (), outcome
                assert outcome.unavailable + outcome.other_errors > 0, "the disk was not full"
    except NoRight:
        pytest.skip("no right to mount a small file system")
