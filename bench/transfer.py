"""The duration of an import and an export, and the memory that the service needs for them.

    .venv/bin/python -m bench.transfer [--tasks 100000]

Starts the service with embedded PostgreSQL, in a folder of its own, and imports a generated export in each format into
accounts of their own, then exports it again. Memory is the peak resident memory of the server process, minus that
before (``resource``'s high-water mark of the process, from /proc: Linux only).
"""

import argparse
import asyncio
import csv
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from bench.accounts import BENCH_PASSWORD, ready, start

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv", "ics": "text/calendar"}


def tasks(count: int) -> Iterator[dict[str, object]]:
    for number in range(1, count + 1):
        yield {
            "id": number,
            "title": f"Task {number} of a long list",
            "description": "What is to be done, in a sentence or two. " * 4,
            "priority": ("none", "low", "medium", "high", "urgent")[number % 5],
            "due_date": f"2090-{number % 12 + 1:02}-{number % 28 + 1:02}",
            "tags": ["home", f"tag {number % 50}"],
            "parent_id": number - 1 if number % 4 == 0 else None,
            "project_id": number % 20 + 1,
        }


def as_json(count: int) -> bytes:
    projects = [{"id": number, "name": f"Project {number}"} for number in range(1, 21)]
    return json.dumps(
        {"format": "todo/1", "user_id": "bench", "projects": projects, "tasks": list(tasks(count))}
    ).encode()


def as_csv(count: int) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["source_id", "title", "description", "priority", "due_date", "tags", "project", "parent"])
    for task in tasks(count):
        parent = f"bench:{task['parent_id']}" if task["parent_id"] else ""
        row = [f"bench:{task['id']}", task["title"], task["description"], task["priority"], task["due_date"]]
        writer.writerow([*row, ",".join(task["tags"]), f"Project {task['project_id']}", parent])  # type: ignore[arg-type]
    return text.getvalue().encode()


def as_ics(count: int) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0"]
    for task in tasks(count):
        lines += ["BEGIN:VTODO", f"UID:bench:{task['id']}", f"SUMMARY:{task['title']}"]
        lines += [f"DESCRIPTION:{task['description']}", f"DUE;VALUE=DATE:{str(task['due_date']).replace('-', '')}"]
        lines += [f"CATEGORIES:{','.join(task['tags'])}", "END:VTODO"]  # type: ignore[arg-type]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


FILE_MAKERS: dict[str, Callable[[int], bytes]] = {"json": as_json, "csv": as_csv, "ics": as_ics}


def high_water(pid: int) -> float:
    """Returns the peak resident memory of the process so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


async def measure(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="todo-") as folder:
        process, url = start(folder)
        try:
            async with httpx.AsyncClient(base_url=url, timeout=600) as http:
                await ready(http)
                quiet = high_water(process.pid)
                print(f"{count} tasks; the server has {quiet:.0f} MB before")
                for kind, make in FILE_MAKERS.items():
                    await one(http, kind, make(count), process.pid, quiet)
        finally:
            process.terminate()
            process.wait(30)


async def one(http: httpx.AsyncClient, kind: str, file: bytes, pid: int, quiet: float) -> None:
    account = {"email": f"{kind}@example.com", "password": BENCH_PASSWORD}
    token = (await http.post("/api/auth/register", json=account)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    began = time.perf_counter()
    answer = await http.post("/api/me/import", content=file, headers={**headers, "Content-Type": CONTENT_TYPES[kind]})
    took = time.perf_counter() - began
    answer.raise_for_status()
    report = answer.json()
    print(
        f"{kind}: {len(file) / 2**20:.0f} MB imported in {took:.1f} s, {report['created']['tasks']} tasks, "
        f"{report['failed']} refused; at most {high_water(pid) - quiet:.0f} MB more than before"
    )
    began, size = time.perf_counter(), 0
    async with http.stream("GET", f"/api/me/export?format={kind}", headers=headers) as stream:
        async for chunk in stream.aiter_raw():
            size += len(chunk)
    took = time.perf_counter() - began
    print(f"{kind}: {size / 2**20:.0f} MB exported in {took:.1f} s; at most {high_water(pid) - quiet:.0f} MB more")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.transfer", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    asyncio.run(measure(parser.parse_args().tasks))
