"""Changes made from an older version: fields are merged, and what two writes have changed conflicts.

Every field of every Update schema is tried: changed by both, by one, by none.
"""

import asyncio
import random
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI

from app.db.database import WORKER_ROLE
from app.models.comments import CommentUpdate
from app.models.projects import ProjectUpdate
from app.models.tasks import TaskUpdate
from app.models.types import MergedUpdate
from app.schemas.views import ViewUpdate
from app.services.changes.entities import ENTITY_REGISTRY, FIELD_NAMES, TASK_ENTITY
from app.services.retention.pruning import prune_changes
from tests.support import Person, assert_problem

Row = dict[str, Any]
UPDATE_SCHEMAS: dict[str, type[MergedUpdate]] = {
    "task": TaskUpdate,
    "project": ProjectUpdate,
    "comment": CommentUpdate,
    "view": ViewUpdate,
}


class Field(NamedTuple):
    """The values of one field: as it was created, by another write, and in the request.

    ``yours`` is NO_OTHER_VALUE for a field of two values: where both have changed it, they have made it the same.
    """

    base: Any
    theirs: Any
    yours: Any
    needs: Row = {}


NO_OTHER_VALUE = object()
DUE = {"due_date": "2026-12-01"}
# A value such as ``task 0`` is the id of a row of this name, which ``make_field`` creates.
FIELDS: dict[str, dict[str, Field]] = {
    "task": {
        "title": Field("a", "b", "c"),
        "description": Field(None, "b", ""),
        "completed": Field(False, True, NO_OTHER_VALUE),
        "status": Field("in_progress", "waiting", "cancelled"),
        "priority": Field("low", "urgent", "medium"),
        "due_date": Field("2026-12-01", "2026-12-01T09:00:00Z", None),
        "start_date": Field("2026-11-01", "2026-11-01T09:00:00Z", None),
        "deadline": Field("2026-12-24", None, "2026-12-31"),
        "estimate_minutes": Field(30, 45, None),
        "favorite": Field(False, True, NO_OTHER_VALUE),
        "tags": Field(["a"], ["a", "b"], []),
        "reminders": Field(["-P1D"], [], ["2026-12-01T08:00:00Z"], DUE),
        "remind_channels": Field(None, [], "channel 0"),
        "project_id": Field(None, "project 0", "project 1"),
        "parent_id": Field("task 0", "task 1", None),
        "recurrence": Field("FREQ=DAILY", "FREQ=WEEKLY", None, DUE),
        "recurrence_from": Field("due", "completion", NO_OTHER_VALUE),
    },
    "project": {
        "name": Field("a", "b", "c"),
        "color": Field("#111111", "#222222", None),
        "favorite": Field(False, True, NO_OTHER_VALUE),
        "parent_id": Field("project 0", "project 1", None),
        "archived": Field(False, True, NO_OTHER_VALUE),
    },
    "comment": {"body": Field("a", "b", "c")},
    "view": {"name": Field("a", "b", "c"), "parameters": Field({"tag": ["a"]}, {"tag": ["b"]}, {})},
}
EACH_FIELD = [(entity, name) for entity, fields in FIELDS.items() for name in fields]
REQUIRED: dict[str, Row] = {
    "task": {"title": "x"},
    "project": {"name": "x"},
    "channel": {"kind": "mail"},
    "comment": {"body": "x"},
    "view": {"name": "x", "parameters": {}},
}
# Fields that another write may change without touching the others.
INDEPENDENT = {"task": ("title", "description"), "project": ("name", "color"), "view": ("name", "parameters")}
ENTITIES = list(FIELDS)


def test_every_field_of_every_update_schema_is_tried() -> None:
    # Channels are not written offline: a client that cannot reach the service cannot try one either. A tag has a colour
    # and nothing else.
    undoable = {entity.name for entity in ENTITY_REGISTRY if entity.undoable}
    assert UPDATE_SCHEMAS.keys() == undoable - {"channel", "tag"} == FIELDS.keys()
    for entity, schema in UPDATE_SCHEMAS.items():
        assert schema.model_fields.keys() - schema.ABOUT - schema.TWINS.keys() == FIELDS[entity].keys()


