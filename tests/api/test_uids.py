"""Ids that clients choose: made, returned, refused, in the trash and out of it."""

import asyncio
import uuid
from typing import Any

import pytest

from app.services.changes.entities import ENTITY_REGISTRY
from tests.entity_samples import SAMPLES, make_sample
from tests.support import Person, assert_problem

ENTITIES = [entity.name for entity in ENTITY_REGISTRY if "uid" in entity.table.c and entity.name in SAMPLES]
# Values that are no uid. In JSON also numbers, and a text that is too long or empty.
REFUSED_UIDS: list[Any] = ["a/b", "a'b", 'a"b', "\U0001f600", "a\x07b", "a b", "\u00e4", "a%b"]
REFUSED_UIDS += ["a\\b", "", "x" * 256, 7, 7.5, True, ["a"]]
ACCEPTED_UIDS = ["7", "x" * 255, "a.b_c~d:e@f+g=h,i;j(k)l!m*n$o&p{q}r-s", "Uid", "uid", "uid:7", "00", "-", "."]


async def create(person: Person, entity: str, uid: Any, **more: Any) -> Any:
    sample = SAMPLES[entity]
    path = sample.path.format(task=(await person.add("stays"))["id"]) if "{task}" in sample.path else sample.path
    body = {**sample.body, "uid": uid, **more}
    if entity in ("project", "view"):
        body["name"] = str(uuid.uuid4())
    return await person.post(path, body)


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_row_has_a_uuid_or_the_uid_of_its_client(alice: Person, entity: str) -> None:
    path, row = await make_sample(alice, entity)
    assert uuid.UUID(row["uid"]).version == 7
    assert (await alice.get(path)).json()["uid"] == row["uid"]
    for uid in ACCEPTED_UIDS:
        made = await create(alice, entity, uid)
        assert (made.status_code, made.json()["uid"]) == (201, uid)
    change = (await alice.get("/changes?limit=1000")).json()["changes"][-1]
    assert change["data"] == made.json()
    assert (await create(alice, entity, None)).status_code == 201


@pytest.mark.parametrize("entity", ENTITIES)
async def test_what_is_no_uid_is_refused(alice: Person, entity: str) -> None:
    path = SAMPLES[entity].path.format(task=(await alice.add())["id"])
    before = (await alice.get("/tasks")).headers["x-revision"]
    for uid in REFUSED_UIDS:
        answer = await alice.post(path, {**SAMPLES[entity].body, "uid": uid})
        problem = assert_problem(answer, 422, "validation_error")
        assert problem["errors"][0]["loc"] == ["body", "uid"], uid
    assert (await alice.get("/tasks")).headers["x-revision"] == before


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_uid_is_taken_once(alice: Person, bob: Person, entity: str) -> None:
    made = await create(alice, entity, "mine")
    before = (await alice.get("/tasks")).headers["x-revision"]
    again = await create(alice, entity, "mine") if entity != "comment" else None
    if again is None:  # on the same task
        again = await alice.post(made.headers["location"].rpartition("/")[0], {"body": "x", "uid": "mine"})
        assert (await alice.get("/tasks")).headers["x-revision"] == before
    assert_problem(again, 409, "uid_taken")
    assert again.headers["location"] == made.headers["location"]
    assert (await alice.get(again.headers["location"])).json() == made.json()
    assert (await create(bob, entity, "mine")).status_code == 201  # anybody else may use it
    other = ENTITIES[ENTITIES.index(entity) - 1]
    assert (await create(alice, other, "mine")).status_code == 201  # and other entities


async def test_the_location_of_what_has_the_uid_is_below_the_path_that_was_sent(alice: Person) -> None:
    first = await alice.add(uid="x")
    for path in ("/api/me/tasks", "/api/me/tasks/"):
        again = await alice.post(path, {"title": "b", "uid": "x"}, headers={"Idempotency-Key": f"k{path}"})
        assert (again.status_code, again.headers["location"]) == (409, f"/api/me/tasks/{first['id']}")
        replayed = await alice.post(path, {"title": "b", "uid": "x"}, headers={"Idempotency-Key": f"k{path}"})
        assert replayed.headers["idempotent-replayed"] == "true"
        assert replayed.headers["location"] == again.headers["location"]
    quick = await alice.post("/api/me/tasks/quick", {"text": "b #new", "uid": "x"})
    assert (quick.status_code, quick.headers["location"]) == (409, f"/api/me/tasks/{first['id']}")
    assert (await alice.get("/projects")).json() == []
    assert (await alice.post("/tasks/quick", {"text": "b", "uid": "y"})).json()["task"]["uid"] == "y"


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_uid_in_the_trash_is_named_with_how_to_restore_it(alice: Person, entity: str) -> None:
    path, row = await make_sample(alice, entity)
    assert (await alice.delete(path)).status_code == 204
    refused = await create(alice, entity, row["uid"])
    sentence = assert_problem(refused, 409, "in_trash")["detail"]
    assert "location" not in refused.headers
    way = sentence.rpartition("POST ")[2].removesuffix(".")
    assert (await alice.post(way)).status_code == 200
    assert (await alice.get(path)).json()["uid"] == row["uid"]
    # A purge frees it.
    await alice.delete(path)
    await alice.delete("/tasks/trash")
    assert (await create(alice, entity, row["uid"])).status_code == 201


