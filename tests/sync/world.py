"""Three clients of one user, and a ledger that knows everything: what was asked, acknowledged, written and lost."""

import asyncio
import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support import Person
from tests.sync.client import OWN_UID, Client, Unreachable
from tests.sync.requests import Request, Write, read_outcomes
from tests.sync.service import Backup, Service

CLIENTS = 3
ROUNDS = 8  # of all clients, in which everything must have settled
MARKED_FIELDS = {"title", "description", "name", "body"}  # each write sets them to its own mark
EFFECTS = {
    "create": {"created"}, "edit": {"updated"}, "complete": {"completed", "reopened"}, "delete": {"deleted"},
    "restore": {"restored"}, "undo": {"created", "updated", "completed", "reopened", "deleted", "restored"},
}  # fmt: skip


@dataclass
class Point:
    """A moment to which the service can be put back."""

    rows: Backup
    timeline: dict[int, list[dict[str, Any]]]
    read_to: int
    day: float


@dataclass
class Ledger:
    """``timeline`` has the changes of each revision that counts; ``used`` those of all revisions there ever were."""

    writes: dict[str, Write] = field(default_factory=dict)
    acknowledged: dict[str, int | None] = field(default_factory=dict)  # by mark, with its last revision
    conditions: dict[str, Request] = field(default_factory=dict)  # by mark, as it was acknowledged
    repeated: set[str] = field(default_factory=set)  # acknowledged more than once
    timeline: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    used: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    seen: dict[tuple[int, str, str], str] = field(default_factory=dict)
    read_to: int = 0