def test_linked_columns_are_linked_fields() -> None:
    assert {frozenset(FIELD_NAMES.get(column, column) for column in group) for group in TASK_ENTITY.undo_groups} == {
        frozenset({"due_date"}),
        frozenset({"start_date"}),
        frozenset({"completed", "status"}),
        frozenset({"recurrence", "due_date"}),
    }
    assert frozenset({"recurrence", "due_date"}) in TASK_ENTITY.merged_together
    assert frozenset({"project_id", "parent_id"}) in TASK_ENTITY.merged_together


async def make_row(person: Person, entity: str, **fields: Any) -> tuple[str, Row]:
    """Returns the path of a new row, and the row."""
    paths = {"task": "/tasks", "project": "/projects", "channel": "/channels", "view": "/views"}
    path = paths.get(entity) or f"/tasks/{(await person.add('of the comment'))['id']}/comments"
    answer = await person.post(path, {**REQUIRED[entity], **fields})
    assert answer.status_code == 201, answer.text
    row: Row = answer.json()
    return f"{path}/{row['id']}", row


async def make_field(person: Person, entity: str, name: str) -> Field:
    """Returns the field's values, with the ids of rows that are made for it."""

    async def resolve(each: Any) -> Any:
        if name not in {"project_id", "parent_id", "remind_channels"} or not each:
            return each
        kind = each.partition(" ")[0]
        row_id = (await make_row(person, kind, **{"title" if kind == "task" else "name": each}))[1]["id"]
        return [row_id] if kind == "channel" else row_id

    field = FIELDS[entity][name]
    base, theirs, yours = [await resolve(each) for each in field[:3]]
    return Field(base, theirs, yours, field.needs)


async def make_with(person: Person, entity: str, name: str, field: Field) -> tuple[str, Row]:
    return await make_row(person, entity, **field.needs, **({} if name == "archived" else {name: field.base}))


async def change(person: Person, path: str, base: Any = None, **fields: Any) -> Row:
    """Changes a row, from the version ``base``; returns it."""
    answer = await person.patch(path, fields if base is None else {**fields, "base_version": base})
    assert answer.status_code == 200, answer.text
    row: Row = answer.json()
    assert answer.headers["etag"] == f'"{row["version"]}"'
    return row


async def conflicts(person: Person, path: str, base: int, **fields: Any) -> list[Row]:
    """Returns the conflicts of a change, which has written nothing."""
    before = (await get_revision(person), (await person.get(path)).json())
    problem = assert_problem(await person.patch(path, {**fields, "base_version": base}), 409, "field_conflict")
    assert (await get_revision(person), (await person.get(path)).json()) == before
    found: list[Row] = problem["conflicts"]
    assert ", ".join(each["field"] for each in found) in problem["detail"]
    return found


async def get_revision(person: Person) -> int:
    return int((await person.get("/tasks")).headers["x-revision"])


def value(row: Row, name: str) -> Any:
    return row["archived_at"] is not None if name == "archived" else row[name]


@pytest.mark.parametrize(("entity", "name"), EACH_FIELD)
async def test_a_field_that_both_have_changed_conflicts(alice: Person, entity: str, name: str) -> None:
    field = await make_field(alice, entity, name)
    path, row = await make_with(alice, entity, name, field)
    theirs = await change(alice, path, **{name: field.theirs})
    assert value(theirs, name) == field.theirs
    before, base = theirs["version"], row["version"]
    assert await change(alice, path, base, **{name: field.theirs}) == theirs, "both have made it the same"
    if field.yours is not NO_OTHER_VALUE:
        yours = {name: field.yours}
        conflict = {"field": name, "base": field.base, "theirs": field.theirs, "yours": field.yours}
        assert await conflicts(alice, path, base, **yours) == [conflict]
        assert await conflicts(alice, path, base, **yours, on_conflict="refuse") == [conflict]
        assert await change(alice, path, base, **yours, on_conflict="theirs") == theirs
        assert await get_revision(alice) == before
        mine = await change(alice, path, base, **yours, on_conflict="mine")
        assert (value(mine, name), mine["version"]) == (field.yours, before + 1)
        assert await change(alice, path, base, **yours) == mine, "a repeated request finds what it has written"
    assert await get_revision(alice) == (await alice.get(path)).json()["version"]


