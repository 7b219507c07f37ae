"""Three offline clients and the real service in random runs; and faults put into either, each of which is found."""

import asyncio
from collections.abc import Iterator

import pytest

from app.config import Settings
from app.db.connection_options import ConnectOptions
from tests.databases import Databases
from tests.sync.explore import explore
from tests.sync.faults import QUICK_FAULTS, Fault, put_in
from tests.sync.service import Service, serving

pytestmark = pytest.mark.slow

RUNS = 2_000
RUNS_WITH_FAULT = 1_000  # at most; most are found within 30


@pytest.fixture(scope="module")
def runner(anyio_backend: str) -> Iterator[asyncio.Runner]:
    """Runs the service in a loop of its own, since Hypothesis calls functions that are no coroutines."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def service(runner: asyncio.Runner, postgres: ConnectOptions, migrated: str, settings: Settings) -> Iterator[Service]:
    databases = Databases(postgres)
    context = serving(runner.run(databases.create(migrated, name="sync_model")), settings)
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))
    runner.run(databases.drop())


def test_clients_converge_and_lose_nothing(runner: asyncio.Runner, service: Service) -> None:
    explore(runner, service, runs=RUNS)


@pytest.mark.parametrize("fault", QUICK_FAULTS)
def test_a_fault_of_a_client_or_the_service_is_found(
    runner: asyncio.Runner, service: Service, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    client = put_in(fault, monkeypatch)
    with pytest.raises(AssertionError):
        explore(runner, service, runs=RUNS_WITH_FAULT, client=client, shrinks=False)
