"""An issuer that is unreachable, slow, rotates its keys, or receives requests for unknown keys."""

import asyncio

import pytest

from tests.faults.issuer import KeyRing, ask, faults, trusting
from tests.faults.play import play
from tests.faults.stage import Stage
from tests.support import assert_problem

pytestmark = pytest.mark.slow


async def test_the_service_survives_faults_of_its_issuer(inside: Stage) -> None:
    ring = KeyRing()
    ring.rotate("first")
    async with trusting(inside, ring) as stage:
        # An issuer that was never reached proves nothing about the token: the client is not at fault.
        answer = await ask(stage, ring.token("early"))
        assert_problem(answer, 503, "keys_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        await ring.appear()
        for _ in range(100):
            if (await ask(stage, ring.token("early"))).status_code == 200:
                break
            await asyncio.sleep(0.2)
        for fault in faults(ring):
            outcome = await play(stage, fault)
            assert (outcome.findings, outcome.unavailable) == ((), 0), outcome
