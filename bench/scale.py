"""The cost of requests of users with few and many tasks, alone and among millions: ``python -m bench.scale``.

Over HTTP, one request after the other; CPU is that of service and PostgreSQL together. A user with 1,000 tasks is alone
in a database: the small case. The same user, one with 100,000 and one with 1,000,000 share another database with
``--others`` users of ten tasks each. All of them are measured in turns, so other load of the machine affects all.
"""

import argparse
import asyncio
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import cycle
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import asyncpg
import jwt

from bench.contestants import ALL_CONTESTANTS, Server, running
from bench.database import Bench, empty_database
from bench.report import machine
from bench.scale_data import TASKS_OF_OTHERS, Heavy, fill
from bench.scenarios import BENCH_SECRET, TOKEN_SECONDS, Call

HEAVY_USERS = [Heavy(f"heavy{tasks:027d}", tasks) for tasks in (1_000, 100_000, 1_000_000)]
SMALL_DATABASE = "alone"  # the database of the small case
FILLED_FILE = "filled"  # a file: the databases of the folder are complete
DEEP_POSITION = 1_000  # the page that is reached by cursor; the 40th of the small user, who has no more than 50
WARM_REQUESTS = 7  # requests before each measurement: beyond the fifth PostgreSQL may keep one plan for all values
DIFFERENT_TASKS = 200  # tasks that are read and written in turns
LEAST_REQUESTS = 3  # requests of a measurement, however long they take
WARM_AT_MOST, SCALE_SETTLE, SCALE_TIMEOUT = 3.0, 0.05, 30.0  # seconds
WANTED_RATIO = 1.2
# What the worker does is no request's cost.
SERVICE_WITHOUT_WORKER = dataclasses.replace(
    ALL_CONTESTANTS[0], environment=ALL_CONTESTANTS[0].environment | {"WORKER": "off"}
)


class Case(NamedTuple):
    """A user to measure. ``tasks`` are ids to rotate through, ``places`` fill the placeholders in paths."""

    title: str
    server: Server
    headers: dict[str, str]
    tasks: list[int]
    places: dict[str, Any]


class Sample(NamedTuple):
    """One measurement: the median time of a request in milliseconds, its CPU in microseconds."""

    ms: float
    cpu: float


REFUSED_SAMPLE = Sample(inf, inf)  # the service gives statements 5 seconds


def _get(path: str) -> Callable[[Case, int], Call]:
    return lambda case, task: Call("GET", path.format(task=task, **case.places))


def _create(case: Case, task: int) -> Call:
    body = {"title": "Call the plumber", "priority": "high", "due_date": "2026-12-01", "tags": ["home", "errands"]}
    return Call("POST", "/api/me/tasks", 201, json.dumps(body).encode())


def _complete(case: Case, task: int) -> Call:
    return Call("PATCH", f"/api/me/tasks/{task}/complete")