class World:
    def __init__(self, service: Service, client: type[Client] = Client) -> None:
        self.service = service
        self.owner = f"sync-{uuid.uuid4().hex}"
        self.person = Person(service.http, self.owner)
        self.day = 0.0
        self.ledger = Ledger()
        self.failing: dict[int, tuple[int, str]] = {}  # after how many requests a client's network fails, and how
        self.clients = [client(self._transport(number), lambda: self.day) for number in range(CLIENTS)]
        self.point = Point({}, {}, 0, 0.0)
        self.next_epoch = 0  # seconds since 1970

    def _transport(self, number: int) -> Any:
        async def send(request: Request) -> httpx.Response:
            left, how = self.failing.get(number, (1_000_000, ""))
            self.failing[number] = (left - 1, how)
            if left <= 0 and how == "request lost":
                raise Unreachable
            headers = dict(request.headers)
            response = await self.person.call(request.method, request.path, headers=headers, content=request.body)
            assert response.status_code < 500 or response.status_code == 503, response.text
            if left <= 0 and how == "answer lost":
                raise Unreachable
            self._note(request, response)
            return response

        return send

    def _note(self, request: Request, response: httpx.Response) -> None:
        """Records what a client got to know."""
        if request.path.startswith("/changes?since=") and response.status_code == 200:
            self._check_page(int(request.path.split("=")[1].split("&")[0]), response.json())
        for mark, outcome in (read_outcomes(request.marks, response) if request.marks else {}).items():
            write = self.ledger.writes[mark]
            if outcome is not None and outcome.code is None:
                if write.mark in self.ledger.acknowledged:
                    self.ledger.repeated.add(write.mark)
                self.ledger.acknowledged[write.mark] = outcome.revision
                self.ledger.conditions[write.mark] = request
            elif outcome is not None and write.operation == "create" and outcome.code in OWN_UID:
                self.ledger.acknowledged.setdefault(write.mark, None)

    def _check_page(self, since: int, page: Any) -> None:
        revisions = [change["revision"] for change in page["changes"]]
        assert revisions == sorted(revisions), f"out of order: {revisions}"
        assert all(since < revision <= page["next"] for revision in revisions), (since, revisions, page["next"])
        for change in page["changes"]:
            key = change["revision"], change["entity"], change["data"]["uid"]
            content = json.dumps([change["action"], change["data"]], sort_keys=True)
            assert self.ledger.seen.setdefault(key, content) == content, f"two changes have the revision {key}"

    async def audit(self) -> None:
        """Reads what was written since the last time, before it is pruned, restored or judged."""
        ledger = self.ledger
        for row in await self.service.changes(self.owner, ledger.read_to):
            change = {**row, "data": json.loads(row["data"])}
            assert row["revision"] not in ledger.used, f"the revision {row['revision']} is used twice"
            ledger.timeline.setdefault(row["revision"], []).append(change)
        fresh = [revision for revision in ledger.timeline if revision > ledger.read_to]
        ledger.used |= {revision: ledger.timeline[revision] for revision in fresh}
        current = await self.service.revision(self.owner)
        assert fresh == list(range(ledger.read_to + 1, current + 1)), f"after {ledger.read_to}: {fresh}, {current}"
        ledger.read_to = current

    async def backup(self) -> None:
        await self.audit()
        rows = await self.service.backup(self.owner)
        self.point = Point(rows, dict(self.ledger.timeline), self.ledger.read_to, self.day)

    async def restore(self, how: str) -> None:
        """Puts the service back to the last backup. ``unnoticed``: a client that is ahead asks before any write."""
        await self.audit()
        ahead = [client for client in self.clients if (client.state.since or 0) > self.point.read_to]
        # Epochs are as far apart as the seconds in which they begin, and no two restores come within one.
        await asyncio.sleep(max(0.0, self.next_epoch - time.time()))
        unnoticed = how == "unnoticed" and ahead and max(self.point.read_to, self.ledger.read_to) < 10**15
        if how == "restore":
            await self.service.mark_as_restored()
        await self.service.put_back(self.owner, self.point.rows, days=self.day - self.point.day)
        self.ledger.timeline = dict(self.point.timeline)
        if unnoticed:  # an owner's epoch begins once a minute at most, and the days of a run take no time
            self.failing.clear()
            await ahead[0].pull(limit=100, pages=1)
            self.next_epoch = int(time.time()) + 1
        else:
            await self.service.begin_epoch(by_command=how != "restore")
        reached = await self.service.revision(self.owner)
        assert reached > max(self.ledger.used, default=0), "numbers go on below those of before"
        self.ledger.read_to = reached

    async def pass_days(self, days: float) -> None:
        """Lets time pass, and the worker delete what is too old by then."""
        await self.audit()
        self.day += days
        await self.service.age(self.owner, days)
        await self.service.prune(self.owner)

    async def settle(self) -> None:
        """Brings all clients online until nothing is left to send or to fetch."""
        self.failing.clear()
        for _ in range(ROUNDS):
            current = await self.service.revision(self.owner)
            behind = [client for client in self.clients if client.state.outbox or client.state.since != current]
            if not behind:
                return
            for client in behind:
                await client.sync()
        raise AssertionError("the clients do not settle")

    async def judge(self) -> None:
        """Checks everything that is promised, once all clients have settled."""
        await self.audit()
        await self._check_rows()
        self._check_writes()
        self._check_repetitions()
        self._check_order()
        self._check_conflicts()

    async def check_replica(self, client: Client) -> None:
        """Checks a client that has just pulled everything."""
        held = {key: row["version"] for key, row in client.state.rows.items()}
        assert held == await self.service.versions(self.owner), "a client differs from the service"

    async def _check_rows(self) -> None:
        """Checks that all clients have what the lists have, and what a client has that begins now."""
        tasks = (await self.person.get("/tasks?limit=1000")).json()
        projects = (await self.person.get("/projects?archived=all")).json()
        served = {("task", row["uid"]): row for row in tasks} | {("project", row["uid"]): row for row in projects}
        newest = type(self.clients[0])(self._transport(CLIENTS), lambda: self.day)
        await newest.sync()
        assert {key: row for key, row in newest.state.rows.items() if key[0] != "comment"} == served
        for client in self.clients:
            assert client.state.rows == newest.state.rows, "a client differs from the service"

    def _check_writes(self) -> None:
        """Checks that each write is done, or reported by the client that accepted it."""
        for client in self.clients:
            assert not client.state.outbox
        reports = self._reports()
        for mark, write in self.ledger.writes.items():
            done = mark in self.ledger.acknowledged and self._is_done(write)
            assert done or mark in reports, f"lost: {write}"

    def _reports(self) -> dict[str, str]:
        return {mark: code for client in self.clients for mark, code in client.state.reports.items()}

    def _is_done(self, write: Write) -> bool:
        """Returns whether an acknowledged write has its effect among the changes that count.

        A row that is gone is deleted, also where a restore took back what there was of it.
        """
        if write.operation == "delete" and (write.entity, write.uid) not in self.clients[0].state.rows:
            return True
        revision = self.ledger.acknowledged[write.mark]
        if revision is None:  # the response to a deletion, or to the repeated creation, has none
            return any(
                self._is_effect(write, change) for changes in self.ledger.timeline.values() for change in changes
            )
        changes = self.ledger.timeline.get(revision, [])
        if write.operation in {"create", "edit"} and write.style != "theirs":
            texts = self._texts(write)
            rows = [change["data"] for change in changes if change["uid"] == write.uid]
            return any(all(row[name] in allowed for name, allowed in texts.items()) for row in rows)
        return bool(changes)

    def _texts(self, write: Write) -> dict[str, set[str]]:
        """Returns the fields that the write sets, each with its text or that of a later write in the same batch."""
        marks = self.ledger.conditions[write.mark].marks
        later = [self.ledger.writes[mark] for mark in marks[marks.index(write.mark) :]]
        return {
            name: {other.fields[name] for other in later if other.uid == write.uid and name in other.fields}
            for name in MARKED_FIELDS & write.fields.keys()
        }

    @staticmethod
    def _is_effect(write: Write, change: dict[str, Any]) -> bool:
        return change["uid"] == write.uid and change["action"] in EFFECTS[write.operation]

    def _check_repetitions(self) -> None:
        """Checks that nothing is done twice: each revision is that of one write, each text is set once."""
        timeline, acknowledged = self.ledger.timeline, self.ledger.acknowledged
        claimed = set(acknowledged.values())
        reports = self._reports()
        unnumbered = [
            write
            for mark, write in self.ledger.writes.items()
            if reports.get(mark) == "uncertain" or acknowledged.get(mark, 0) is None
        ]
        for revision in timeline.keys() - claimed:
            found = [w for w in unnumbered if any(self._is_effect(w, change) for change in timeline[revision])]
            assert found, f"nobody knows of {revision}: {timeline[revision]}"
            unnumbered.remove(found[0])
        undone = {acknowledged.get(mark) for mark, write in self.ledger.writes.items() if write.operation == "undo"}
        times: Counter[tuple[str, str, str]] = Counter()
        values: dict[tuple[str, str], str] = {}
        for revision in sorted(timeline):
            for change in timeline[revision]:
                uid = change["uid"]
                times[uid, "action", "created"] += change["action"] == "created"
                for name in MARKED_FIELDS & change["data"].keys():
                    value = change["data"][name]
                    if values.get((uid, name)) != value:
                        times[uid, name, value] += revision not in undone
                        values[uid, name] = value
        assert max(times.values(), default=1) <= 1, f"done twice: {times.most_common(3)}"

    def _check_order(self) -> None:
        """Checks that the writes of each client have their effect in the order in which they were made.

        What a restore took back comes after what the client wrote before it noticed.
        """
        for client in range(CLIENTS):
            reached = 0
            for mark, write in self.ledger.writes.items():
                revision = self.ledger.acknowledged.get(mark) or 0
                own = (
                    mark.startswith(f"{client}-") and write.operation in {"create", "edit"} and write.style != "theirs"
                )
                if own and mark not in self.ledger.repeated and revision in self.ledger.timeline:
                    assert reached <= revision, f"out of order: {write}"
                    reached = revision

    def _check_conflicts(self) -> None:
        """Checks that a change made on a condition has overwritten nothing that its user had not seen."""
        timeline = self.ledger.timeline
        for mark, request in self.ledger.conditions.items():
            write, revision = self.ledger.writes[mark], self.ledger.acknowledged[mark]
            base = request.bases[request.marks.index(mark)]
            alone = list(self.ledger.acknowledged.values()).count(revision) == 1
            if write.operation != "edit" or write.style not in {"if_match", "merge"} or not (alone and base):
                continue
            if revision not in timeline:
                continue
            together = {self.ledger.acknowledged.get(other) for other in request.marks}  # if_match is of before them
            history = {
                number: change["data"]
                for number in sorted(timeline)
                for change in timeline[number]
                if change["uid"] == write.uid and number < (revision or 0) and number not in together
            }
            before = history[max(history)]
            if base in history and write.style == "if_match":
                assert base == max(history), f"overwrites {before}: {write}"
            elif base in history:
                for name in MARKED_FIELDS & write.fields.keys():
                    assert before[name] == history[base][name], f"overwrites {name} of {before}: {write}"