@pytest.mark.parametrize(("entity", "name"), EACH_FIELD)
async def test_a_field_that_one_or_none_has_changed_is_merged(alice: Person, entity: str, name: str) -> None:
    field = await make_field(alice, entity, name)
    path, row = await make_with(alice, entity, name, field)
    base = row["version"]
    assert await change(alice, path, base, **{name: field.base}) == row, "none has changed it"
    other = next((each for each in INDEPENDENT.get(entity, ()) if each != name), None)
    theirs = row if other is None else await change(alice, path, **{other: FIELDS[entity][other].theirs})
    merged = await change(alice, path, base, **{name: field.theirs})
    assert value(merged, name) == field.theirs != field.base, "only you have changed it"
    assert merged["version"] == theirs["version"] + 1
    assert other is None or value(merged, other) == FIELDS[entity][other].theirs
    sent = {name: field.base} if other is None else {name: field.base, other: FIELDS[entity][other].theirs}
    assert await change(alice, path, base, **sent) == merged, "the base is sent back: only they have changed it"
    assert await get_revision(alice) == merged["version"]


async def test_one_conflict_refuses_the_whole_change(alice: Person) -> None:
    path, row = await make_row(alice, "task", description="a", priority="low")
    await change(alice, path, title="b", tags=["b"])
    yours = {"title": "c", "description": "c", "priority": "high", "tags": ["c"]}
    found = await conflicts(alice, path, row["version"], **yours)
    assert [each["field"] for each in found] == ["title", "tags"]
    left = await change(alice, path, row["version"], **yours, on_conflict="theirs")
    assert [left[name] for name in yours] == ["b", "c", "high", ["b"]]
    mine = await change(alice, path, row["version"], **yours, on_conflict="mine")
    assert {name: mine[name] for name in yours} == yours


@pytest.mark.parametrize("name", ["project", "parent"])
async def test_uids_conflict_as_the_ids_for_which_they_stand(alice: Person, name: str) -> None:
    entity = "project" if name == "project" else "task"
    required = "name" if entity == "project" else "title"
    ids = [(await make_row(alice, entity, uid=uid, **{required: uid}))[1]["id"] for uid in ("u", "v")]
    path, row = await make_row(alice, "task")
    await change(alice, path, **{f"{name}_id": ids[0]})
    assert await conflicts(alice, path, row["version"], **{f"{name}_uid": "v"}) == [
        {"field": f"{name}_id", "base": None, "theirs": ids[0], "yours": ids[1]}
    ]
    same = await change(alice, path, row["version"], **{f"{name}_uid": "u"})
    assert same[f"{name}_id"] == ids[0]
    mine = await change(alice, path, row["version"], **{f"{name}_uid": "v"}, on_conflict="mine")
    assert mine[f"{name}_id"] == ids[1]


async def test_uids_in_the_parameters_of_a_view_are_ids(alice: Person) -> None:
    ids = [(await make_row(alice, "project", uid=uid, name=uid))[1]["id"] for uid in ("u", "v")]
    path, row = await make_row(alice, "view", parameters={"project_uid": "u"})
    theirs = await change(alice, path, parameters={"project_uid": "v"})
    assert await change(alice, path, row["version"], parameters={"project_uid": "u"}) == theirs
    assert await change(alice, path, row["version"], parameters={"project_uid": "v"}) == theirs
    (found,) = await conflicts(alice, path, row["version"], parameters={"project_uid": "v", "tag": ["x"]})
    assert found["base"] != found["theirs"] != found["yours"]
    assert str(ids[0]) in str(found["base"])
    assert str(ids[1]) in str(found["yours"])


async def test_values_are_compared_as_they_are_stored(alice: Person) -> None:
    """A local time is one of the user's zone, a rule has one spelling, null is the default."""
    await alice.patch("/settings", {"timezone": "Europe/Berlin"})
    path, row = await make_row(alice, "task", priority="low", tags=["a"], reminders=["-PT60M"], **DUE)
    due: Row = {
        "due_date": "2026-12-01T09:00",
        "reminders": ["2026-12-01T08:00"],
        "recurrence": "RRULE:FREQ=DAILY;INTERVAL=1",
    }
    theirs = await change(alice, path, priority=None, tags=None, **due)
    assert theirs["due_date"] == "2026-12-01T08:00:00Z"
    assert await change(alice, path, row["version"], priority=None, tags=None, **due) == theirs
    instants: Row = {"due_date": "2026-12-01T08:00:00Z", "reminders": ["2026-12-01T07:00:00.000Z"]}
    assert await change(alice, path, row["version"], priority="medium", tags=[], **instants) == theirs
    found = await conflicts(alice, path, row["version"], due_date="2026-12-01T09:01", recurrence="FREQ=DAILY")
    assert found == [
        {"field": "due_date", "base": "2026-12-01", "theirs": "2026-12-01T08:00:00Z", "yours": "2026-12-01T08:01:00Z"}
    ]
    assert_problem(await alice.patch(path, {"recurrence": "FREQ=X", "base_version": 1}), 422, "invalid_recurrence")


