"""Changes that an older version of the service wrote: any column may be newer than the stored row."""

import uuid
from typing import Any

import pytest
from fastapi import FastAPI

from app.db.database import Database
from app.live.hub import encode_events
from app.services.assistant.conversations import begin_turn
from app.services.changes.entities import ENTITY_REGISTRY, FIELD_NAMES, Entity
from app.services.changes.feed import list_changes
from app.services.webhooks.deliveries import claim_job
from tests.entity_samples import SAMPLES, find_sample, make_sample
from tests.support import Person


async def make_row(person: Person, database: Database, entity: Entity) -> int:
    """Creates a row of the entity; returns the revision of its creation."""
    if entity.name in SAMPLES:
        _, row = await make_sample(person, entity.name)
        return int(row["version"])
    async with database.transaction(person.subject) as session:
        await begin_turn(session, person.subject, None, "hello", history=1)
    changes = (await person.get("/changes")).json()["changes"]
    return int(next(change["revision"] for change in changes if change["entity"] == entity.name))


async def read_webhook_event(database: Database, owner: str, webhook_id: int) -> bytes:
    session = database.transaction(owner)
    job = await claim_job(session, owner, webhook_id, uuid.uuid4())
    await session.rollback()
    assert job is not None
    return job.body


@pytest.mark.parametrize("entity", ENTITY_REGISTRY, ids=lambda entity: entity.name)
async def test_a_change_without_any_one_column_is_read(alice: Person, app: FastAPI, sql: Any, entity: Entity) -> None:
    database: Database = app.state.database
    hook = (await alice.post("/webhooks", {"url": "https://example.com/", "events": [f"{entity.name}.created"]})).json()
    revision = await make_row(alice, database, entity)
    key = "user_id = $1 and revision = $2 and entity = $3"
    (stored,) = await sql.fetch(f"select data::text from changes where {key}", alice.subject, revision, entity.name)
    changes = (await alice.get(f"/changes?since={revision - 1}")).json()["changes"]
    whole = next(each for each in changes if each["entity"] == entity.name)["data"]
    for column in entity.table.c:
        if column.computed is not None and column.name != "position":
            continue
        await sql.execute(
            f"update changes set data = $4::text::jsonb - $5::text where {key}",
            alice.subject, revision, entity.name, stored["data"], column.name,
        )  # fmt: skip
        answer = await alice.get(f"/changes?since={revision - 1}")
        assert answer.status_code == 200, (column.name, answer.text)
        data = next(each for each in answer.json()["changes"] if each["entity"] == entity.name)["data"]
        assert {name for name in whole if data[name] != whole[name]} <= {
            column.name,
            "due_date",
            FIELD_NAMES.get(column.name),
        }, column.name
        assert data.keys() == whole.keys()
        assert all(type(data[name]) is list for name in whole if type(whole[name]) is list)
        async with database.transaction(alice.subject, read_only=True) as session:
            page = await list_changes(session, alice.subject, since=revision - 1, limit=1)
        assert b"created" in (await encode_events(page.changes))[0][1]
        assert b"created" in await read_webhook_event(database, alice.subject, hook["id"])
        if entity.name == "task":
            found = await alice.get(f"/tasks/{whole['id']}/history")
            assert (found.status_code, len(found.json())) == (200, 1), column.name


@pytest.mark.parametrize("entity", [e for e in ENTITY_REGISTRY if e.undoable], ids=lambda entity: entity.name)
async def test_a_change_without_any_one_column_is_undone(alice: Person, sql: Any, entity: Entity) -> None:
    """Undoing a creation, then that undo, which reads both changes, leaves the row as it was."""
    path, row = await make_sample(alice, entity.name)
    key = "user_id = $1 and revision = $2 and entity = $3"
    created = (alice.subject, row["version"], entity.name)
    stored = await sql.fetchval(f"select data::text from changes where {key}", *created)
    for column in entity.table.c:
        if column.computed is not None:
            continue
        change = f"update changes set data = $4::text::jsonb - $5::text where {key}"
        await sql.execute(change, *created, stored, column.name)
        undone = await alice.post(f"/changes/{row['version']}/undo")
        assert undone.status_code == 200, (column.name, undone.text)
        assert await find_sample(alice, entity.name, path) is None, column.name
        undone = await alice.post(f"/changes/{undone.json()['revision']}/undo")
        assert undone.status_code == 200, (column.name, undone.text)
        found = await find_sample(alice, entity.name, path)
        assert found is not None
        assert {name for name in row if found[name] != row[name]} <= {"version", "updated_at"}, column.name


MERGED = [entity for entity in ENTITY_REGISTRY if entity.undoable and entity.name not in {"channel", "tag"}]


@pytest.mark.parametrize("entity", MERGED, ids=lambda entity: entity.name)
async def test_a_change_without_any_one_column_is_a_base(alice: Person, sql: Any, entity: Entity) -> None:
    path, row = await make_sample(alice, entity.name)
    key = "user_id = $1 and revision = $2 and entity = $3"
    created = (alice.subject, row["version"], entity.name)
    stored = await sql.fetchval(f"select data::text from changes where {key}", *created)
    change = SAMPLES[entity.name].change
    theirs = (await alice.patch(path, change)).json()
    for column in entity.table.c:
        if column.computed is not None:
            continue
        await sql.execute(
            f"update changes set data = $4::text::jsonb - $5::text where {key}", *created, stored, column.name
        )
        merged = await alice.patch(path, {**change, "base_version": row["version"]})
        assert (merged.status_code, merged.json()) == (200, theirs), column.name
