"""``python -m bench.writes``: where the CPU of PostgreSQL goes for a creation and a completion.

The service's own statements, with their BEGIN and COMMIT, on one connection; the CPU is that of its process, in
microseconds, the least of several rounds. Each part's price is what a write costs with it less what it costs without
it: without an index, without row-level security, without the row in ``changes``. Parts share work, so prices do not add
up.
"""

import argparse
import asyncio
import os
import random
import re
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from app.db.connection_options import SERVER_SETTINGS
from app.db.database import PREPARED_SETTINGS, quote_owner
from app.db.uuid7 import new_uuid7
from bench.contestants import environment
from bench.database import Bench, bench_database
from bench.report import table
from bench.scenarios import TASKS_PER_USER, USER_COUNT, task_id, user_id
from bench.serving import facts
from bench.statements import CREATE_ONE_TASK, TOGGLE_TASK, Statement, begin

LOG_PART = re.compile(r",\s*log AS\s*\(")
LIST_INDEXES = """
    select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
    where indrelid = 'tasks'::regclass and not indisunique order by 1"""
NEW_TASK: dict[str, Any] = {
    "title": "Call the plumber",
    "completed": False,
    "description": "The tap in the kitchen drips again.",
    "priority": "high",
    "tags": ["home", "errands"],
    "due_on": date(2026, 12, 1),
    "due_at": None,
}


class Write(NamedTuple):
    """A kind of write. ``begin`` lacks the owner."""

    begin: str
    sql: str
    statement: Statement


def without_log(sql: str) -> str:
    """Cuts the part that inserts into ``changes`` out of a recorded write. Raises ValueError if there is none.

    What stands there instead is not executed, and has the parameter of that part.
    """
    found = LOG_PART.search(sql)
    if found is None:
        raise ValueError(sql)
    end, depth = found.end(), 1
    while depth:
        depth += {"(": 1, ")": -1}.get(sql[end], 0)
        end += 1
    return f"{sql[: found.start()]}, log AS (SELECT $2::VARCHAR){sql[end:]}"


def run_seconds(pid: int) -> float:
    """Returns the time for which a process has had a CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Meter:
    """One connection, and the CPU of its process."""

    def __init__(self, connection: Any, pid: int, count: int) -> None:
        self.connection, self.pid, self.count = connection, pid, count
        self._chance = random.Random(7)

    async def price(self, write: Write | None, begin_text: str = "BEGIN; ") -> float:
        """Returns the microseconds of one write; None is a transaction of nothing."""
        prepared = write and await self.connection.prepare(write.sql)
        for warm in (True, False):
            before = run_seconds(self.pid)
            for number in range(self.count // 10 if warm else self.count):
                user, task = number % USER_COUNT, self._chance.randrange(TASKS_PER_USER)
                await self.connection.execute((write.begin if write else begin_text) + quote_owner(user_id(user)))
                if write and prepared:
                    values = NEW_TASK | {"owner": user_id(user), "uid": new_uuid7(), "task_id": task_id(user, task)}
                    await prepared.fetch(*write.statement.arguments(**values))
                await self.connection.execute("COMMIT")
        return (run_seconds(self.pid) - before) / self.count * 1e6


class Prices:
    """The least microseconds of each variant of each kind of write."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    def note(self, kind: str, variant: str, price: float) -> None:
        known = self.found.setdefault(variant, {})
        known[kind] = min(price, known.get(kind, price))
        print(kind, variant, round(price), file=sys.stderr, flush=True)

    def without(self, kind: str, *, variant: str) -> float:
        """Returns what a write costs less without that part."""
        return self.found[WHOLE_WRITE][kind] - self.found[variant][kind]


WHOLE_WRITE, NO_WRITE = "the whole write", "transaction alone"
ALL_INDEXES = "all of these indexes"


async def measure(bench: Bench, rounds: int, count: int) -> Prices:
    os.environ.update(environment(bench.url, port=0))  # for ``begin``
    begin_write = begin(read_only=False)
    kinds = {
        "create": Write(begin_write, CREATE_ONE_TASK.sql, CREATE_ONE_TASK),
        "complete": Write(begin_write, TOGGLE_TASK.sql, TOGGLE_TASK),
    }
    prices = Prices()
    connection = await asyncpg.connect(bench.url, server_settings=SERVER_SETTINGS | PREPARED_SETTINGS)
    try:
        meter = Meter(connection, await connection.fetchval("select pg_backend_pid()"), count)
        indexes = {row[0]: row[1] for row in await connection.fetch(LIST_INDEXES)}
        for _ in range(rounds):
            for kind, write in kinds.items():
                await bench.tidy()  # else each variant would meet the dead rows of those before it
                no_role = write._replace(begin=re.sub(r"SET LOCAL ROLE \w+;", "", write.begin))
                prices.note(kind, WHOLE_WRITE, await meter.price(write))
                prices.note(kind, NO_WRITE, await meter.price(None, begin_write))
                await bench.tidy()
                prices.note(kind, "row-level security", await meter.price(no_role))
                await bench.tidy()
                prices.note(kind, "row in changes", await meter.price(write._replace(sql=without_log(write.sql))))
            for name, dropped in {**{name: [name] for name in indexes}, ALL_INDEXES: list(indexes)}.items():
                await bench.run("".join(f"drop index {index};" for index in dropped))
                for kind, write in kinds.items():
                    await bench.tidy()
                    prices.note(kind, name, await meter.price(write))
                await bench.run("".join(f"{indexes[index]};" for index in dropped))
    finally:
        await connection.close()
    return prices


def render(prices: Prices, about: str) -> str:
    def row(variant: str, price: Callable[[str], float]) -> list[str]:
        return [variant, *(f"{price(kind):,.0f}" for kind in prices.found[WHOLE_WRITE])]

    rows = [row(name, prices.found[name].__getitem__) for name in (WHOLE_WRITE, NO_WRITE)]
    parts = [name for name in prices.found if name not in (WHOLE_WRITE, NO_WRITE)]
    rows += [row(name, partial(prices.without, variant=name)) for name in parts]
    return "\n".join([about, "", *table(["us of PostgreSQL's CPU", *prices.found[WHOLE_WRITE]], rows)])


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.writes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=2000, help="writes of one measurement")
    given = parser.parse_args()
    async with bench_database([]) as bench:
        prices = await measure(bench, given.rounds, given.count)
        print(render(prices, await facts(bench, "bench.writes")))


if __name__ == "__main__":
    asyncio.run(main())