async def test_a_due_date_and_a_recurrence_are_one_field(alice: Person) -> None:
    path, row = await make_row(alice, "task", recurrence="FREQ=DAILY", **DUE)
    await change(alice, path, recurrence="FREQ=WEEKLY")
    assert await conflicts(alice, path, row["version"], due_date="2026-12-02") == [
        {"field": "due_date", "base": "2026-12-01", "theirs": "2026-12-01", "yours": "2026-12-02"},
        {"field": "recurrence", "base": "FREQ=DAILY", "theirs": "FREQ=WEEKLY", "yours": "FREQ=DAILY"},
    ]
    mine = await change(alice, path, row["version"], due_date="2026-12-02", on_conflict="mine")
    assert (mine["due_date"], mine["recurrence"]) == ("2026-12-02", "FREQ=WEEKLY"), "what was not sent is not written"
    path, row = await make_row(alice, "task", recurrence="FREQ=DAILY", **DUE)
    theirs = await change(alice, path, due_date="2026-12-05")
    yours: Row = {"recurrence": "FREQ=WEEKLY", "title": "y", **DUE}
    assert [each["field"] for each in await conflicts(alice, path, row["version"], **yours)] == [
        "due_date",
        "recurrence",
    ]
    left = await change(alice, path, row["version"], **yours, on_conflict="theirs")
    assert (left["title"], left["due_date"], left["recurrence"]) == ("y", theirs["due_date"], theirs["recurrence"])


async def test_a_place_is_one_field(alice: Person) -> None:
    """Moved to a project by one and below a parent by another: one of both would be lost."""
    project = (await make_row(alice, "project"))[1]["id"]
    parent = (await make_row(alice, "task"))[1]["id"]
    path, row = await make_row(alice, "task")
    await change(alice, path, project_id=project)
    assert await conflicts(alice, path, row["version"], parent_id=parent) == [
        {"field": "project_id", "base": None, "theirs": project, "yours": None},
        {"field": "parent_id", "base": None, "theirs": None, "yours": parent},
    ]
    mine = await change(alice, path, row["version"], parent_id=parent, on_conflict="mine")
    assert (mine["project_id"], mine["parent_id"]) == (None, parent)


async def test_an_occurrence_is_completed_once(alice: Person) -> None:
    path, row = await make_row(alice, "task", recurrence="FREQ=DAILY", **DUE)
    done = await change(alice, path, row["version"], completed=True)
    assert (done["completed"], done["due_date"]) == (False, "2026-12-02")
    assert await conflicts(alice, path, row["version"], completed=True) == [
        {"field": "completed", "base": False, "theirs": False, "yours": True},
        {"field": "due_date", "base": "2026-12-01", "theirs": "2026-12-02", "yours": "2026-12-01"},
    ]
    assert await change(alice, path, row["version"], completed=True, on_conflict="theirs") == done
    again = await change(alice, path, row["version"], completed=True, on_conflict="mine")
    assert again["due_date"] == "2026-12-03"
    assert len((await alice.get(f"/tasks?series_id={row['id']}")).json()) == 2
    path, row = await make_row(alice, "task", **DUE)
    await change(alice, path, due_date="2026-12-05")
    merged = await change(alice, path, row["version"], completed=True)
    assert (merged["completed"], merged["due_date"]) == (True, "2026-12-05"), "a task that does not recur"


@pytest.mark.parametrize("entity", ENTITIES)
async def test_if_match_comes_first(alice: Person, entity: str) -> None:
    name = next(iter(FIELDS[entity]))
    path, row = await make_row(alice, entity)
    theirs = await change(alice, path, **{name: "theirs"})
    body = {name: "yours", "base_version": row["version"], "on_conflict": "mine"}
    stale, present = ({"If-Match": f'"{each["version"]}"'} for each in (row, theirs))
    assert_problem(await alice.patch(path, body, headers=stale), 412, "version_conflict")
    assert_problem(await alice.patch(path, {**body, "on_conflict": "refuse"}, headers=present), 409, "field_conflict")
    assert (await alice.patch(path, body, headers=present)).json()[name] == "yours"