LIST_PATH = "/api/me/tasks?limit=20"
SCALE_CALLS: Mapping[str, Callable[[Case, int], Call]] = {
    "get one": _get("/api/me/tasks/{task}"),
    "list 20": _get(LIST_PATH),
    "list 100": _get("/api/me/tasks?limit=100"),
    "page 1,000 of 20, by cursor": _get("{deep}"),
    **{
        f"list 20, {query}": _get(f"{LIST_PATH}&{query}")
        for query in (
            "order=asc", "sort=updated_at", "sort=due_date", "sort=priority", "sort=title", "sort=completed_at",
            "sort=position", "status=pending", "status=completed", "status=pending&sort=due_date", "priority=urgent",
            "overdue=true",
        )
    },
    "list 20, a tag of 1 task in 4": _get(f"{LIST_PATH}&tag=work"),
    "list 20, a tag of 1 task in 1,000": _get(f"{LIST_PATH}&tag=taxes"),
    "list 20, due in the last 60 days": _get(f"{LIST_PATH}&due_after={{days_60}}&due_before={{days_0}}"),
    "list 20, due in 60 days of last year": _get(f"{LIST_PATH}&due_after={{days_560}}&due_before={{days_500}}"),
    "the same, sort=due_date": _get(f"{LIST_PATH}&due_after={{days_560}}&due_before={{days_500}}&sort=due_date"),
    "list 20, due from today, sort=due_date": _get(f"{LIST_PATH}&due_after={{days_0}}&sort=due_date"),
    "list 20 of a project": _get(f"{LIST_PATH}&project_id={{project}}"),
    "list 20 of a project, sort=position": _get(f"{LIST_PATH}&project_id={{project}}&sort=position"),
    "search, a word of 1 task in 10": _get(f"{LIST_PATH}&search=plumber"),
    "search, a word of 1 task in 1,000": _get(f"{LIST_PATH}&search=zurich"),
    "list 20, count=true": _get(f"{LIST_PATH}&count=true"),
    "tags": _get("/api/me/tags"),
    "statistics": _get("/api/me/stats"),
    "changes since, the last 20": _get("/api/me/changes?since={since}&limit=20"),
    "create": _create,
    "complete": _complete,
}  # fmt: skip


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=SCALE_TIMEOUT)
        self.headers = headers

    def ask(self, call: Call) -> tuple[Any, bytes]:
        """Returns headers and body. Raises TimeoutError for a slow statement, RuntimeError for another status."""
        headers = {**self.headers, "Content-Type": "application/json"} if call.body else self.headers
        self.connection.request(call.method, call.path, call.body or None, dict(headers))
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status == 503:
            raise TimeoutError
        if answer.status != call.status:
            raise RuntimeError(f"{call.method} {call.path}: {answer.status} {body[:300].decode(errors='replace')}")
        return answer.headers, body


async def prepare(bench: Bench, alone: Bench, others: int) -> None:
    """Fills both databases, unless an earlier run has."""
    if not (bench.folder / FILLED_FILE).exists():
        for script in ("alter system set max_wal_size = '8GB'", "select pg_reload_conf()"):
            await bench.run(script)
        await bench.run(f"create database {SMALL_DATABASE} template todo")
        await fill(alone, HEAVY_USERS[:1], 0)
        await fill(bench, HEAVY_USERS, others)
        (bench.folder / FILLED_FILE).touch()


async def find_case(title: str, bench: Bench, server: Server, heavy: Heavy) -> Case:
    expiry = int(time.time()) + TOKEN_SECONDS
    headers = {"Authorization": f"Bearer {jwt.encode({'sub': heavy.owner, 'exp': expiry}, BENCH_SECRET)}"}
    connection = await asyncpg.connect(bench.url)
    live = "from tasks where user_id = $1 and deleted_at is null and recurrence is null"
    rows = await connection.fetch(f"select id {live} order by id % 997, id limit {DIFFERENT_TASKS}", heavy.owner)
    await connection.close()
    today = datetime.now(UTC).date()
    places = await asyncio.to_thread(_walk, server, headers, heavy)
    places |= {f"days_{days}": today - timedelta(days) for days in (0, 60, 500, 560)}
    return Case(title, server, headers, [row["id"] for row in rows], places)