async def test_a_comment_in_the_trash_with_its_task_has_its_uid(alice: Person) -> None:
    made = (await create(alice, "comment", "c")).json()
    await alice.delete(f"/tasks/{made['task_id']}")
    sentence = assert_problem(await create(alice, "comment", "c"), 409, "in_trash")["detail"]
    assert (await alice.post(sentence.rpartition("POST ")[2].removesuffix("."))).status_code == 200
    assert_problem(await create(alice, "comment", "c"), 409, "uid_taken")


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_uid_never_changes(alice: Person, entity: str) -> None:
    path, row = await make_sample(alice, entity)
    change = SAMPLES[entity].change
    for method in ("PATCH", "PUT") if entity in ("task", "project") else ("PATCH",):
        for uid in ("other", row["uid"].upper(), 7):
            refused = await alice.call(method, path, json={**change, "uid": uid})
            code = "other_uid" if isinstance(uid, str) else "validation_error"
            assert assert_problem(refused, 422, code)["errors"][0]["loc"] == ["body", "uid"]
        if entity != "comment":
            assert_problem(await alice.call(method, path, json={"uid": row["uid"]}), 422)
        assert (await alice.get(path)).json() == row
        row = (await alice.call(method, path, json={**row, "uid": row["uid"]})).json()
    changed = await alice.patch(path, {**change, "uid": row["uid"]})
    assert (changed.status_code, changed.json()["uid"]) == (200, row["uid"])


async def test_completing_may_send_the_whole_task_back(alice: Person) -> None:
    task = await alice.add()
    body = {name: task[name] for name in ("id", "uid", "version")} | {"completed": True}
    assert (await alice.patch(f"/tasks/{task['id']}/complete", body)).json()["completed"]


async def test_two_creates_with_one_uid_make_one_row(alice: Person) -> None:
    for entity in ENTITIES:
        task = await alice.add("stays")
        path = SAMPLES[entity].path.format(task=task["id"])
        body = {**SAMPLES[entity].body, "uid": "race"}
        answers = await asyncio.gather(*(alice.post(path, body) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5], entity
        (made,) = [answer for answer in answers if answer.status_code == 201]
        assert {answer.headers["location"] for answer in answers} == {made.headers["location"]}
    revisions = [change["revision"] for change in (await alice.get("/changes?limit=1000")).json()["changes"]]
    assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))  # a refused create takes none


async def test_every_way_to_make_a_task_gives_it_a_uid(alice: Person) -> None:
    series = await alice.add("water", due_date="2030-01-01", recurrence="FREQ=DAILY", uid="series")
    await alice.patch(f"/tasks/{series['id']}/complete")
    await alice.post("/tasks/bulk", {"ids": [series["id"]], "action": "complete"})
    await alice.post("/tasks/quick", {"text": "quick #Home"})
    await alice.call("POST", "/import", content="title\r\nfrom a file\r\n", headers={"Content-Type": "text/csv"})
    tasks = (await alice.get("/tasks")).json()
    assert len(tasks) == 5
    assert [task["uid"] for task in tasks if task["id"] == series["id"]] == ["series"]
    assert all(uuid.UUID(task["uid"]).version == 7 for task in tasks if task["id"] != series["id"])
    assert len({task["uid"] for task in tasks}) == 5
    assert uuid.UUID((await alice.get("/projects")).json()[0]["uid"]).version == 7


@pytest.mark.parametrize("entity", ENTITIES)
async def test_undo_and_restore_keep_the_uid(alice: Person, entity: str) -> None:
    path, row = await make_sample(alice, entity)
    await alice.patch(path, SAMPLES[entity].change)
    await alice.delete(path)
    revision = int((await alice.get("/tasks")).headers["x-revision"])
    for number in range(3):  # the deletion, its undo, the undo of that
        undone = await alice.post(f"/changes/{revision + number}/undo")
        assert [change["data"]["uid"] for change in undone.json()["changes"]] == [row["uid"]]
    history = await alice.get(f"/tasks/{row['id']}/history") if entity == "task" else None
    if history is not None:
        assert "uid" not in {each["field"] for entry in history.json() for each in entry["changes"]}
