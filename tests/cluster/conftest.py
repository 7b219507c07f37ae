"""One cluster for the tests of this folder, and databases of it."""

import itertools
from collections.abc import AsyncIterator

import pytest

from tests.cluster.servers import CITUS_BIN, Cluster, start_cluster

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.nodeid:
            item.add_marker(pytest.mark.slow)
            if not CITUS_BIN:
                item.add_marker(pytest.mark.skip(reason="no programs of Citus: CITUS_BIN is not set"))


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[Cluster]:
    async with start_cluster() as started:
        yield started


@pytest.fixture
async def name(cluster: Cluster) -> AsyncIterator[str]:
    """Returns the name of a database that is dropped afterwards."""
    chosen = f"scratch_{next(_numbers)}"
    yield chosen
    await cluster.drop(chosen)
