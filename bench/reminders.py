"""``python -m bench.reminders``: the time from when a reminder is due to its arrival at the receiver.

One server process with its worker, and a receiver of ntfy's kind in this process that responds at once. Dead receivers
are servers that accept connections and never respond.
"""

import argparse
import asyncio
import random
import socket
import time
from datetime import UTC, datetime, timedelta

import asyncpg

from bench.database import Bench, bench_database
from bench.report import command, machine
from bench.serving import serving

BEGIN_AFTER, ARRIVE_WITHIN = 8.0, 30.0  # seconds
ADD_USERS = """
with added as (insert into users (id, revision) select 'user' || u, 1 from generate_series(1, $1::integer) u)
insert into channels (user_id, kind, name, url, topic, version)
select 'user' || u, 'ntfy', 'Phone', $2, 'bench', 1 from generate_series(1, $1::integer) u"""
ADD_DEAD_CHANNELS = """
insert into channels (user_id, kind, name, url, topic, version)
select 'user' || u, 'ntfy', 'Dead', ($2::text[])[1 + u % cardinality($2::text[])], 'bench', 1
from generate_series(1, $1::integer) u"""
ADD_REMINDERS = """
insert into tasks (user_id, title, reminders, remind_at, version)
select 'user' || (1 + n % $1::integer), 'task ' || n, array['2090-01-01T00:00:00Z'], at, 1
from unnest($2::timestamptz[]) with ordinality due (at, n)"""


class Receiver(asyncio.Protocol):
    """One connection of the service. ``arrived`` has the wall clock's time of each title."""

    arrived: dict[str, list[float]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.left = transport, b""

    def data_received(self, data: bytes) -> None:
        self.left += data
        while b"\r\n\r\n" in self.left:
            head, _, rest = self.left.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(rest) < length:
                return
            body, self.left = rest[:length], rest[length:]
            title = body.partition(b'"title":"')[2].partition(b'"')[0].decode()
            self.arrived.setdefault(title, []).append(time.time())
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


async def measure(bench: Bench, name: str, *, users: int, count: int, seconds: float, dead: int) -> None:
    """Prints the delays of ``count`` reminders that are due at random within ``seconds``."""
    Receiver.arrived = {}
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=512)
    silent = [socket.create_server(("127.0.0.1", 0), backlog=1000) for _ in range(dead)]
    connection = await asyncpg.connect(bench.url)
    await connection.execute("truncate users cascade")
    await connection.execute(ADD_USERS, users, _url(server.sockets[0]))
    if silent:
        await connection.execute(ADD_DEAD_CHANNELS, users, [_url(each) for each in silent])
    begin, moments = datetime.now(UTC) + timedelta(seconds=BEGIN_AFTER), random.Random(1)
    due = [begin + timedelta(seconds=moments.uniform(0, seconds)) for _ in range(count)]
    await connection.execute(ADD_REMINDERS, users, due)
    await connection.execute("analyze")
    await asyncio.sleep(BEGIN_AFTER + seconds)
    deadline = time.monotonic() + ARRIVE_WITHIN
    while len(Receiver.arrived) < count and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    delays = sorted(min(Receiver.arrived[f"task {n}"]) - at.timestamp() for n, at in enumerate(due, 1))
    doubled = sum(len(times) - 1 for times in Receiver.arrived.values())
    p50, p99 = (delays[int(len(delays) * share)] for share in (0.5, 0.99))
    print(f"| {name} | {p50:.2f} | {p99:.2f} | {delays[-1]:.2f} | {doubled} |", flush=True)
    await connection.close()
    server.close()
    for each in silent:
        each.close()


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def main(arguments: argparse.Namespace) -> None:
    async with bench_database([]) as bench, serving(bench, WEBHOOKS_ALLOW_PRIVATE="true"):
        for name, value in machine(await bench.version(), command("bench.reminders")).items():
            print(f"- {name}: {value}")
        print("\n| reminders | p50 s | p99 s | longest s | sent again |\n| --- | --: | --: | --: | --: |")
        count = arguments.reminders
        cases = {
            f"{count} within a minute, of 200 users": (200, 60.0, 0),
            f"{count} within a minute, of one user": (1, 60.0, 0),
            f"{count} within a minute, of 200 users who each also have a dead receiver": (200, 60.0, 20),
            f"{count} at one moment, of 200 users": (200, 0.0, 0),
        }
        for name, (users, seconds, dead) in cases.items():
            if arguments.only in name:
                await measure(bench, name, users=users, count=count, seconds=seconds, dead=dead)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.reminders", description=__doc__)
    parser.add_argument("--reminders", type=int, default=1000)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    asyncio.run(main(parser.parse_args()))
