"""Faults put into the reference client or the service, each of which the model check has to find."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from app.http import routing
from app.services import merge
from app.services.changes import feed
from app.services.changes.feed import ChangesRead
from app.services.changes.snapshot import read_snapshot
from tests.sync.client import Client, Row, RowKey, Unreachable
from tests.sync.requests import Request
from tests.sync.service import Service

Patch = pytest.MonkeyPatch


class NewKeys(Client):
    """A client that sends each repetition under another key."""

    def _to_send(self, request: Request) -> Request:
        headers = dict(request.headers) | {"Idempotency-Key": uuid.uuid4().hex}
        return request._replace(headers=tuple(headers.items()))


class SentIsDone(Client):
    """A client that removes a write from its outbox when it sends it."""

    async def push(self, count: int, *, atomic: bool | None = None, saves: bool = True) -> None:
        try:
            await super().push(count, atomic=atomic, saves=saves)
        except Unreachable:
            self.state.outbox.pop(0)
            raise


class NoSecondSending(Client):
    """A client that does not send again what a restore may have taken back."""

    def _take_snapshot(self, rows: dict[RowKey, Row], since: int) -> None:
        self.state.journal = []
        super()._take_snapshot(rows, since)


class RevisionBeforeRows(Client):
    """A client that saves how far it has come, and the rows with its next save."""

    async def _apply_page(self, limit: int) -> bool:
        before = dict(self.state.rows)
        more = await super()._apply_page(limit)
        rows, self.state.rows = self.state.rows, before
        self.save()
        self.state.rows = rows
        return more


class ResponseIsNewest(Client):
    """A client that takes each response for the latest state of the row."""

    def _apply_row(self, entity: str, row: Row) -> None:
        self.state.rows[entity, row["uid"]] = row


class KeepsRowsAfterGone(Client):
    """A client that takes the revision of a snapshot and not its rows."""

    def _take_snapshot(self, rows: dict[RowKey, Row], since: int) -> None:
        super()._take_snapshot(self.state.rows or rows, since)


async def _nothing(*_: Any, **__: Any) -> None:
    return None


def no_epoch(patch: Patch) -> None:
    patch.setattr(Service, "begin_epoch", _nothing)


def no_keys(patch: Patch) -> None:
    patch.setattr(routing, "begin_idempotent_request", _nothing)


def lost_change(patch: Patch) -> None:
    whole = feed.list_changes

    async def all_but_the_sixth(*args: Any, **options: Any) -> ChangesRead:
        page = await whole(*args, **options)
        return page._replace(changes=page.changes[:5] + page.changes[6:])

    patch.setattr(feed, "list_changes", all_but_the_sixth)


def split_writes(patch: Patch) -> None:
    whole = feed.list_changes

    async def cut(session: Any, owner: str, *, since: int, limit: int) -> ChangesRead:
        page = await whole(session, owner, since=since, limit=limit)
        return page._replace(changes=page.changes[:limit])

    patch.setattr(feed, "list_changes", cut)


def unrecorded_pruning(patch: Patch) -> None:
    async def prune(self: Service, owner: str) -> None:
        query = "delete from changes where user_id = $1 and at < now() - interval '90 days'"
        await self.connection.execute(query, owner)

    patch.setattr(Service, "prune", prune)


def late_snapshot(patch: Patch) -> None:
    async def of_the_last_page(*args: Any, **options: Any) -> ChangesRead:
        page = await read_snapshot(*args, **options)
        return page._replace(next=page.current)

    patch.setattr("app.routers.changes.read_snapshot", of_the_last_page)


def blind_merge(patch: Patch) -> None:
    patch.setattr(merge, "_find_conflicts", lambda *_: [])


Fault = type[Client] | Callable[[Patch], None]
# Those that are found within seconds are tests; ``python -m tests.sync.explore --fault`` plays any of them.
QUICK_FAULTS: list[Fault] = [
    NewKeys, SentIsDone, NoSecondSending, KeepsRowsAfterGone, no_epoch, no_keys, lost_change, late_snapshot,
]  # fmt: skip
ALL_FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *QUICK_FAULTS, RevisionBeforeRows, ResponseIsNewest, split_writes, unrecorded_pruning, blind_merge,
    )
}  # fmt: skip


def put_in(fault: Fault, patch: Patch) -> type[Client]:
    """Puts ``fault`` into the service, or returns the client that has it."""
    if isinstance(fault, type):
        return fault
    fault(patch)
    return Client