@pytest.mark.parametrize("entity", ENTITIES)
async def test_without_the_base_every_field_that_differs_conflicts(alice: Person, app: FastAPI, entity: str) -> None:
    fields = FIELDS[entity]
    name = next(iter(fields))
    path, row = await make_row(alice, entity, **{name: "a"})
    theirs = await change(alice, path, **{name: "b"})
    async with app.state.database.transaction(alice.subject, role=WORKER_ROLE) as session:
        await prune_changes(session, alice.subject, days=0)
    same = {each: value(theirs, each) for each in fields if each != name}
    yours: Row = {**same, name: "a"}
    assert await conflicts(alice, path, row["version"], **yours) == [
        {"field": name, "base": None, "theirs": "b", "yours": "a"}
    ]
    assert await change(alice, path, row["version"], **{**same, name: "b"}) == theirs
    assert await change(alice, path, row["version"], **yours, on_conflict="theirs") == theirs
    assert await change(alice, path, theirs["version"], **same, **{name: "b"}) == theirs
    mine = await change(alice, path, row["version"], **yours, on_conflict="mine")
    assert mine[name] == "a"
    present = await change(alice, path, mine["version"], **{name: "c"})
    assert present[name] == "c", "the present version is known although its change was pruned"


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_base_from_before_a_restore_is_not_merged(alice: Person, sql: Any, entity: str) -> None:
    """The restored row may be older than the one that the client has seen, so nothing is known about the base."""
    name = next(iter(FIELDS[entity]))
    path, row = await make_row(alice, entity, **{name: "restored"})
    yours: Row = {name: "yours"}
    assert_problem(await alice.patch(path, {**yours, "base_version": row["version"] + 2}), 410, "changes_gone")
    assert (await alice.get(path)).json() == row
    assert await get_revision(alice) > 10**12, "a client ahead of the database begins a new epoch"
    (found,) = await conflicts(alice, path, row["version"] + 2, **yours)
    assert found == {"field": name, "base": None, "theirs": "restored", "yours": "yours"}
    assert (await change(alice, path, row["version"], **yours))[name] == "yours", "this version the client has seen"


@pytest.mark.parametrize("entity", ENTITIES)
async def test_the_base_may_be_the_revision_of_a_list(alice: Person, entity: str) -> None:
    name = next(iter(FIELDS[entity]))
    path, _ = await make_row(alice, entity, **{name: "a"})
    await alice.add()
    base = await get_revision(alice)
    assert (await change(alice, path, base, **{name: "b"}))[name] == "b"
    assert (await conflicts(alice, path, base, **{name: "c"}))[0]["base"] == "a"


WRONG_BASES = [0, -1, True, False, "1", 1.5, [1], {"version": 1}, 2**63]


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_wrong_base_or_side_is_refused(alice: Person, entity: str) -> None:
    name = next(iter(FIELDS[entity]))
    path, row = await make_row(alice, entity)
    wrong: list[tuple[str, Row]] = [("base_version", {"base_version": each}) for each in WRONG_BASES]
    wrong += [("on_conflict", {"base_version": 1, "on_conflict": each}) for each in ("ours", "", True, 1, ["mine"])]
    wrong += [("on_conflict", {"on_conflict": each}) for each in ("mine", "theirs", "refuse")]
    for field, body in wrong:
        problem = assert_problem(await alice.patch(path, {name: "y", **body}), 422, "validation_error")
        assert [error["loc"] for error in problem["errors"]] == [["body", field]], body
    for body in ({"base_version": 1}, {"base_version": 1, "on_conflict": "mine"}):
        assert_problem(await alice.patch(path, body), 422, "validation_error")
    assert_problem(
        await alice.patch(path, {name: "x", "base_version": row["version"], "uid": "other"}), 422, "other_uid"
    )
    assert (await alice.get(path)).json() == row
    assert (await alice.patch(path, {name: "y", "base_version": float(row["version"])})).status_code == 200


@pytest.mark.parametrize("entity", ENTITIES)
async def test_rows_that_are_not_there_are_404_as_without_a_base(alice: Person, bob: Person, entity: str) -> None:
    name = next(iter(FIELDS[entity]))
    path, row = await make_row(alice, entity)
    body = {name: "y", "base_version": row["version"], "on_conflict": "mine"}
    await bob.add()
    assert_problem(await bob.patch(path, body), 404)
    assert_problem(await alice.patch(f"{path}9", body), 404)
    if entity == "comment":
        other = await alice.add()
        assert_problem(await alice.patch(f"/tasks/{other['id']}/comments/{row['id']}", body), 404, "comment_not_found")
    await alice.delete(path)
    before = await get_revision(alice)
    assert_problem(await alice.patch(path, body), 404, f"{entity}_not_found")
    assert await get_revision(alice) == before


