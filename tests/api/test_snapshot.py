"""A snapshot of everything there is, as changes: the first load of a client is the same code as every later one."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import DateTime, text

from app.db.database import Database
from app.services.changes.entities import ENTITY_REGISTRY, TASK_ENTITY, Entity
from app.services.changes.revisions import get_revision_range
from app.services.changes.snapshot import SNAPSHOT_PAGE_BYTES, read_snapshot
from app.services.undo import UNDO_WRITES
from tests.api.test_change_feed import BURSTS, write
from tests.db.test_old_changes import make_row
from tests.entity_samples import SAMPLES, delete_sample
from tests.support import Person, assert_problem

PLACES = {entity.name: place for place, entity in enumerate(ENTITY_REGISTRY)}
Store = dict[tuple[str, int], Any]


async def page_of(person: Person, **query: Any) -> dict[str, Any]:
    answer = await person.get("/changes", params={"snapshot": "true", **query})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert list(page) == ["changes", "next", "cursor", "has_more"]
    assert page["has_more"] == (page["cursor"] is not None)
    return page


async def pages_of(person: Person, **query: Any) -> list[dict[str, Any]]:
    pages = [await page_of(person, **query)]
    while pages[-1]["has_more"]:
        pages.append(await page_of(person, **query, cursor=pages[-1]["cursor"]))
    assert len({page["next"] for page in pages}) == 1
    return pages


async def rows_of(person: Person, **query: Any) -> list[dict[str, Any]]:
    return [change for page in await pages_of(person, **query) for change in page["changes"]]


def apply(store: Store, changes: list[Any]) -> None:
    """Applies changes as docs/changes.md tells clients to, those of a snapshot and all others alike."""
    for change in changes:
        key = change["entity"], change["entity_id"]
        if change["action"] in ("deleted", "purged"):
            store.pop(key, None)
        else:
            store[key] = change["data"]


async def catch_up(person: Person, store: Store, since: int) -> int:
    more = True
    while more:
        page = (await person.get("/changes", params={"since": since, "limit": 1000})).json()
        apply(store, page["changes"])
        since, more = page["next"], page["has_more"]
    return since


def one_of_each(entities: tuple[Entity, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entity", entities, ids=lambda entity: entity.name)


@one_of_each(ENTITY_REGISTRY)
async def test_every_entity_is_in_it_as_the_changes_show_it(alice: Person, app: FastAPI, entity: Entity) -> None:
    await make_row(alice, app.state.database, entity)
    found = await rows_of(alice)
    assert entity.name in {change["entity"] for change in found}
    latest = {(c["entity"], c["entity_id"]): c for c in (await alice.get("/changes")).json()["changes"]}
    assert len(found) == len(latest)
    for change in found:
        as_change = latest[change["entity"], change["entity_id"]]
        assert list(change) == list(as_change)
        assert (change["action"], change["through"]) == ("snapshot", "snapshot")
        assert change | {"action": as_change["action"], "through": as_change["through"]} == as_change
    assert [PLACES[change["entity"]] for change in found] == sorted(PLACES[change["entity"]] for change in found)


@one_of_each(tuple(entity for entity in ENTITY_REGISTRY if "deleted_at" in entity.table.c))
async def test_what_is_in_the_trash_is_left_out(alice: Person, app: FastAPI, entity: Entity) -> None:
    await make_row(alice, app.state.database, entity)
    changes = (await alice.get("/changes")).json()["changes"]
    row = next(change["data"] for change in changes if change["entity"] == entity.name)
    named = row["name"] if entity.name == "tag" else row["id"]
    path = SAMPLES[entity.name].path.format(task=row.get("task_id")) + f"/{named}"
    assert (await delete_sample(alice, entity.name, path)).is_success
    assert entity.name not in {change["entity"] for change in await rows_of(alice)}


async def test_comments_of_a_task_in_the_trash_are_there_for_its_return(alice: Person) -> None:
    task = await alice.add()
    comment = (await alice.post(f"/tasks/{task['id']}/comments", {"body": "x"})).json()
    await alice.delete(f"/tasks/{task['id']}")
    pages = await pages_of(alice)
    store: Store = {}
    apply(store, pages[0]["changes"])
    await alice.post(f"/tasks/{task['id']}/restore")
    await catch_up(alice, store, pages[0]["next"])
    assert store["comment", comment["id"]] == comment
    assert store["task", task["id"]]["title"] == task["title"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 1000])
async def test_pages_of_any_size_have_each_row_once_and_end_exactly(alice: Person, app: FastAPI, limit: int) -> None:
    for entity in ENTITY_REGISTRY:
        await make_row(alice, app.state.database, entity)
    await alice.add("another")
    whole = await rows_of(alice, limit=1000)
    pages = await pages_of(alice, limit=limit)
    assert [change for page in pages for change in page["changes"]] == whole
    assert [len(page["changes"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 1 <= len(pages[-1]["changes"]) <= limit


async def test_a_cursor_may_be_used_again_also_after_writes(alice: Person) -> None:
    ids = [(await alice.add(f"t{n}"))["id"] for n in range(5)]
    first = await page_of(alice, limit=2)
    again = await page_of(alice, limit=2, cursor=first["cursor"])
    await alice.patch(f"/tasks/{ids[2]}", {"title": "renamed"})
    await alice.delete(f"/tasks/{ids[0]}")  # of the page before
    later = await page_of(alice, limit=2, cursor=first["cursor"])
    assert [c["entity_id"] for c in later["changes"]] == [c["entity_id"] for c in again["changes"]] == ids[2:4]
    assert later["changes"][0]["data"]["title"] == "renamed"
    assert later["changes"][0]["revision"] > later["next"] == again["next"] == first["next"] == 5
    store: Store = {}
    apply(store, first["changes"] + later["changes"] + (await page_of(alice, cursor=later["cursor"]))["changes"])
    assert await catch_up(alice, store, first["next"]) == 7
    assert sorted(row_id for _, row_id in store) == ids[1:]


async def test_done_tasks_are_left_out_on_request_and_the_cursor_keeps_that(alice: Person) -> None:
    tasks = [await alice.add(f"t{n}") for n in range(6)]
    for task in tasks[::2]:
        await alice.post(f"/tasks/{task['id']}/comments", {"body": "x"})
        await alice.patch(f"/tasks/{task['id']}/complete")
    first = await page_of(alice, limit=2, completed="false")
    rest = await page_of(alice, cursor=first["cursor"])
    found = first["changes"] + rest["changes"]
    assert [c["data"]["title"] for c in found if c["entity"] == "task"] == ["t1", "t3", "t5"]
    assert len([c for c in found if c["entity"] == "comment"]) == 3  # so that a task that is reopened has its own
    assert (await page_of(alice, completed="false", cursor=first["cursor"])) == rest
    refused = await alice.get("/changes", params={"snapshot": "true", "completed": "true", "cursor": first["cursor"]})
    assert_problem(refused, 422, "invalid_cursor")
    assert len([c for c in await rows_of(alice, completed="true") if c["entity"] == "task"]) == 6


async def test_an_empty_account_has_an_empty_snapshot_to_go_on_from(alice: Person, bob: Person) -> None:
    await alice.add("of alice")
    page = await page_of(bob)
    assert page == {"changes": [], "next": 0, "cursor": None, "has_more": False}
    await bob.add("mine")
    assert len((await bob.get(f"/changes?since={page['next']}")).json()["changes"]) == 1


async def test_the_cursor_of_another_user_pages_through_ones_own_rows(alice: Person, bob: Person) -> None:
    for title in "abc":
        await alice.add(title)
        await bob.add(f"of bob {title}")
    cursor = (await page_of(alice, limit=1))["cursor"]
    assert {c["data"]["user_id"] for c in (await page_of(bob, cursor=cursor))["changes"]} == {bob.subject}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("snapshot=true&since=0", "since"),
        ("snapshot=true&since=5&cursor=x", "since"),
        ("cursor=x", "cursor"),
        ("since=0&cursor=x", "cursor"),
        ("snapshot=false&cursor=x", "cursor"),
        ("completed=false", "completed"),
        ("since=0&completed=true", "completed"),
        ("snapshot=maybe", "snapshot"),
        ("snapshot=true&snapshot=true", "snapshot"),
        ("snapshot=true&completed=2", "completed"),
        ("snapshot=true&limit=0", "limit"),
        ("snapshot=true&limit=1001", "limit"),
        ("snapshot=true&cursor=", "cursor"),
        ("snapshot=true&cursor=x", "cursor"),
        ("snapshot=true&entity=task", "entity"),
        ("snapshot=true&offset=5", "offset"),
    ],
)
async def test_a_query_that_contradicts_itself_is_refused_by_name(alice: Person, query: str, field: str) -> None:
    body = assert_problem(await alice.get(f"/changes?{query}"), 422)
    assert [error["loc"][-1] for error in body["errors"]] == [field]


def forged(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


CREATED = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "cursor",
    [
        forged("created_at", "desc", 0, CREATED, 1, 1),
        forged("snapshot", "", 0, ["tasks", CREATED, True], 1, 1),
        forged("snapshot", "", 0, [["task"], CREATED, True], 1, 1),
        forged("snapshot", "", 0, ["task", None, True], 1, 1),
        forged("snapshot", "", 0, ["task", "0001-01-01T00:00:00+00:00", True], 1, 1),
        forged("snapshot", "", 0, ["task", "2026-01-01T00:00:00", True], 1, 1),
        forged("snapshot", "", 0, ["task", "2026-01-01 00:00:00+00:00", True], 1, 1),
        forged("snapshot", "", 0, ["task", 5, True], 1, 1),
        forged("snapshot", "", 0, ["task", CREATED, 1], 1, 1),
        forged("snapshot", "", 0, ["task", CREATED], 1, 1),
        forged("snapshot", "", 0, ["task", CREATED, True], 0, 1),
        forged("snapshot", "", 0, ["task", CREATED, True], 2**63, 1),
        forged("snapshot", "", 0, ["task", CREATED, True], 1, -1),
        forged("snapshot", "", 0, ["comment", CREATED, True], 1, 1),
        forged("snapshot", "", 0, None, 1, 1),
        forged("snapshot", "", 0, "abc", 1, 1),
    ],
)
async def test_a_made_up_cursor_is_refused(alice: Person, cursor: str) -> None:
    await alice.add()
    answer = await alice.get("/changes", params={"snapshot": "true", "cursor": cursor})
    assert_problem(answer, 422, "invalid_cursor")


async def set_pruned(app: FastAPI, owner: str, revision: int) -> None:
    async with app.state.database.transaction(owner) as session:
        await session.exec(
            text("update users set pruned_revision = :revision where id = :owner"),
            {"owner": owner, "revision": revision},
        )


async def test_a_snapshot_whose_changes_were_pruned_meanwhile_is_410(alice: Person, app: FastAPI) -> None:
    for title in "abc":
        await alice.add(title)
    cursor = (await page_of(alice, limit=1))["cursor"]
    await alice.add("d")
    await set_pruned(app, alice.subject, 3)  # all changes after it are kept
    assert len((await page_of(alice, cursor=cursor))["changes"]) == 3
    await set_pruned(app, alice.subject, 4)
    refused = await alice.get("/changes", params={"snapshot": "true", "cursor": cursor})
    body = assert_problem(refused, 410, "changes_gone")
    assert len((await alice.get(body["snapshot"])).json()["changes"]) == 4


async def test_a_cursor_from_before_a_restore_is_410(alice: Person) -> None:
    await alice.add("a")
    ahead = forged("snapshot", "", 0, ["task", CREATED, True], 1, 99)
    refused = await alice.get("/changes", params={"snapshot": "true", "cursor": ahead})
    assert_problem(refused, 410, "changes_gone")
    page = await page_of(alice)  # of a new epoch: no revision that the lost database gave out is used again
    assert page["next"] > 99
    assert len(page["changes"]) == 1


@pytest.mark.parametrize("user", ["me", "{subject}"])
async def test_every_410_of_changes_names_the_snapshot(alice: Person, user: str) -> None:
    base = f"/api/{user.format(subject=alice.subject)}"
    for path, headers in (("/changes?since=7", {}), ("/events?since=7", {}), ("/events", {"Last-Event-ID": "7"})):
        body = assert_problem(await alice.get(base + path, headers=headers), 410, "changes_gone")
        assert "/changes?snapshot=true" in body["detail"]
        assert body["snapshot"] == f"{base}/changes?snapshot=true"
        answer = await alice.get(body["snapshot"])
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert "etag" not in answer.headers


async def test_long_texts_end_a_page_early_and_nothing_is_left_out(alice: Person, sql: Any) -> None:
    await alice.add("short")
    await sql.execute(
        """insert into tasks (user_id, title, description, version)
           select $1, 't' || n, repeat('x', 100000), 1 from generate_series(1, 25) n""",
        alice.subject,
    )
    pages = await pages_of(alice, limit=1000)
    sizes = [sum(len(c["data"]["description"] or "") for c in page["changes"]) for page in pages]
    assert sum(len(page["changes"]) for page in pages) == 26
    assert len(pages) == 3
    assert all(SNAPSHOT_PAGE_BYTES <= size < SNAPSHOT_PAGE_BYTES + 100_000 for size in sizes[:-1])


@pytest.mark.parametrize(("cursor", "trips"), [(False, 2 + len(ENTITY_REGISTRY)), (True, 3)])
async def test_a_page_costs_a_round_trip_for_each_entity_on_it(
    alice: Person, app: FastAPI, cursor: bool, trips: int
) -> None:
    """BEGIN, the revision, then a statement an entity; a page in the middle of the tasks has only those."""
    for number in range(4):
        await alice.add(f"t{number}")
    after = (await page_of(alice, limit=1))["cursor"] if cursor else None
    async with app.state.database.transaction(alice.subject, read_only=True) as session:
        await read_snapshot(session, alice.subject, cursor=after, limit=2 if cursor else 100, completed=None)
    assert session.round_trips == trips


def test_the_key_of_an_entity_is_that_of_an_index_of_its_live_rows() -> None:
    for entity in ENTITY_REGISTRY:
        if entity.live_key is None:
            continue
        indexes = {tuple(column.name for column in index.columns) for index in entity.table.indexes}
        assert ("user_id", entity.live_key, "id") in indexes
        assert entity.live_key not in UNDO_WRITES[entity.name].content
        assert isinstance(entity.table.c[entity.live_key].type, DateTime)
    assert TASK_ENTITY.live_key == "created_at"


@pytest.mark.slow
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(bursts=BURSTS, limits=st.lists(st.integers(1, 4), min_size=1, max_size=4), joins_at=st.integers(0, 5))
async def test_a_snapshot_read_during_writes_converges(
    new_person: Callable[[], Person], bursts: list[Any], limits: list[int], joins_at: int
) -> None:
    """A page between each two bursts: whatever is written meanwhile, the changes from ``next`` on lead to the truth."""
    person, ids = new_person(), list[int]()
    store: Store = {}
    next_, cursor, ended = None, None, False
    for number, (writes, _) in enumerate(bursts):
        await asyncio.gather(*(write(person, ids, *each) for each in writes))
        if number >= joins_at and not ended:
            query = {"limit": limits[number % len(limits)], **({"cursor": cursor} if cursor else {})}
            page = await page_of(person, **query)
            apply(store, page["changes"])
            next_, cursor, ended = page["next"], page["cursor"], not page["has_more"]
    while not ended:
        page = await page_of(person, **({"cursor": cursor} if cursor else {}))
        apply(store, page["changes"])
        next_, cursor, ended = page["next"], page["cursor"], not page["has_more"]
    assert next_ is not None
    await catch_up(person, store, next_)
    truth = {("task", task["id"]): task for task in (await person.get("/tasks?limit=1000")).json()}
    assert store == truth


async def test_a_page_is_of_one_moment_with_its_revision(alice: Person, app: FastAPI) -> None:
    """The revision and the rows of the first page are read in one transaction, which no write divides."""
    database: Database = app.state.database
    await alice.add("before")
    async with database.transaction(alice.subject, read_only=True) as session:
        await get_revision_range(session, alice.subject)  # of the rows' server, whose moment counts
        await alice.add("meanwhile")
        page = await read_snapshot(session, alice.subject, cursor=None, limit=100, completed=None)
    assert (page.next, [change.data.title for change in page.changes]) == (1, ["before"])
