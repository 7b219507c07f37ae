"""A reference client of docs/changes.md: it works offline, loses its memory, and repeats what had no response.

What it keeps on its disk is a ``State``: the rows as the service has them, the revision up to which it has them, the
writes to send (``outbox``), and those that were acknowledged (``journal``). A write is formed once, and stored before
it is sent, so that each repetition is the same request under the same Idempotency-Key. After a 410 the client loads
everything again and also repeats its journal: what the service still has is replayed, what a restore took back is
done again. The service knows a key for a day: what is older is reported to the user instead.
"""

import json
import pickle
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

KEY_DAYS = 1.0  # that the service knows an Idempotency-Key
PATHS = {"task": "/tasks", "project": "/projects"}
OWN_UID = {"already_exists", "uid_taken", "in_trash"}  # a uid that only this client uses: it was created before

Row = dict[str, Any]
RowKey = tuple[str, str]  # entity and uid


class Unreachable(Exception):
    """No response arrived: the request may have had its effect, or not."""


class Request(NamedTuple):
    """A request, the same each time it is sent; ``marks`` names the writes that it carries."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    marks: tuple[str, ...] = ()


Transport = Callable[[Request], Awaitable[httpx.Response]]


@dataclass
class Write:
    """One write of the user. ``mark`` is its own text, ``seen`` the version of the row that the user saw."""

    mark: str
    operation: str
    entity: str
    uid: str
    fields: Row = field(default_factory=dict)
    style: str = ""
    seen: int | None = None
    request: Request | None = None
    first_sent: float | None = None  # the client's clock, in days
    revision: int | None = None  # once it is acknowledged


@dataclass
class State:
    """The disk of a client. Without ``since`` it has to load everything."""

    since: int | None = None
    rows: dict[RowKey, Row] = field(default_factory=dict)
    trash: list[RowKey] = field(default_factory=list)
    outbox: list[Write] = field(default_factory=list)
    journal: list[Write] = field(default_factory=list)
    reports: dict[str, str] = field(default_factory=dict)  # mark: what the user is told


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
        self.state.outbox.append(write)
        self.save()

    def visible(self, entity: str) -> list[str]:
        """Returns the uids that the user sees: the rows, with what is not sent yet."""
        uids = [uid for kind, uid in self.state.rows if kind == entity]
        for write in self.state.outbox:
            if write.entity == entity and write.operation == "create" and write.uid not in uids:
                uids.append(write.uid)
            elif write.entity == entity and write.operation == "delete" and write.uid in uids:
                uids.remove(write.uid)
        return uids

    async def sync(self, *, limit: int = 100) -> None:
        """Comes online. Pulls first: what a restore took back is sent again before what is new. Raises Unreachable."""
        await self.pull(limit=limit, pages=1_000)
        while self.state.outbox:
            await self.push(len(self.state.outbox))
            await self.pull(limit=limit, pages=1_000)

    async def push(self, count: int, *, saves: bool = True) -> None:
        """Sends at most ``count`` writes, in order. Raises Unreachable."""
        for _ in range(min(count, len(self.state.outbox))):
            write = self.state.outbox[0]
            if write.first_sent is not None and not self._key_is_known(write):
                self._report(write, "uncertain")
            else:
                request = self._form(write)
                self.save()
                self._settle(write, await self._send(request))
            self.state.outbox.remove(write)
            if saves:
                self.save()

    async def pull(self, *, limit: int, pages: int, saves: bool = True) -> bool:
        """Applies at most ``pages`` pages of changes; returns whether there are no more. Raises Unreachable."""
        for _ in range(pages):
            more = await self._load(limit) if self.state.since is None else await self._apply_page(limit)
            if saves:
                self.save()
            if not more:
                return True
        return False

    def _key_is_known(self, write: Write) -> bool:
        return write.first_sent is not None and self._clock() - write.first_sent < KEY_DAYS

    def _report(self, write: Write, code: str) -> None:
        self.state.reports[write.mark] = code

    def _form(self, write: Write) -> Request:
        if write.request is None:
            method, path, body, headers = self._parts(write)
            content = json.dumps(body).encode() if body is not None else b""
            if write.style != "uid":
                headers["Idempotency-Key"] = write.mark
            if content:
                headers["Content-Type"] = "application/json"
            write.request = Request(method, path, content, tuple(headers.items()), (write.mark,))
            write.first_sent = self._clock()
        return write.request

    def _parts(self, write: Write) -> tuple[str, str, Row | None, dict[str, str]]:
        """Returns method, path, body and condition of ``write``."""
        listed = PATHS[write.entity]
        path = f"{listed}/uid:{write.uid}"
        match write.operation:
            case "create" if write.style == "post":
                return "POST", listed, {"uid": write.uid, **write.fields}, {}
            case "create":  # without a key, the condition makes the repetition safe
                return "PUT", path, write.fields, {"If-None-Match": "*"} if write.style == "uid" else {}
            case "edit":
                return "PATCH", path, write.fields, self._condition(write)
            case "complete":
                return "PATCH", f"{path}/complete", write.fields, {}
            case "delete":
                return "DELETE", path, None, {}
            case "restore":
                return "POST", f"{path}/restore", None, {}
            case _:
                return "POST", f"/changes/{write.fields['revision']}/undo", None, {}

    def _condition(self, write: Write) -> dict[str, str]:
        """Returns If-Match with what the user saw, or what the client itself made of that since."""
        own = [
            done.revision or 0 for done in self.state.journal if (done.entity, done.uid) == (write.entity, write.uid)
        ]
        version = max([*own, write.seen or 0])
        return {"If-Match": f'"{version}"'} if write.style == "if_match" and version else {}

    def _settle(self, write: Write, response: httpx.Response) -> None:
        """Takes the response to ``write`` into account. Raises Unreachable if the service asks to send it again."""
        if response.status_code == 503:
            raise Unreachable
        body = response.json() if response.content else {}
        if response.status_code < 300:
            version = response.headers.get("X-Revision") or body.get("version") or body.get("revision")
            write.revision = int(version) if version else None
            self.state.journal.append(write)
            if "version" in body:
                self._apply_row(write.entity, body)
        elif write.operation == "create" and body["code"] in OWN_UID:
            self.state.journal.append(write)
        else:
            self._report(write, body["code"])

    def _apply_row(self, entity: str, row: Row) -> None:
        """Takes a row that is newer than all that was pulled: a repeated response may be older."""
        held = self.state.rows.get((entity, row["uid"]), {"version": 0})
        if self.state.since is not None and row["version"] > max(self.state.since, held["version"]):
            self.state.rows[entity, row["uid"]] = row

    async def _apply_page(self, limit: int) -> bool:
        response = await self._send(Request("GET", f"/changes?since={self.state.since}&limit={limit}"))
        if response.status_code == 410:
            self.state.since = None
            return True
        page = _require(response).json()
        for change in page["changes"]:
            self._apply_change(change)
        self.state.since = page["next"]
        return bool(page["has_more"])

    def _apply_change(self, change: Row) -> None:
        row, key = change["data"], (change["entity"], change["data"]["uid"])
        if change["action"] in {"deleted", "purged"}:
            self.state.rows.pop(key, None)
            self.state.trash.append(key)
        elif self.state.rows.get(key, {"version": 0})["version"] <= change["revision"]:
            self.state.rows[key] = row

    async def _load(self, limit: int) -> bool:
        """Loads everything. Rows may be newer than the revision to go on from: the changes after it repeat them."""
        rows: dict[RowKey, Row] = {}
        since = None
        path: str | None = f"/tasks?limit={limit}"
        while path is not None:
            response = _require(await self._send(Request("GET", path)))
            since = since or int(response.headers["X-Revision"])
            rows |= {("task", row["uid"]): row for row in response.json()}
            path = response.links.get("next", {}).get("url")
        response = _require(await self._send(Request("GET", "/projects?archived=all")))
        rows |= {("project", row["uid"]): row for row in response.json()}
        self._take_snapshot(rows, since or 0)
        return True

    def _take_snapshot(self, rows: dict[RowKey, Row], since: int) -> None:
        """Replaces all rows, and sends again what the service may have lost: it replays what it has not."""
        state, kept, again = self.state, [], []
        for write in state.journal:
            if self._key_is_known(write):
                again.append(write)
            elif _is_in(write, rows):
                kept.append(write)
            else:
                self._report(write, "may be lost")
        state.rows, state.since, state.journal, state.outbox = rows, since, kept, again + state.outbox


def _is_in(write: Write, rows: dict[RowKey, Row]) -> bool:
    """Returns whether ``rows`` may have the effect of a write that was acknowledged."""
    row = rows.get((write.entity, write.uid))
    if row is None or write.operation == "delete":
        return row is None and write.operation == "delete"
    return write.revision is None or int(row["version"]) >= write.revision


def _require(response: httpx.Response) -> httpx.Response:
    """Returns a successful response. Raises Unreachable where a cursor is out of date, and the load starts again."""
    if response.status_code in {410, 503}:
        raise Unreachable
    assert response.status_code == 200, response.text
    return response
