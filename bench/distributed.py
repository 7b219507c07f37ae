"""The cost of a Citus cluster: the service on one PostgreSQL, and the same service on a cluster, in turns.

    CITUS_URL=postgresql://postgres@127.0.0.1:5432/todo .venv/bin/python -m bench.distributed [--rounds 5] [--seconds 2]

CITUS_URL is that of ``tests/citus.py``. All servers must run on this machine, where their CPU is read, and have the
version of the embedded server. Prints medians of the rounds: microseconds of CPU for each request, of the service and
of all PostgreSQLs, latency, and the ratio to one PostgreSQL.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped, unused-ignore]

from bench.database import SEED_TASKS, Bench, bench_database, server_seconds
from bench.measure import WARM_UP_SECONDS, under_load
from bench.serving import Service, facts, serving
from tests.citus import create_distributed, drop_everywhere, list_servers, url_at

CLUSTER_DATABASE = "todo_bench"
CLUSTER_SCENARIOS = ("get one", "list 20", "create", "complete", "changes")
# The latest changes of each user, as requests would have recorded them.
SEED_CHANGES = """
insert into changes (user_id, revision, entity, entity_id, action, data, at)
select user_id, version, 'task', id, 'created', to_jsonb(tasks), created_at from tasks where version > 480"""


class ClusterBench(Bench):
    """The servers of a cluster, measured together."""

    def __init__(self, url: str, folder: Path, postmasters: list[int]) -> None:
        self.url, self.folder = url, folder
        self._servers = [psutil.Process(pid) for pid in postmasters]

    def cpu_seconds(self) -> float:
        return sum(server_seconds(server) for server in self._servers)


@asynccontextmanager
async def cluster_database(folder: Path) -> AsyncIterator[ClusterBench]:
    """Provides a distributed database with the same rows as that of ``bench_database``."""
    try:
        options = await create_distributed(CLUSTER_DATABASE)
        postmasters = []
        for host, port in await list_servers():
            connection = await asyncpg.connect(url_at(host, port, CLUSTER_DATABASE))
            postmasters.append(psutil.Process(await connection.fetchval("select pg_backend_pid()")).ppid())
            await connection.close()
        bench = ClusterBench(options.dsn, folder, postmasters)
        for script in (SEED_TASKS, SEED_CHANGES, "analyze"):
            await bench.run(script)
        yield bench
    finally:
        await drop_everywhere(CLUSTER_DATABASE)


async def measure(rounds: int, seconds: float, connections: int) -> None:
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    async with (
        bench_database([SEED_CHANGES]) as single,
        cluster_database(single.folder) as cluster,
        serving(single) as on_one,
        serving(cluster) as on_cluster,
    ):
        for number in range(rounds):
            for scenario in CLUSTER_SCENARIOS:
                for name, bench, service in (("one", single, on_one), ("cluster", cluster, on_cluster)):
                    plan = {"port": service.port, "scenario": scenario, "connections": connections}
                    plan |= {"seconds": seconds, "warm_up": WARM_UP_SECONDS, "max_requests": 100_000}
                    found.setdefault((scenario, name), []).append(await measure_once(plan, service, bench))
            print(f"round {number + 1}/{rounds}", file=sys.stderr, flush=True)
        print(await facts(single, "bench.distributed"))
    print(f"{'':<10} {'one PostgreSQL':>24} {'cluster':>24}")
    for scenario in CLUSTER_SCENARIOS:
        (one, _, p50), (cpu, postgres, cluster_p50) = (
            [statistics.median(values) for values in zip(*found[scenario, name], strict=True)]
            for name in ("one", "cluster")
        )
        print(
            f"{scenario:<10} {one:8.0f} us, p50 {p50:5.2f} ms {cpu:8.0f} us, p50 {cluster_p50:5.2f} ms"
            f"  {cpu / one:5.2f} x  ({postgres:.0f} us of it PostgreSQL)"
        )


async def measure_once(plan: dict[str, object], service: Service, bench: Bench) -> tuple[float, float, float]:
    """Returns the CPU of a request and the share of PostgreSQL, in microseconds, and the median latency in ms."""
    result, before, after = await under_load(plan, lambda: (service.cpu_seconds(), bench.cpu_seconds()))
    own, databases = ((end - start) / result["requests"] * 1e6 for start, end in zip(before, after, strict=True))
    return own + databases, databases, result["p50"] * 1e3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.distributed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=8)
    given = parser.parse_args()
    asyncio.run(measure(given.rounds, given.seconds, given.connections))