@pytest.mark.parametrize("entity", ["task", "project"])
async def test_a_put_from_a_base_merges_and_never_creates(alice: Person, entity: str) -> None:
    name = next(iter(FIELDS[entity]))
    path, row = await make_row(alice, entity, uid="u")
    collection = path.rpartition("/")[0]
    await change(alice, path, **{name: "theirs"})
    body = {name: "yours", "base_version": row["version"]}
    for url in (path, f"{collection}/uid:u"):
        assert_problem(await alice.call("PUT", url, json=body), 409, "field_conflict")
    done = await alice.call("PUT", f"{collection}/uid:u", json={**body, "on_conflict": "mine"})
    assert (done.status_code, done.json()[name]) == (200, "yours")
    whole = {**row, name: row[name], "base_version": row["version"]}
    assert (await alice.call("PUT", path, json=whole)).json() == done.json(), "the whole row as it was: no change"
    absent = f"{collection}/uid:absent"
    assert_problem(await alice.call("PUT", absent, json=body), 412, "does_not_exist")
    only_new = {"If-None-Match": "*"}
    assert_problem(await alice.call("PUT", absent, json=body, headers=only_new), 412, "does_not_exist")
    assert_problem(await alice.call("PUT", f"{collection}/uid:u", json=body, headers=only_new), 412, "already_exists")
    assert_problem(await alice.get(absent), 404)


@pytest.mark.parametrize("entity", ENTITIES)
async def test_of_concurrent_changes_with_one_base_one_conflicts(alice: Person, entity: str) -> None:
    name = next(iter(FIELDS[entity]))
    path, row = await make_row(alice, entity)
    for number in range(5):
        calls = [
            alice.patch(path, {name: f"{number} {each}", "base_version": row["version"]})
            for each in ("a", "b", "c", "d")
        ]
        answers = await asyncio.gather(*calls)
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        (row,) = [answer.json() for answer in answers if answer.status_code == 200]
        for answer in answers:
            if answer.status_code == 409:
                assert answer.json()["conflicts"][0]["theirs"] == row[name]
        assert (await alice.get(path)).json() == row


async def test_concurrent_changes_of_different_fields_are_all_merged(alice: Person) -> None:
    for _ in range(5):
        path, row = await make_row(alice, "task")
        fields = {"title": "b", "description": "b", "priority": "low", "tags": ["b"], "completed": True, **DUE}
        calls = [alice.patch(path, {name: each, "base_version": row["version"]}) for name, each in fields.items()]
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
        assert (await alice.get(path)).json().items() >= fields.items()


async def test_a_conflict_with_three_long_texts_is_stored_whole(alice: Person) -> None:
    """Other refusals have at most 64 KB."""
    long = [letter + "\1" * 4_999 for letter in "abc"]
    path, row = await make_row(alice, "comment", body=long[0])
    await change(alice, path, body=long[1])
    body = {"body": long[2], "base_version": row["version"]}
    headers = {"Idempotency-Key": "once"}
    refused = await alice.patch(path, body, headers=headers)
    assert assert_problem(refused, 409, "field_conflict")["conflicts"] == [
        {"field": "body", "base": long[0], "theirs": long[1], "yours": long[2]}
    ]
    assert len(refused.content) > 65_536
    again = await alice.patch(path, body, headers=headers)
    assert (again.status_code, again.content) == (409, refused.content)
    assert again.headers["idempotent-replayed"] == "true"
    resolved = await alice.patch(path, {**body, "on_conflict": "mine"}, headers=headers)
    assert_problem(resolved, 422, "idempotency_key_reused")


WORLDS = 120
VALUES: Row = {
    "title": ["a", "b", "c"],
    "description": [None, "", "d"],
    "completed": [False, True],
    "priority": ["low", "medium"],
    "due_date": [None, "2026-12-01", "2026-12-01T00:00:00Z"],
    "tags": [[], ["x"], ["y", "x"]],
}


