"""A reference client of docs/changes.md: it works offline, loses its memory, and repeats what had no response.

What it keeps on its disk is a ``State``: the rows as the service has them, the revision up to which it has them, the
writes to send (``outbox``), and those that were acknowledged (``journal``). A request is formed once, and stored before
it is sent, so that each repetition is the same under the same Idempotency-Key. After a 410 the client loads a snapshot
and also repeats its journal: what the service still has is replayed, what a restore took back is done again. The
service knows a key for a day: what is older is reported to the user instead.
"""

import pickle
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.sync.requests import Outcome, Request, Write, form_batch, form_request, read_outcomes

KEY_DAYS = 1.0  # that the service knows an Idempotency-Key
OWN_UID = {"already_exists", "uid_taken", "in_trash"}  # a uid that only this client uses: it was created before

Row = dict[str, Any]
RowKey = tuple[str, str]  # entity and uid


class Unreachable(Exception):
    """No response arrived: the request may have had its effect, or not."""


Transport = Callable[[Request], Awaitable[httpx.Response]]


@dataclass
class Entry:
    """Writes that are sent together, and their request once it is formed."""

    writes: list[Write]
    request: Request | None = None
    first_sent: float = 0.0  # by the client's clock, in days
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass
class Load:
    """A snapshot of which some pages are here."""

    rows: dict[RowKey, Row] = field(default_factory=dict)
    cursor: str = ""


@dataclass
class State:
    """The disk of a client. Without ``since`` it has to load everything."""

    since: int | None = None
    reached: int = 0  # ``since`` before a 410
    rows: dict[RowKey, Row] = field(default_factory=dict)
    load: Load = field(default_factory=Load)
    trash: list[RowKey] = field(default_factory=list)
    outbox: list[Entry] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    reports: dict[str, str] = field(default_factory=dict)  # by the mark of a write: what the user is told


