"""Workers that are killed, replaced and stopped under load; clients that disconnect."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.faults.play import Fault, play
from tests.faults.processes import CLIENTS, WORKERS
from tests.faults.stage import Stage, behind_proxy, embedded, until
from tests.faults.test_database import name_of

pytestmark = pytest.mark.slow

BROUGHT_BACK = "PostgreSQL had ended by itself: it was started again"


@pytest.fixture(scope="module")
async def workers() -> AsyncIterator[Stage]:
    async with embedded(brief=True, web_concurrency=2) as stage:
        yield stage


async def test_the_service_survives_disconnecting_clients(workers: Stage) -> None:
    outcome = await play(workers, CLIENTS)
    assert outcome.findings == (), outcome


@pytest.mark.parametrize("fault", WORKERS, ids=name_of)
async def test_two_workers_survive_process_faults(workers: Stage, fault: Fault) -> None:
    outcome = await play(workers, fault)
    assert outcome.findings == (), outcome


async def test_the_supervisor_restarts_postgres_once_and_only_when_the_postmaster_dies(
    workers: Stage,
) -> None:
    said, postmaster = workers.service.log.count(BROUGHT_BACK), workers.postmaster()
    os.kill((await workers.statements())[0]["pid"], signal.SIGKILL)
    await asyncio.sleep(0.6)
    await workers.back()
    assert (workers.postmaster(), workers.service.log.count(BROUGHT_BACK)) == (postmaster, said)

    os.kill(postmaster, signal.SIGKILL)
    await until(lambda: workers.service.log.count(BROUGHT_BACK) > said, 60)
    await workers.back()
    await asyncio.sleep(1)
    assert workers.service.log.count(BROUGHT_BACK) == said + 1  # of three processes that all supervise it


async def test_a_worker_that_cannot_start_does_not_end_the_others(workers: Stage) -> None:
    async with behind_proxy(workers, web_concurrency=2) as stage:
        assert stage.proxy is not None
        await until(lambda: len(stage.workers()) == 2, 60)
        stage.proxy.refuse(True)
        os.kill(min(stage.workers()), signal.SIGKILL)
        await until(lambda: "cannot start" in stage.service.log, 60)
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as http:
            assert (await http.get("/health")).status_code == 200
        stage.proxy.refuse(False)
        await until(lambda: len(stage.workers()) == 2, 60)
        await stage.ready()
        assert stage.service.process.poll() is None