async def test_random_changes_are_merged_as_by_a_model(alice: Person) -> None:
    rng = random.Random(16)
    outcomes: set[Any] = set()

    def draw() -> Row:
        return {name: rng.choice(VALUES[name]) for name in rng.sample(list(VALUES), rng.randint(1, len(VALUES)))}

    for _ in range(WORLDS):
        path, base = await make_row(alice, "task", **draw() | {"title": "a"})
        for _ in range(rng.randint(0, 3)):
            await change(alice, path, **draw())
        theirs, yours, side = (await alice.get(path)).json(), draw(), rng.choice(["refuse", "mine", "theirs"])
        touched = {name for name, each in yours.items() if each not in (base[name], theirs[name])}
        both = {name for name in touched if theirs[name] != base[name]}
        answer = await alice.patch(path, {**yours, "base_version": base["version"], "on_conflict": side})
        if both and side == "refuse":
            assert {each["field"] for each in assert_problem(answer, 409, "field_conflict")["conflicts"]} == both
            assert (await alice.get(path)).json() == theirs
            outcomes.add("refused")
            continue
        written = {name for name in touched if name not in both or side == "mine"}
        found = answer.json()
        assert {name: found[name] for name in VALUES} == {
            name: yours[name] if name in written else theirs[name] for name in VALUES
        }
        assert found["version"] == theirs["version"] + bool(written)
        outcomes.add((side, bool(both), bool(written)))
    assert len(outcomes) >= 8


# ---- in a batch


def change_of(row: Row, **fields: Any) -> Row:
    return {"operation": "update_task", "arguments": {"task_id": row["id"], "base_version": row["version"], **fields}}


@pytest.mark.parametrize("atomic", [True, False])
async def test_changes_of_a_batch_do_not_conflict_with_each_other(alice: Person, atomic: bool) -> None:
    row = await alice.add("a", priority="low")
    await alice.patch(f"/tasks/{row['id']}", {"tags": ["theirs"]})
    changes = [
        change_of(row, title="b"),
        {"operation": "move_task", "arguments": {"task_id": row["id"], "project_id": None}},
        change_of(row, title="c", priority="low"),
        change_of(row, due_date="2026-12-01"),
        change_of(row, due_date="2026-12-02", recurrence="FREQ=DAILY"),
        change_of(row, due_date="2026-12-03"),
        change_of(row, title="a"),  # back to the base, which is a change here
    ]
    answer = await alice.post("/batch", {"operations": changes, "atomic": atomic})
    assert answer.status_code == 200, answer.text
    assert [result["status"] for result in answer.json()["results"]] == [200] * 7, answer.text
    after = (await alice.get(f"/tasks/{row['id']}")).json()
    assert (after["title"], after["tags"], after["due_date"]) == ("a", ["theirs"], "2026-12-03")


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_batch_conflicts_with_other_writes(alice: Person, atomic: bool) -> None:
    row = await alice.add("a")
    await alice.patch(f"/tasks/{row['id']}", {"title": "theirs"})
    batch = {"operations": [change_of(row, tags=["b"]), change_of(row, title="c")], "atomic": atomic}
    answer = await alice.post("/batch", batch)
    problem = answer.json() if atomic else answer.json()["results"][1]["problem"]
    assert problem["conflicts"] == [{"field": "title", "base": "a", "theirs": "theirs", "yours": "c"}]
    assert (await alice.get(f"/tasks/{row['id']}")).json()["tags"] == ([] if atomic else ["b"])
    for side, titles in (("mine", ["mine 0", "mine 1"]), ("theirs", ["mine 1", "mine 1"])):
        changes = [change_of(row, title=f"{side} {turn}", on_conflict=side) for turn in range(2)]
        answer = await alice.post("/batch", {"operations": changes, "atomic": atomic})
        assert [result["body"]["title"] for result in answer.json()["results"]] == titles


async def test_an_occurrence_is_completed_once_in_a_batch(alice: Person) -> None:
    row = await alice.add("a", recurrence="FREQ=DAILY", due_date="2026-12-01")
    changes = [change_of(row, completed=done) for done in (True, False, True)]
    problem = assert_problem(await alice.post("/batch", {"operations": changes}), 409, "field_conflict")
    assert problem["errors"][0]["loc"] == ["body", "operations", 2]
    done = (await alice.post("/batch", {"operations": [*changes[:2], change_of(row, due_date="2026-12-09")]})).json()
    assert done["results"][2]["body"]["due_date"] == "2026-12-09"
