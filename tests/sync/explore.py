"""``python -m tests.sync.explore``: random runs of the model check, as many as wanted.

A run is a list of steps, which Hypothesis draws and shortens when a run fails. ``tests/sync/test_explore.py`` does the
same with fewer runs.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from app.config import Settings
from app.db import migrations
from app.db.embedded import embedded_postgres
from tests.databases import Databases
from tests.support import SECRET
from tests.sync.client import Client, Unreachable
from tests.sync.faults import ALL_FAULTS, put_in
from tests.sync.requests import Write
from tests.sync.service import Service, serving
from tests.sync.world import CLIENTS, World

FEWEST_STEPS, MOST_STEPS = 6, 18
# How often each is drawn, and the choices of its three parameters.
WEIGHTS: dict[str, tuple[int, list[Any], list[Any]]] = {
    "idle": (1, [""], [""]),  # the first one: needless steps of a run that fails become this
    "create": (4, ["put", "uid", "post"], ["alone", "project", "parent", "recurring"]),
    "create project": (1, ["put", "uid", "post"], ["", "inside"]),
    "comment": (1, [""], [""]),
    "edit": (4, ["plain", "if_match", "merge", "merge", "mine", "theirs"],
             ["title", "description", "both", "name", "inside"]),
    "complete": (2, [True, False], [""]),
    "delete": (2, ["task", "task", "project", "comment"], [""]),
    "restore": (1, [""], [""]),
    "undo": (1, [""], [""]),
    "push": (6, ["", "", "request lost", "answer lost"], ["", "", "crashes"]),
    "batch": (5, ["", "", "request lost", "answer lost"], [True, False]),  # atomic
    "pull": (4, [100, 2, 1], ["all", "a page", "a page", "crashes", "answer lost"]),
    "sync": (4, [100, 3, 1], [""]),  # rows in a page
    "together": (1, [""], [""]),
    "crash": (1, [""], [""]),
    "backup": (1, [""], [""]),
    "put back": (1, ["command", "restore", "unnoticed"], [""]),
    "days": (1, [2.0, 100.0], [""]),
}  # fmt: skip
NAMES = [name for name, (weight, _, _) in WEIGHTS.items() for _ in range(weight)]


class Step(NamedTuple):
    name: str
    client: int
    number: int  # which row, or how many requests
    first: Any
    second: Any


# What each run begins with: a task with a subtask in a project, and a series.
FIRST_STEPS = [
    Step("create project", 0, 0, "put", ""),
    Step("create", 0, 0, "post", "project"),
    Step("create", 0, 0, "put", "parent"),
    Step("create", 0, 0, "put", "recurring"),
    Step("batch", 0, 3, "", True),
    Step("sync", 0, 0, 100, ""),
    Step("sync", 1, 0, 100, ""),
    Step("pull", 2, 0, 1, "a page"),  # it has begun to load
]
STEPS = {
    name: [Step(name, *choice) for choice in product(range(CLIENTS), range(5), *choices)]
    for name, (_, *choices) in WEIGHTS.items()
}


@st.composite
def drawn_step(draw: st.DrawFn) -> Step:
    step: Step = draw(st.sampled_from(STEPS[draw(st.sampled_from(NAMES))]))
    return step


RUNS = st.lists(drawn_step(), min_size=FEWEST_STEPS, max_size=MOST_STEPS)


class Player:
    """Plays the steps of one run. A step that makes no sense at its time does nothing."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def play(self, step: Step) -> None:
        client = self.world.clients[step.client]
        match step.name:
            case "push":
                if step.first:
                    self.world.failing[step.client] = (step.number, step.first)
                with suppress(Unreachable):
                    await client.push(step.number + 1, saves=not step.second)
                if step.second:
                    client.crash()
            case "batch":
                if step.first:
                    self.world.failing[step.client] = (0, step.first)
                with suppress(Unreachable):
                    await client.push(step.number + 1, atomic=step.second)
            case "pull":
                await self._pull(client, step)
            case "sync":
                await client.sync(limit=step.first)
                await self.world.check_replica(client)
            case "together":
                await asyncio.gather(*(each.sync() for each in self.world.clients))
            case "idle":
                pass
            case "crash":
                client.crash()
            case "backup":
                await self.world.backup()
            case "put back":
                await self.world.restore(step.first)
            case "days":
                await self.world.pass_days(step.first)
            case _:
                self._write(client, step)
        self.world.failing.clear()

    async def _pull(self, client: Client, step: Step) -> None:
        if step.second == "answer lost":
            self.world.failing[step.client] = (step.number, "answer lost")
        pages = 1 if step.second == "a page" else 100
        with suppress(Unreachable):
            if await client.pull(limit=step.first, pages=pages, saves=step.second != "crashes"):
                await self.world.check_replica(client)
        if step.second == "crashes":
            client.crash()

    def _write(self, client: Client, step: Step) -> None:
        mark = f"{step.client}-{len(self.world.ledger.writes)}"
        if (write := self._new_write(client, step, mark)) is not None:
            self.world.ledger.writes[mark] = write
            client.write(write)

    def _new_write(self, client: Client, step: Step, mark: str) -> Write | None:
        """Returns what the user of ``client`` does, with a row that they see; None if there is none."""
        pick = _Pick(client, step.number)
        match step.name:
            case "create":
                return Write(mark, "create", "task", mark, {"title": mark, **pick.place(step.second)}, step.first)
            case "create project":
                return Write(mark, "create", "project", mark, {"name": mark, **pick.place(step.second)}, step.first)
            case "comment":
                task = pick.one("task")
                return Write(mark, "create", "comment", mark, {"body": mark}, "post", task_uid=task) if task else None
            case "edit":
                if step.second == "inside":  # also of itself, or on a fourth level, which is refused
                    place = _Pick(client, step.number // 2).place("inside")
                    return pick.write(mark, "edit", "project", {"name": mark, **place}, step.first)
                entity = "project" if step.second == "name" else "task"
                fields = ["title", "description"] if step.second == "both" else [step.second]
                return pick.write(mark, "edit", entity, dict.fromkeys(fields, mark), step.first)
            case "complete":
                return pick.write(mark, "complete", "task", {"completed": step.first})
            case "delete":
                return pick.write(mark, "delete", step.first, {})
            case "restore":
                trash = [uid for entity, uid in client.state.trash if entity == "task"]
                return Write(mark, "restore", "task", trash[-1]) if trash else None
            case _:
                done = [(write, made.revision) for write, made in client.done() if made.revision is not None]
                if not done:
                    return None
                write, revision = done[-1]
                return Write(mark, "undo", write.entity, write.uid, {"revision": revision})


class _Pick(NamedTuple):
    """The rows that the user of a client sees, one of which is meant."""

    client: Client
    number: int

    def one(self, entity: str) -> str | None:
        uids = self.client.visible(entity)
        return uids[self.number % len(uids)] if uids else None

    def write(self, mark: str, operation: str, entity: str, fields: dict[str, Any], style: str = "") -> Write | None:
        uid = self.one(entity)
        if uid is None:
            return None
        row = self.client.state.rows.get((entity, uid))
        task_uid = self._task_of(uid) if entity == "comment" else ""
        return Write(mark, operation, entity, uid, fields, style, row["version"] if row else None, task_uid)

    def _task_of(self, comment: str) -> str:
        """Returns the uid of the task that has ``comment``, or one that no task has."""
        waiting = [write for entry in self.client.state.outbox for write in entry.writes if write.uid == comment]
        row = self.client.state.rows.get(("comment", comment), {"task_id": None})
        tasks = [uid for (_, uid), task in self.client.state.rows.items() if task["id"] == row["task_id"]]
        return [*[write.task_uid for write in waiting], *tasks, "unknown"][0]

    def place(self, kind: str) -> dict[str, Any]:
        if kind == "recurring":
            return {"due_date": "2026-12-01", "recurrence": "daily"}
        entity = {"project": "project", "parent": "task", "inside": "project"}.get(kind, "")
        uid = self.one(entity) if entity else None
        return {f"{'parent' if kind == 'inside' else kind}_uid": uid} if uid else {}


async def play(service: Service, steps: list[Step], client: type[Client] = Client) -> None:
    """Plays a run, brings all clients online, and raises AssertionError if a promise is broken."""
    world = World(service, client)
    player = Player(world)
    try:
        for step in (*FIRST_STEPS, *steps):
            await player.play(step)
        await world.settle()
        await world.judge()
    finally:
        await service.forget(world.owner)


def explore(
    runner: asyncio.Runner,
    service: Service,
    *,
    runs: int,
    start: int | None = None,
    client: type[Client] = Client,
    shrinks: bool = True,
) -> Counter[str]:
    """Plays ``runs`` runs; without ``start`` the same ones each time. Returns how often each step was played."""
    played: Counter[str] = Counter()

    @settings(
        max_examples=runs,
        derandomize=start is None,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
    )
    @given(RUNS)
    def run(steps: list[Step]) -> None:
        played.update(step.name for step in steps)
        runner.run(play(service, steps, client))

    (run if start is None else seed(start)(run))()
    return played


@contextmanager
def served(runner: asyncio.Runner) -> Iterator[Service]:
    """Starts a server and the service, in ``runner``'s loop."""
    with tempfile.TemporaryDirectory(prefix="todo-") as folder:
        server = embedded_postgres(Settings(_env_file=None, data_dir=Path(folder)))
        options = runner.run(server.__aenter__())
        for statement in ("alter system set fsync = off", "select pg_reload_conf()"):
            runner.run(Databases(options).execute(statement))
        runner.run(migrations.upgrade(options))
        service = serving(options, Settings(_env_file=None, jwt_secret=SECRET, access_log=False, worker="off"))
        try:
            yield runner.run(service.__aenter__())
        finally:
            runner.run(service.__aexit__(None, None, None))
            runner.run(server.__aexit__(None, None, None))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sync.explore", description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--fault", choices=sorted(ALL_FAULTS), help="put this fault in, and succeed if it is found")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with asyncio.Runner() as runner, served(runner) as service, pytest.MonkeyPatch.context() as patch:
        client = put_in(ALL_FAULTS[arguments.fault], patch) if arguments.fault else Client
        began = time.monotonic()
        try:
            played = explore(runner, service, runs=arguments.runs, start=arguments.seed, client=client)
        except AssertionError as error:
            if not arguments.fault:
                raise
            sys.stdout.write(f"found: {error}\n")
            return 0
    steps = ", ".join(f"{name} {times:,}" for name, times in sorted(played.items()))
    took = time.monotonic() - began
    sys.stdout.write(
        f"{arguments.runs:,} runs, seed {arguments.seed}, {played.total():,} steps, {took:.0f} s: {steps}\n"
    )
    return 1 if arguments.fault else 0


if __name__ == "__main__":
    sys.exit(main())
