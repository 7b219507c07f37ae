"""Every fault of the database, shortened: acknowledged writes are stored once, and nothing hangs."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.database import EMBEDDED, PROXIED
from tests.faults.play import Fault, play
from tests.faults.stage import Stage, behind_proxy

pytestmark = pytest.mark.slow


def name_of(fault: Fault) -> str:
    return fault.act.__name__


@pytest.fixture(scope="module")
async def proxied(inside: Stage) -> AsyncIterator[Stage]:
    async with behind_proxy(inside) as stage:
        yield stage


@pytest.mark.parametrize("fault", EMBEDDED, ids=name_of)
async def test_the_service_survives_faults_of_its_embedded_postgres(inside: Stage, fault: Fault) -> None:
    outcome = await play(inside, fault)
    assert outcome.findings == (), outcome


@pytest.mark.parametrize("fault", PROXIED, ids=name_of)
async def test_the_service_survives_faults_of_the_database_connection(proxied: Stage, fault: Fault) -> None:
    outcome = await play(proxied, fault)
    assert outcome.findings == (), outcome