def _walk(server: Server, headers: dict[str, str], heavy: Heavy) -> dict[str, Any]:
    """Finds the path of the deep page, the first project, and a revision near the end, after writes of this run."""
    client, path = Client(server.port, headers), LIST_PATH
    pages = min(DEEP_POSITION, heavy.tasks // 20 * 4 // 5)
    for _ in range(pages - 1):
        links, _ = client.ask(Call("GET", path))
        path = next(link for link in links["link"].split(", ") if 'rel="next"' in link).partition(">")[0][1:]
    project = json.loads(client.ask(Call("GET", "/api/me/projects"))[1])[0]["id"]
    for _ in range(20):  # a copied database begins above all revisions before it, which no client may go on from
        client.ask(Call("POST", "/api/me/tasks", 201, b'{"title": "Call the plumber"}'))
    revision = int(client.ask(Call("GET", LIST_PATH))[0]["x-revision"])
    return {"deep": path, "project": project, "since": revision - 20}


def measure_once(bench: Bench, case: Case, name: str, seconds: float) -> Sample:
    try:
        return _measure(bench, case, name, seconds)
    except TimeoutError:
        return REFUSED_SAMPLE


def _measure(bench: Bench, case: Case, name: str, seconds: float) -> Sample:
    client = Client(case.server.port, case.headers)
    tasks = cycle(case.tasks)
    times: list[float] = []
    end = time.perf_counter() + WARM_AT_MOST
    for _ in range(WARM_REQUESTS):
        client.ask(SCALE_CALLS[name](case, next(tasks)))
        if time.perf_counter() > end:
            break
    time.sleep(SCALE_SETTLE)
    before, end = bench.cpu_seconds() + case.server.cpu_seconds(), time.perf_counter() + seconds
    while len(times) < LEAST_REQUESTS or time.perf_counter() < end:
        call = SCALE_CALLS[name](case, next(tasks))
        started = time.perf_counter()
        client.ask(call)
        times.append(time.perf_counter() - started)
    time.sleep(SCALE_SETTLE)
    used = bench.cpu_seconds() + case.server.cpu_seconds() - before
    return Sample(median(times) * 1e3, used / len(times) * 1e6)


def table(cases: Sequence[Case], samples: Mapping[tuple[str, str], list[Sample]]) -> Iterator[str]:
    """Formats medians over the rounds; the ratio is the median of the ratios of each round."""
    yield f"| | {' | '.join(case.title for case in cases)} |"
    yield f"|---|{'--:|' * len(cases)}"
    for name in dict.fromkeys(name for name, _ in samples):
        small, cells = samples[name, cases[0].title], []
        for case in cases:
            found = samples[name, case.title]
            cells.append(f"{median(s.ms for s in found):.1f} ms, {median(s.cpu for s in found):,.0f} us")
            if REFUSED_SAMPLE in found:
                cells[-1] = "**503**"
            elif case is not cases[0]:
                ratio = median(a.cpu / b.cpu for a, b in zip(found, small, strict=True))
                cells[-1] += f", {f'**{ratio:.1f}**' if ratio > WANTED_RATIO else f'{ratio:.2f}'}"
        yield f"| {name} | {' | '.join(cells)} |"


async def main(arguments: argparse.Namespace, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(empty_database(folder))
        alone = Bench(bench.url.replace("/todo?", f"/{SMALL_DATABASE}?"), folder)
        await prepare(bench, alone, arguments.others)
        for each in (bench, alone):
            await each.tidy()
        small, large = [
            await stack.enter_async_context(running(SERVICE_WITHOUT_WORKER, b.url, folder)) for b in (alone, bench)
        ]
        cases = [await find_case("1,000 tasks, alone", alone, small, HEAVY_USERS[0])]
        for heavy in HEAVY_USERS:
            cases.append(await find_case(f"{heavy.tasks:,} tasks", bench, large, heavy))
        names = [name for name in SCALE_CALLS if not arguments.only or arguments.only in name]
        samples: dict[tuple[str, str], list[Sample]] = {(name, case.title): [] for name in names for case in cases}
        for number in range(arguments.rounds):
            for name in names:
                for case in cases:
                    sample = await asyncio.to_thread(measure_once, bench, case, name, arguments.seconds)
                    samples[name, case.title].append(sample)
                    said = f"round {number + 1}  {name:<40}{case.title:<22}{sample.ms:9.1f} ms{sample.cpu:10,.0f} us"
                    print(said, file=sys.stderr, flush=True)
        for fact in machine(await bench.version(), " ".join(["python -m bench.scale", *sys.argv[1:]])).items():
            print("- {}: {}".format(*fact))
        print(
            f"- others: {arguments.others:,} users with {TASKS_OF_OTHERS} tasks each",
            "",
            *table(cases, samples),
            sep="\n",
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--others", type=int, default=1_000_000, help="users with ten tasks; 3 GB for each 100,000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.6, help="length of one measurement")
    parser.add_argument("--only", help="only requests whose name has this in it")
    parser.add_argument("--folder", type=Path, help="keep the data here, and use what an earlier run has left here")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    where = given.folder or Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        asyncio.run(main(given, where))
    finally:
        if given.folder is None:
            shutil.rmtree(where, ignore_errors=True)
