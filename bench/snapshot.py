"""The cost of a snapshot, page by page, and the memory that the service needs for it.

    .venv/bin/python -m bench.snapshot [--tasks 100000]

Starts the service with embedded PostgreSQL, in a folder of its own, imports tasks into one account, and reads snapshots
of it, again when 199 in 200 are done. CPU is that of the service and of PostgreSQL for one page, as the scheduler
counts it (/proc: Linux only); memory is the service's peak, minus that before.
"""

import argparse
import asyncio
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from bench.accounts import BENCH_PASSWORD, ready, start
from bench.transfer import as_json, high_water

# Of processes that still work on the import.
MAINTENANCE_TITLE = re.compile("^postgres: (autovacuum|checkpointer|background writer|walwriter)")
PAGE_SETTLE = 0.02  # seconds between a page and reading the CPU time


def cpu_times(process: psutil.Process) -> dict[int, int]:
    """Returns the nanoseconds so far of the service and of PostgreSQL, all threads, by process."""
    times, titles = {}, set[str]()
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            title = " ".join(each.cmdline())
            if MAINTENANCE_TITLE.search(title) is None:
                titles.add(title)
                threads = Path(f"/proc/{each.pid}/task").glob("*/schedstat")
                times[each.pid] = sum(int(thread.read_text().split()[0]) for thread in threads)
    assert any(title.startswith("postgres: ") for title in titles)
    return times


async def read_pages(http: httpx.AsyncClient, process: psutil.Process, query: str, limit: int) -> None:
    costs: list[float] = []
    rows, cursor = 0, ""
    began, high = time.perf_counter(), high_water(process.pid)
    while cursor is not None:
        before = cpu_times(process)
        answer = await http.get(f"/api/me/changes?snapshot=true&limit={limit}{query}{cursor and f'&cursor={cursor}'}")
        await asyncio.sleep(PAGE_SETTLE)
        after = cpu_times(process)
        costs.append(sum(after[pid] - before[pid] for pid in before.keys() & after.keys()) / 1e6)
        page: dict[str, Any] = answer.raise_for_status().json()
        rows, cursor = rows + len(page["changes"]), page["cursor"]
    took = time.perf_counter() - began - PAGE_SETTLE * len(costs)
    print(
        f"limit={limit}{query}: {rows} rows on {len(costs)} pages in {took:.1f} s; CPU of a page: median "
        f"{median(costs):.1f} ms, at most {max(costs):.1f} ms; {high_water(process.pid) - high:.0f} MB more than before"
    )


async def finish_tasks(http: httpx.AsyncClient) -> None:
    """Completes all tasks but one in 200."""
    cursor = ""
    while cursor is not None:
        page = (await http.get(f"/api/me/changes?snapshot=true&limit=1000{cursor and f'&cursor={cursor}'}")).json()
        ids = [change["entity_id"] for change in page["changes"] if change["entity"] == "task"]
        wanted = {"action": "complete", "ids": [task_id for task_id in ids if task_id % 200]}
        if wanted["ids"]:
            (await http.post("/api/me/tasks/bulk", json=wanted)).raise_for_status()
        cursor = page["cursor"]


async def measure(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="todo-") as folder:
        started, url = start(folder)
        process = psutil.Process(started.pid)
        try:
            async with httpx.AsyncClient(base_url=url, timeout=600) as http:
                await ready(http)
                account = {"email": "bench@example.com", "password": BENCH_PASSWORD}
                token = (await http.post("/api/auth/register", json=account)).json()["access_token"]
                http.headers["Authorization"] = f"Bearer {token}"
                headers = {"Content-Type": "application/json"}
                (await http.post("/api/me/import", content=as_json(count), headers=headers)).raise_for_status()
                for limit in (100, 1000):
                    await read_pages(http, process, "", limit)
                await finish_tasks(http)
                for _ in range(2):  # the first one also finds what a vacuum has not removed yet
                    await read_pages(http, process, "&completed=false", 1000)
                await read_pages(http, process, "", 1000)
        finally:
            started.terminate()
            started.wait(30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.snapshot", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    asyncio.run(measure(parser.parse_args().tasks))