class Client:
    """Keeps its state in memory, and on its disk as it was at the last ``save``."""

    def __init__(self, send: Transport, clock: Callable[[], float]) -> None:
        self._send, self._clock = send, clock
        self.state = State()
        self.save()

    def save(self) -> None:
        self._disk = pickle.dumps(self.state)

    def crash(self) -> None:
        self.state = pickle.loads(self._disk)

    def write(self, write: Write) -> None:
        """Accepts a write of the user: from here on it is either done or reported."""
        self.state.outbox.append(Entry([write]))
        self.save()

    def visible(self, entity: str) -> list[str]:
        """Returns the uids that the user sees: the rows, with what is not sent yet."""
        uids = [uid for kind, uid in self.state.rows if kind == entity]
        for write in (write for entry in self.state.outbox for write in entry.writes if write.entity == entity):
            if write.operation == "create" and write.uid not in uids:
                uids.append(write.uid)
            elif write.operation == "delete" and write.uid in uids:
                uids.remove(write.uid)
        return uids

    def done(self) -> list[tuple[Write, Outcome]]:
        """Returns the acknowledged writes, the latest last."""
        return [pair for entry in self.state.journal for pair in zip(entry.writes, entry.outcomes, strict=True)]

    async def sync(self, *, limit: int = 100) -> None:
        """Comes online. Pulls first: what a restore took back is sent again before what is new. Raises Unreachable."""
        await self.pull(limit=limit, pages=1_000)
        while self.state.outbox:
            await self.push(len(self.state.outbox))
            await self.pull(limit=limit, pages=1_000)

    async def push(self, count: int, *, atomic: bool | None = None, saves: bool = True) -> None:
        """Sends at most ``count`` writes, in order: each in a request, or in a batch. Raises Unreachable."""
        if atomic is not None:
            self._gather(count, atomic=atomic)
            count = 1
        for _ in range(min(count, len(self.state.outbox))):
            entry = self.state.outbox[0]
            if entry.request is None:
                entry.request, entry.first_sent = self._form(entry.writes[0]), self._clock()
            if self._key_is_known(entry):
                self.save()
                response = await self._send(self._to_send(entry.request))
                if response.status_code == 503:
                    raise Unreachable
                self.state.outbox.pop(0)
                self._settle(entry, response)
            else:
                self.state.outbox.pop(0)
                self._report(entry, "uncertain")
            if saves:
                self.save()

    async def pull(self, *, limit: int, pages: int, saves: bool = True) -> bool:
        """Applies at most ``pages`` pages of changes; returns whether there are no more. Raises Unreachable."""
        for _ in range(pages):
            more = await self._load_page(limit) if self.state.since is None else await self._apply_page(limit)
            if saves:
                self.save()
            if not more:
                return True
        return False

    def _key_is_known(self, entry: Entry) -> bool:
        return self._clock() - entry.first_sent < KEY_DAYS

    def _report(self, entry: Entry, code: str) -> None:
        self.state.reports |= {write.mark: code for write in entry.writes}

    def _to_send(self, request: Request) -> Request:
        return request

    def _form(self, write: Write) -> Request:
        return form_request(write, self._version_of(write), uuid.uuid4().hex)

    def _gather(self, count: int, *, atomic: bool) -> None:
        """Puts the next writes that were not sent yet into one batch."""
        entries = []
        for entry in self.state.outbox[:count]:
            if entry.request is not None or not entry.writes[0].in_batch:
                break
            entries.append(entry)
        if entries:
            writes = [write for entry in entries for write in entry.writes]
            request = form_batch(
                [(write, self._version_of(write)) for write in writes], uuid.uuid4().hex, atomic=atomic
            )
            self.state.outbox[: len(entries)] = [Entry(writes, request, self._clock())]

    def _version_of(self, write: Write) -> int:
        """Returns the version that the user saw, or that the client itself made of it since."""
        own = [made.revision or 0 for done, made in self.done() if (done.entity, done.uid) == (write.entity, write.uid)]
        return max([*own, write.seen or 0])

    def _settle(self, entry: Entry, response: httpx.Response) -> None:
        """Takes the response into account: what was done is in the journal, what was refused is reported."""
        assert entry.request is not None
        found = read_outcomes(entry.request.marks, response)
        outcomes = [found[write.mark] for write in entry.writes]  # not those refused before, if it is sent again
        refused = [outcome is not None and outcome.code is not None for outcome in outcomes]
        done = Entry([], entry.request, entry.first_sent)
        again = []
        for write, outcome, is_refused in zip(entry.writes, outcomes, refused, strict=True):
            if outcome is None:  # nothing of an atomic batch was done, because of another write
                again.append(Entry([write]))
            elif is_refused and not (write.operation == "create" and outcome.code in OWN_UID):
                self._report(Entry([write]), str(outcome.code))
            else:
                done.writes.append(write)
                done.outcomes.append(outcome)
                if outcome.row is not None:
                    self._apply_row(write.entity, outcome.row)
        self.state.outbox[:0] = again
        if done.writes:
            self.state.journal.append(done)

    def _apply_row(self, entity: str, row: Row) -> None:
        """Takes a row that is newer than all that was pulled: a repeated response may be older."""
        held = self.state.rows.get((entity, row["uid"]), {"version": 0})
        if self.state.since is not None and row["version"] > max(self.state.since, held["version"]):
            self.state.rows[entity, row["uid"]] = row

    async def _apply_page(self, limit: int) -> bool:
        response = await self._send(Request("GET", f"/changes?since={self.state.since}&limit={limit}"))
        if response.status_code == 410:
            self.state.reached, self.state.since = self.state.since or 0, None
            return True
        page = _read_page(response)
        for change in page["changes"]:
            self._apply_change(self.state.rows, change)
        self.state.since = page["next"]
        return bool(page["has_more"])

    async def _load_page(self, limit: int) -> bool:
        """Loads a page of the snapshot; a page may be requested again, in another run of the program too."""
        load = self.state.load
        cursor = f"&cursor={load.cursor}" if load.cursor else ""
        response = await self._send(Request("GET", f"/changes?snapshot=true&limit={limit}{cursor}"))
        if response.status_code == 410:
            self.state.load = Load()
            return True
        page = _read_page(response)
        for change in page["changes"]:
            self._apply_change(load.rows, change)
        load.cursor = page["cursor"] or ""
        if not load.cursor:
            self._take_snapshot(load.rows, page["next"])
        return True

    def _apply_change(self, rows: dict[RowKey, Row], change: Row) -> None:
        key = change["entity"], change["data"]["uid"]
        if change["action"] in {"deleted", "purged"}:
            rows.pop(key, None)
            self.state.trash.append(key)
        elif rows.get(key, {"version": 0})["version"] <= change["revision"]:
            rows[key] = change["data"]

    def _take_snapshot(self, rows: dict[RowKey, Row], since: int) -> None:
        """Replaces all rows, and sends again what the service may have lost: it replays what it has not."""
        state, kept, again = self.state, [], []
        for entry in state.journal:
            if self._key_is_known(entry):
                again.append(Entry(entry.writes, entry.request, entry.first_sent))
            elif all(self._is_in(rows, *pair) for pair in zip(entry.writes, entry.outcomes, strict=True)):
                kept.append(entry)
            else:
                self._report(entry, "may be lost")
        state.rows, state.since, state.load = rows, since, Load()
        state.journal, state.outbox = kept, again + state.outbox

    def _is_in(self, rows: dict[RowKey, Row], write: Write, outcome: Outcome) -> bool:
        """Returns whether ``rows`` surely have the effect of a write that was acknowledged.

        A version above all that the client had reached may be of after a restore, and then says nothing of before it.
        """
        row = rows.get((write.entity, write.uid))
        if row is None or write.operation == "delete":
            return row is None and write.operation == "delete"
        version = int(row["version"])
        return outcome.revision in {None, version} or (outcome.revision or 0) <= version <= self.state.reached


def _read_page(response: httpx.Response) -> Row:
    """Returns a page of changes. Raises Unreachable where the service asks to send the request again."""
    if response.status_code == 503:
        raise Unreachable
    assert response.status_code == 200, response.text
    page: Row = response.json()
    return page
