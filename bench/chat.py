"""``python -m bench.chat``: the cost of a chat without the model, and its effect on other requests.

One server process and a scripted model that responds at once, or slowly. CPU is that of the server and of PostgreSQL
together; the model and the clients run in this process and do not count.
"""

import argparse
import asyncio
import json
import statistics
import time
from typing import Any

import asyncpg
import httpx

from bench.changes import STREAMS_SETTLE, User, Writer, cpu, serving
from bench.database import bench_database
from tests.assistant.scripted import Says, results, scripted


class Model:
    """A model that adds the task of the message, then confirms it."""

    def __init__(self) -> None:
        self.delay = 0.0

    def __call__(self, request: dict[str, Any]) -> Says:
        if found := results(request):
            return Says(f"I added it: {json.dumps(found[-1])}", delay=self.delay)
        return Says(calls=[("add_task", {"title": "Buy milk", "priority": "high"})], delay=self.delay)


async def say(http: httpx.AsyncClient, user: User, *, streamed: bool = False) -> None:
    headers = {"Authorization": f"Bearer {user.token}"} | ({"Accept": "text/event-stream"} if streamed else {})
    answer = await http.post("/api/me/chat", json={"message": "add buy milk, high priority"}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert '"status":"created"' in answer.text


async def reads(port: int, users: list[User], seconds: float, rate: float) -> list[float]:
    """Returns the milliseconds of reads at ``rate`` a second, over eight connections."""
    writers = [await Writer().open(port) for _ in range(8)]
    free: asyncio.Queue[Writer] = asyncio.Queue()
    for writer in writers:
        free.put_nowait(writer)
    taken: list[float] = []

    async def one(number: int, due: float) -> None:
        writer, user = await free.get(), users[number % len(users)]
        await writer.request("GET", f"/api/me/tasks/{user.task}", user.token)
        taken.append((time.perf_counter() - due) * 1000)  # from when it was due: a queue counts, too
        free.put_nowait(writer)

    began, running = time.perf_counter(), []
    for number in range(int(seconds * rate)):
        due = began + number / rate
        await asyncio.sleep(max(0, due - time.perf_counter()))
        running.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*running)
    for writer in writers:
        writer.writer.close()
    return sorted(taken)


def quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


async def measure(arguments: argparse.Namespace) -> None:
    model = Model()
    async with bench_database([]) as bench:
        with scripted(model) as endpoint:
            llm = {"LLM_MODEL": "m", "LLM_BASE_URL": endpoint.url, "CHAT_DAILY_TOKENS": "0"}
            async with serving(bench, **llm) as (port, process):
                users = [User(number) for number in range(arguments.chats)]
                writer = await Writer().open(port)
                for user in users:
                    await writer.request("POST", "/api/me/tasks", user.token, b'{"title": "Water the plants"}')
                rows = await bench_rows(bench.url)
                for user in users:
                    user.task = rows[user.name]
                limits = httpx.Limits(max_connections=arguments.chats + 10)
                async with httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits, trust_env=False
                ) as http:
                    for streamed in (False, True):
                        await say(http, users[0], streamed=streamed)  # loads the library
                        costs = [
                            await turn_cost(http, users, process, bench, streamed) for _ in range(arguments.rounds)
                        ]
                        kind = "streamed" if streamed else "whole"
                        print(f"CPU per turn, {kind} (model asked twice, one tool): {statistics.median(costs):.1f} ms")
                    await beside(http, users, model, process, port, arguments)


async def bench_rows(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select user_id, min(id) from tasks where user_id like 'listener%' group by user_id")
    await connection.close()
    return dict(rows)


async def turn_cost(http: httpx.AsyncClient, users: list[User], process: Any, bench: Any, streamed: bool) -> float:
    """Measures the milliseconds of CPU for one turn, four at a time."""
    before = cpu(process, bench)
    for start in range(0, len(users), 4):
        await asyncio.gather(*(say(http, user, streamed=streamed) for user in users[start : start + 4]))
    await asyncio.sleep(0.3)
    spent: float = cpu(process, bench) - before
    return spent / len(users) * 1000


async def beside(
    http: httpx.AsyncClient, users: list[User], model: Model, process: Any, port: int, arguments: Any
) -> None:
    """Measures reads, in turns quiet and while every user waits for the model."""
    model.delay = arguments.seconds + 2 * STREAMS_SETTLE
    quiet: list[float] = []
    busy: list[float] = []
    memory: list[float] = []
    for _ in range(arguments.rounds):
        await asyncio.sleep(1)
        quiet += await reads(port, users, arguments.seconds, arguments.rate)
        resident = process.memory_info().rss
        chats = [asyncio.create_task(say(http, user)) for user in users]
        await asyncio.sleep(STREAMS_SETTLE)
        memory.append((process.memory_info().rss - resident) / 2**20)
        busy += await reads(port, users, arguments.seconds, arguments.rate)
        for chat in chats:
            chat.cancel()  # the client leaves, which stops the run
        await asyncio.gather(*chats, return_exceptions=True)
        await asyncio.sleep(STREAMS_SETTLE)
    for name, values in (("quiet", sorted(quiet)), (f"beside {len(users)} waiting chats", sorted(busy))):
        print(f"reads, {name}: p50 {quantile(values, 0.5):.1f} ms, p99 {quantile(values, 0.99):.1f} ms ({len(values)})")
    ratio = quantile(sorted(busy), 0.99) / quantile(sorted(quiet), 0.99)
    print(f"p99 beside the chats: {ratio:.2f} x quiet")
    said = ", ".join(f"{each:.1f}" for each in memory)
    each = memory[0] / len(users) * 1024
    print(f"memory of {len(users)} waiting chats: {said} MiB more, round by round; {each:.0f} KiB each in the first")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.chat", description=__doc__)
    parser.add_argument("--chats", type=int, default=100)
    parser.add_argument("--rate", type=float, default=200.0, help="reads a second")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(measure(parser.parse_args()))
