"""An issuer that is down, slow, rotates its keys, or is asked for keys that nobody has."""

import asyncio

import pytest

from tests.faults.issuer import KeyRing, ask, faults, trusting
from tests.faults.play import play
from tests.faults.stage import Stage
from tests.support import assert_problem

pytestmark = pytest.mark.slow


async def test_a_real_service_and_its_issuer(inside: Stage) -> None:
    ring = KeyRing()
    ring.rotate("first")
    async with trusting(inside, ring) as stage:
        # An issuer that was never there says nothing about the token: that is not the client's fault.
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
