"""Rounds of measurements, contestants in turns: other load of the machine then affects all of them."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from bench.contestants import PROJECT_ROOT, Server
from bench.database import Bench

WARM_UP_SECONDS = 0.4  # seconds of load before each measurement: connections, caches, prepared statements
MAX_REQUESTS = 200_000  # of one measurement, however fast it goes
SETTLE_SECONDS = 0.15  # seconds between load and reading the CPU time, for work that follows a response


T = TypeVar("T")


class Sample(NamedTuple):
    """One measurement. CPU is in microseconds per request, latencies in milliseconds."""

    scenario: str
    contestant: str
    server_cpu: float
    postgres_cpu: float
    per_second: float
    p50: float
    p99: float

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.postgres_cpu


class Options(NamedTuple):
    """``seconds`` is the length of one measurement."""

    rounds: int
    seconds: float
    connections: int
    scenarios: Sequence[str]


async def measure(
    bench: Bench, servers: Sequence[Server], options: Options, progress: Callable[[str], None]
) -> list[Sample]:
    """Runs all rounds. Raises RuntimeError on the first failed request."""
    samples = []
    for number in range(options.rounds):
        await bench.tidy()
        for scenario in options.scenarios:
            for turn in range(len(servers)):
                server = servers[(turn + number) % len(servers)]
                if scenario in server.contestant.cannot:
                    continue
                sample = await _measure_once(bench, server, scenario, options)
                progress(
                    f"round {number + 1}/{options.rounds}  {scenario:<9} {server.name:<10} "
                    f"{sample.cpu:7.0f} us  {sample.per_second:7.0f}/s  p99 {sample.p99:6.1f} ms"
                )
                samples.append(sample)
    return samples


async def _measure_once(bench: Bench, server: Server, scenario: str, options: Options) -> Sample:
    plan = {"port": server.port, "scenario": scenario, "connections": options.connections}
    plan |= {"seconds": options.seconds, "warm_up": WARM_UP_SECONDS, "max_requests": MAX_REQUESTS}

    def look() -> tuple[float, float]:
        return server.cpu_seconds(), bench.cpu_seconds()

    try:
        result, before, after = await under_load(plan, look)
    except RuntimeError as error:
        raise RuntimeError(f"{scenario} on {server.name}: {error}") from None
    count = result["requests"]
    return Sample(
        scenario,
        server.name,
        server_cpu=(after[0] - before[0]) / count * 1e6,
        postgres_cpu=(after[1] - before[1]) / count * 1e6,
        per_second=count / result["seconds"],
        p50=result["p50"] * 1e3,
        p99=result["p99"] * 1e3,
    )


async def under_load(plan: dict[str, Any], look: Callable[[], T]) -> tuple[dict[str, float], T, T]:
    """Runs ``bench.load`` with ``plan``, and ``look`` before and after. Raises RuntimeError."""
    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", json.dumps(plan),
        cwd=PROJECT_ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert load.stdin is not None
    assert load.stdout is not None
    try:
        if (await load.stdout.readline()).strip() != b"ready":
            raise RuntimeError("failed while warming up")
        await asyncio.sleep(SETTLE_SECONDS)
        before = look()
        load.stdin.write(b"go\n")
        line = await load.stdout.readline()
        await asyncio.sleep(SETTLE_SECONDS)
        after = look()
        if not line:
            raise RuntimeError("failed")
    finally:
        if load.returncode is None and not load.stdout.at_eof():
            load.kill()
        await load.wait()
    return json.loads(line), before, after
