"""The registry of entities is complete, and its entries hold over HTTP."""

import ast
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Table

from app.models import METADATA
from app.services.changes.entities import (
    DISTRIBUTED_TABLES,
    ENTITY_REGISTRY,
    MANAGED_COLUMNS,
    OTHER_TABLES,
    Entity,
)
from app.services.transfer.export_pages import OMITTED_COLUMNS
from tests.api.test_transfer import JSON, content, exported, imported
from tests.api.test_undo import undo
from tests.entity_samples import SAMPLES, delete_sample, find_sample, make_sample
from tests.rules.test_architecture import graph, sources
from tests.support import Person

EDITED = [entity for entity in ENTITY_REGISTRY if entity.undoable]
BY_WRITE = {"version", "updated_at", "request_id"}


def one_of_each(entities: list[Entity]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entity", entities, ids=lambda entity: entity.name)


def test_every_table_of_user_data_is_registered() -> None:
    tables = {table.name for table in METADATA.tables.values() if "user_id" in table.c}
    registered = [entity.table.name for entity in ENTITY_REGISTRY] + [other.name for other in OTHER_TABLES]
    assert sorted(registered) == sorted(tables)
    assert all(other.reason for other in OTHER_TABLES)


def test_tables_refer_only_to_tables_of_the_same_placement() -> None:
    """A distributed table and one of the coordinator cannot refer to each other."""
    for table in METADATA.tables.values():
        for key in table.foreign_key_constraints:
            other = key.referred_table.name
            assert (table.name in DISTRIBUTED_TABLES) == (other in DISTRIBUTED_TABLES), (table.name, other)


def test_every_recorded_entity_is_registered() -> None:
    recorded = {
        keyword.value.value
        for source in sources()
        for node in source.nodes
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "entity" and isinstance(keyword.value, ast.Constant)
    }
    assert recorded == {entity.name for entity in ENTITY_REGISTRY}


def test_the_changes_package_imports_no_entity_service() -> None:
    """Else the entity services, which read the registry, would be imported in a circle."""
    for module, others in graph().items():
        if module.startswith("app.services.changes"):
            services = {other for other in others if other.startswith("app.services.")}
            assert {other for other in services if not other.startswith("app.services.changes")} == set(), module


def columns(table: Table) -> set[str]:
    return {column.name for column in table.c if column.computed is None}


def test_entries_name_columns_of_their_tables() -> None:
    for entity in ENTITY_REGISTRY:
        has = columns(entity.table)
        assert has >= frozenset().union(*entity.undo_groups)
        assert has >= {*entity.long_texts, entity.live_key} - {None}
        assert not entity.imported or entity.import_key in has
        assert (entity.purge_order is not None) == ("deleted_at" in has)
        assert entity.undoable <= ("deleted_at" in has), "an undone creation goes to the trash"
        assert not entity.limit or "deleted_at" in has
    for other in OTHER_TABLES:
        assert other.secret == "all" or columns(METADATA.tables[other.name]) >= other.secret
    orders = [entity.purge_order for entity in ENTITY_REGISTRY if entity.purge_order]
    assert len(set(orders)) == len(orders)


def test_every_edited_entity_has_a_sample() -> None:
    wanted = {entity.name for entity in ENTITY_REGISTRY if entity.undoable or entity.exported or entity.purge_order}
    assert SAMPLES.keys() == wanted
    written_by_actions = {"completed", "completed_at", "archived_at", "anchor_date", "occurrences_done"}
    written_by_actions |= {"secrets", "disabled_reason"}
    not_in_bodies = written_by_actions | {"uid", "created_at", "updated_at", "deleted_at", "project_id", "parent_id"}
    not_in_bodies |= {"remind_channels", "ical", "parent_wanted"}  # the last two: tests/dav
    for entity in ENTITY_REGISTRY:
        if entity.imported:
            assert SAMPLES[entity.name].body.keys() == entity.imported.model_fields.keys() - not_in_bodies


def without_write(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in BY_WRITE}


@one_of_each(EDITED)
async def test_undo_reverts_every_kind_of_write(alice: Person, entity: Entity) -> None:
    path, row = await make_sample(alice, entity.name)
    undone = await undo(alice, row["version"])
    assert [(c["entity"], c["entity_id"], c["action"]) for c in undone["changes"]] == [
        (entity.name, row["id"], "deleted")
    ]
    assert await find_sample(alice, entity.name, path) is None
    writes: list[tuple[str, Callable[[], Awaitable[httpx.Response]] | None]] = [
        ("restored", None),
        ("updated", lambda: alice.patch(path, SAMPLES[entity.name].change)),
        ("restored", lambda: delete_sample(alice, entity.name, path)),
    ]
    for action, write in writes:
        if write is not None:
            assert (await write()).status_code in (200, 204)
            undone["revision"] += 1
        undone = await undo(alice, undone["revision"])
        found = await find_sample(alice, entity.name, path)
        assert found is not None
        assert [c["action"] for c in undone["changes"]] == [action]
        assert undone["changes"][0]["data"] == found
        assert without_write(found) == without_write(row)


@one_of_each([entity for entity in ENTITY_REGISTRY if entity.exported])
async def test_an_exported_row_is_restored_by_an_import(alice: Person, bob: Person, entity: Entity) -> None:
    path, row = await make_sample(alice, entity.name)
    name = str(entity.table.name)
    document = await exported(alice)
    (found,) = [each for each in json.loads(document)[name] if each["id"] == row["id"]]
    left_out = (MANAGED_COLUMNS - {"id", "position"}) | OMITTED_COLUMNS
    assert found.keys() >= columns(entity.table) - left_out
    assert found.items() >= SAMPLES[entity.name].body.items()
    if entity.imported:
        report = await imported(bob, document, JSON)
        assert (report["failed"], report["created"][name]) == (0, len(json.loads(document)[name]))
        assert content(await exported(bob)) == content(document)
    await delete_sample(alice, entity.name, path)
    kept = [each["id"] for each in json.loads(await exported(alice))[name]]
    assert (row["id"] in kept) == (entity.exported == "all")


@one_of_each([entity for entity in ENTITY_REGISTRY if entity.purge_order])
async def test_emptying_the_trash_deletes_every_row(alice: Person, sql: Any, entity: Entity) -> None:
    path, row = await make_sample(alice, entity.name)
    await delete_sample(alice, entity.name, path)
    before = (await alice.get("/tasks")).headers["x-revision"]
    assert (await alice.delete("/tasks/trash")).status_code == 204
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [(c["entity"], c["entity_id"], c["action"]) for c in changes] == [(entity.name, row["id"], "purged")]
    kept = f"select count(*) from {entity.table.name} where user_id = $1 and id = $2"
    assert await sql.fetchval(kept, alice.subject, row["id"]) == 0
