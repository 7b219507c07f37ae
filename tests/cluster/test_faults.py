"""Servers of a cluster that die, hang, restart or are moved away from: other users go on, and no write is lost."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.db.citus.distribution import distribute_tables
from app.db.citus.session import DISTRIBUTED_COMMAND_TIMEOUT
from app.services.changes.entities import DISTRIBUTED_TABLES
from tests.cluster.servers import Cluster
from tests.faults.ledger import Audit
from tests.faults.load import Load
from tests.faults.stage import ALWAYS, end, started, until
from tests.processes import Service
from tests.support import Person

GIVEN_UP_WITHIN = 2.0  # seconds for a connection to a server that is gone
BUSY = 2.0  # seconds more, on a machine that is also doing other work
MOVED_WITHIN = 120.0


@asynccontextmanager
async def service_of(cluster: Cluster, name: str, folder: Path) -> AsyncIterator[Service]:
    """Starts the service in a process of its own, on a distributed database."""
    options = await cluster.create_distributed(name)
    service = Service(folder, database_url=options.dsn, **ALWAYS)
    try:
        await started(service)
        yield service
    finally:
        await asyncio.to_thread(end, service)


async def audit(cluster: Cluster, name: str, load: Load) -> Audit:
    connection = await asyncpg.connect(cluster.coordinator.url(name))
    try:
        return await load.ledger.audit(connection)
    finally:
        await connection.close()


def check(found: Audit, load: Load) -> None:
    assert found.acknowledged > 0
    assert (found.lost, found.duplicated, found.invented, found.gaps) == (0, 0, 0, [])
    assert [sample for sample in load.ledger.samples if sample.status >= 500 and sample.status != 503] == []
    assert all(sample.retry_after for sample in load.ledger.samples if sample.status == 503)


async def one_on_each(cluster: Cluster, name: str, http: httpx.AsyncClient) -> list[Person]:
    """Makes a user on each worker, in their order."""
    found: dict[int, Person] = {}
    for number in range(100):
        worker = await cluster.find_worker(name, f"user-{number}")
        found.setdefault(worker.port, Person(http, f"user-{number}"))
        if len(found) == len(cluster.workers):
            break
    people = [found[worker.port] for worker in cluster.workers]
    for person in people:
        await person.add("before")
    return people


async def answers(person: Person) -> tuple[set[int], float]:
    """Reads and writes a few times; returns the statuses and the longest time."""
    statuses, longest = set(), 0.0
    for _ in range(3):
        for call in (person.get("/tasks"), person.post("/tasks", {"title": "during"})):
            asked = time.monotonic()
            answer = await call
            assert answer.status_code != 503 or answer.headers["retry-after"]
            statuses.add(answer.status_code)
            longest = max(longest, time.monotonic() - asked)
    return statuses, longest


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_without_a_worker_its_users_get_503_and_the_others_go_on(
    cluster: Cluster, name: str, tmp_path: Path, how: str
) -> None:
    lost = cluster.workers[0]
    async with (
        service_of(cluster, name, tmp_path) as service,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}", trust_env=False, timeout=60) as http,
    ):
        there, elsewhere = await one_on_each(cluster, name, http)
        with contextlib.ExitStack() as stack:
            if how == "killed":
                lost.kill()
            else:
                stack.enter_context(lost.frozen())
            (gone, took), (others, _) = await asyncio.gather(answers(there), answers(elsewhere))
            assert gone == {503}
            assert others == {200, 201}
            assert took < BUSY + (GIVEN_UP_WITHIN if how == "killed" else DISTRIBUTED_COMMAND_TIMEOUT)
            (gone, took), _ = await asyncio.gather(answers(there), answers(elsewhere))  # on new connections
            assert gone == {503}
            assert took < BUSY + GIVEN_UP_WITHIN
        if how == "killed":
            await lost.start()
        await until_served(there)
        assert "before" in await there.titles()


async def until_served(person: Person) -> None:
    deadline = time.monotonic() + 10
    while (await person.post("/tasks", {"title": "after"})).status_code != 201:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_no_write_is_lost_when_a_worker_dies_under_load(cluster: Cluster, name: str, tmp_path: Path) -> None:
    async with service_of(cluster, name, tmp_path) as service:
        async with Load(f"http://127.0.0.1:{service.port}") as load:
            await until(load.ledger.warm, 120)
            cluster.workers[1].kill()
            await asyncio.sleep(3)
            await cluster.workers[1].start()
            restored_at = time.monotonic()
            await until(lambda: load.ledger.first_success_after(restored_at) < 1e6, 30)
            await asyncio.sleep(2)
        check(await audit(cluster, name, load), load)


async def test_no_write_is_lost_when_the_coordinator_restarts(cluster: Cluster, name: str, tmp_path: Path) -> None:
    async with service_of(cluster, name, tmp_path) as service:
        async with Load(f"http://127.0.0.1:{service.port}") as load:
            await until(load.ledger.warm, 120)
            cluster.coordinator.kill()
            await asyncio.sleep(1)
            await cluster.coordinator.start()
            restored_at = time.monotonic()
            await until(lambda: load.ledger.first_success_after(restored_at) < 1e6, 30)
            await asyncio.sleep(2)
        check(await audit(cluster, name, load), load)


async def test_users_move_to_a_new_server_while_they_write(cluster: Cluster, name: str, tmp_path: Path) -> None:
    """Adding a server and running ``todo distribute`` again: the service goes on meanwhile."""
    spare = cluster.spare
    if not spare.started:
        await asyncio.to_thread(spare.initialise)
        await spare.start()
    async with service_of(cluster, name, tmp_path) as service:
        await spare.run(f"create database {name}")
        await spare.run("create extension citus", database=name)
        async with Load(f"http://127.0.0.1:{service.port}") as load:
            await until(load.ledger.warm, 120)
            await cluster.coordinator.run(f"select citus_add_node('127.0.0.1', {spare.port})", database=name)
            said: list[str] = []
            async with asyncio.timeout(MOVED_WITHIN):
                await distribute_tables(cluster.options(name), DISTRIBUTED_TABLES, said.append)
            moved_at = time.monotonic()
            await until(lambda: load.ledger.first_success_after(moved_at) < 1e6, 30)
            await asyncio.sleep(2)
        assert any(text.startswith(f"users are moved to 127.0.0.1:{spare.port}") for text in said)
        shards = "select count(*) from citus_shards where nodeport = {} and table_name = 'tasks'::regclass"
        for server in (*cluster.workers, spare):
            assert await cluster.coordinator.run(shards.format(server.port), database=name) >= 2
        check(await audit(cluster, name, load), load)
        assert load.ledger.count(503) <= len(load.ledger.samples) / 10, "writes wait for seconds at most"
