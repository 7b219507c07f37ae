"""One service with its PostgreSQL for all faults that it survives without a restart."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.stage import Stage, embedded


@pytest.fixture(scope="session")
async def inside() -> AsyncIterator[Stage]:
    async with embedded(brief=True) as stage:
        yield stage
