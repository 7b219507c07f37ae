"""The CPU of a write by its size: single requests, a bulk write, and batches.

    .venv/bin/python -m bench.batch [--rounds 5]

Each round sends each of them once, in turns, for a user of its own. The figures are microseconds of CPU for each row,
of the service and of PostgreSQL together: medians of the rounds, and their ratio to the bulk write.
"""

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable
from itertools import count, cycle
from typing import Any

import httpx

from bench.database import Bench, bench_database
from bench.scenarios import BENCH_SECRET
from bench.serving import Service, serving
from tests.support import make_token

BATCH_ROWS, STEP_REPEATS = 500, 4
SETTLED_AFTER = 0.2  # seconds, for work that follows a response


class Caller:
    """A user, with one project."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self.http, self.headers = http, {"Authorization": f"Bearer {make_token(name, secret=BENCH_SECRET)}"}

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = await self.http.post(f"/api/me{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def batch(self, operation: str, arguments: list[dict[str, Any]], **options: Any) -> Any:
        operations = [{"operation": operation, "arguments": each} for each in arguments]
        return await self.post("/batch", {"operations": operations, **options})


async def measure(rounds: int) -> None:
    costs: dict[str, list[float]] = {}
    async with (
        bench_database([]) as bench,
        serving(bench) as service,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}", timeout=60, trust_env=False) as http,
    ):
        for number in range(rounds + 1):
            for name, cost in (await one_round(http, service, bench, number)).items():
                if number:  # the first one compiles and connects
                    costs.setdefault(name, []).append(cost)
    bulk = statistics.median(costs["bulk write"])
    for name, values in costs.items():
        print(f"{name:<34} {statistics.median(values):7.0f} us a row  {statistics.median(values) / bulk:5.2f} x bulk")


async def one_round(http: httpx.AsyncClient, service: Service, bench: Bench, number: int) -> dict[str, float]:
    caller = Caller(http, f"batch-{number}")
    await caller.post("/projects", {"name": "Home", "uid": "home"}, 201)
    titles = [{"title": f"Task {row}", "priority": "high"} for row in range(BATCH_ROWS)]
    uids = count()
    placed = [{**body, "project_uid": "home"} for body in titles]
    made = await caller.batch("create_task", titles)
    ids = [result["body"]["id"] for result in made["results"]]

    async def one_by_one() -> None:
        for body in titles:
            await caller.post("/tasks", body, 201)

    changes = [{"task_id": task, "title": f"Renamed {task}"} for task in ids]
    toggled = [{"task_id": task} for task in ids]
    priorities = cycle(["low", "high"])
    bulk = {"ids": ids, "action": "update"}
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "bulk write": lambda: caller.post("/tasks/bulk", bulk | {"change": {"priority": next(priorities)}}),
        "single creates": one_by_one,
        "batch of creates": lambda: caller.batch("create_task", titles),
        "batch of creates with uids": lambda: caller.batch(
            "create_task", [{"uid": f"{next(uids)}", **body} for body in titles]
        ),
        "batch of creates in a project": lambda: caller.batch("create_task", placed),
        "batch of updates": lambda: caller.batch("update_task", changes),
        "batch of completions": lambda: caller.batch("complete_task", toggled),
        "creates, each on its own": lambda: caller.batch("create_task", titles, atomic=False),
    }
    return {name: await cost_of(step, service, bench) for name, step in steps.items()}


async def cost_of(step: Callable[[], Awaitable[Any]], service: Service, bench: Bench) -> float:
    """Returns the microseconds of CPU for each row."""
    before = service.cpu_seconds() + bench.cpu_seconds()
    for _ in range(STEP_REPEATS):
        await step()
    await asyncio.sleep(SETTLED_AFTER)
    spent: float = service.cpu_seconds() + bench.cpu_seconds() - before
    return spent / BATCH_ROWS / STEP_REPEATS * 1_000_000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asyncio.run(measure(parser.parse_args().rounds))
