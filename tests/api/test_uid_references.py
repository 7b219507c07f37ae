"""Uids in place of ids: in paths, in bodies, in filters; and PUT, which creates what is not there."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.test_uids import ENTITIES, REFUSED_UIDS, create
from tests.entity_samples import SAMPLES, make_sample
from tests.support import Person, assert_problem

ODD_UID = "a.b_c~d:e@f+g=h,i;j(k)l!m*n$o&p{q}r-s"


async def make_named(person: Person, entity: str, uid: str = ODD_UID) -> tuple[str, dict[str, Any]]:
    """Creates a sample with ``uid``; returns its path by the uid, and the row."""
    made = await create(person, entity, uid)
    assert made.status_code == 201, made.text
    path = made.headers["location"].partition(person.subject)[2]
    return f"{path.rpartition('/')[0]}/uid:{quote(uid, safe='')}", made.json()


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_uid_in_a_path_names_the_row(alice: Person, entity: str) -> None:
    path, row = await make_named(alice, entity)
    assert (await alice.get(path)).json() == row
    assert (await alice.get(path.replace("uid:", "uid%3A"))).json() == row
    changed = (await alice.patch(path, SAMPLES[entity].change, headers={"If-Match": f'"{row["version"]}"'})).json()
    assert (changed["id"], changed["version"]) == (row["id"], row["version"] + 1)
    assert_problem(await alice.patch(path, SAMPLES[entity].change, headers={"If-Match": '"0"'}), 412)
    assert (await alice.delete(path)).status_code == 204
    assert_problem(await alice.get(path), 404, f"{entity}_not_found")
    if entity == "task":
        assert (await alice.post(f"{path}/restore")).json()["id"] == row["id"]


async def test_every_action_on_a_task_takes_its_uid(alice: Person) -> None:
    task = await alice.add(uid="t", due_date="2030-01-01", recurrence="FREQ=DAILY")
    path, by_id = "/tasks/uid:t", f"/tasks/{task['id']}"
    for method, action, body in (
        ("POST", "/skip", None), ("PATCH", "/complete", None), ("POST", "/snooze", {"minutes": 5}),
        ("POST", "/move", {"project_id": None}), ("PUT", "", {"title": "b"}), ("PATCH", "", {"title": "c"}),
    ):  # fmt: skip
        answer = await alice.call(method, path + action, json=body)
        assert (answer.status_code, answer.json()["id"]) == (200, task["id"]), action
    assert (await alice.get(f"{path}/history")).json() == (await alice.get(f"{by_id}/history")).json()
    comment = await alice.post(f"{path}/comments", {"body": "x", "uid": "c"})
    # Locations and links name rows by their ids.
    assert comment.headers["location"] == f"/api/{alice.subject}{by_id}/comments/{comment.json()['id']}"
    listed = await alice.get(f"{path}/comments?limit=1")
    assert listed.json() == [comment.json()]
    assert f"/api/{alice.subject}{by_id}/comments" in listed.headers["link"]
    assert (await alice.get(f"{path}/comments/uid:c")).json() == comment.json()
    assert (await alice.get(f"{by_id}/comments/uid:c")).json() == comment.json()
    assert_problem(await alice.get(f"/tasks/{(await alice.add())['id']}/comments/uid:c"), 404, "comment_not_found")


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_foreign_or_absent_uid_is_the_same_404(alice: Person, bob: Person, entity: str) -> None:
    path, row = await make_named(alice, entity, "shared")
    collection = SAMPLES[entity].path.format(task=(await bob.add())["id"])
    answers = [await bob.get(f"{collection}/uid:{uid}") for uid in ("shared", "nothing")]
    bodies = [assert_problem(answer, 404, f"{entity}_not_found") for answer in answers]
    assert bodies[0].items() - bodies[1].items() <= {("request_id", bodies[0]["request_id"])}
    for method in ("PATCH", "DELETE"):
        change = SAMPLES[entity].change if method == "PATCH" else None
        assert_problem(await bob.call(method, f"{collection}/uid:shared", json=change), 404)
    assert (await alice.get(path)).json() == row
    mine = await bob.post(collection, {**SAMPLES[entity].body, "uid": "shared"})
    assert (await bob.get(f"{collection}/uid:shared")).json() == mine.json()


async def test_a_uid_of_digits_is_no_id(alice: Person) -> None:
    first = await alice.add()
    second = await alice.add(uid=str(first["id"]))
    assert (await alice.get(f"/tasks/uid:{first['id']}")).json() == second
    assert (await alice.get(f"/tasks/{first['id']}")).json() == first


async def test_what_is_no_uid_names_nothing(alice: Person) -> None:
    await alice.add(uid="a")
    before = (await alice.get("/tasks")).headers["x-revision"]
    for uid in (value for value in REFUSED_UIDS if isinstance(value, str)):
        named = f"/tasks/uid:{quote(uid, safe='')}"
        assert_problem(await alice.get(named), 404)
        refused = await alice.call("PUT", named, json={"title": "x"})
        if "/" in uid:  # two segments of a path, where the server decodes it
            assert refused.status_code in (404, 422)
        else:
            assert assert_problem(refused, 422)["errors"][0]["loc"] == ["path", "task_id"]
    for path in ("/tasks/UID:a", "/tasks/uid", "/tasks/a", "/tasks/uid:A"):
        assert_problem(await alice.get(path), 404)
    assert (await alice.get("/tasks")).headers["x-revision"] == before


async def test_bodies_name_rows_by_uid(alice: Person) -> None:
    project = (await alice.post("/projects", {"name": "Home", "uid": "home"})).json()
    parent = await alice.add("parent", uid="p", project_uid="home")
    child = await alice.add("child", parent_uid="p")
    assert (parent["project_id"], child["project_id"], child["parent_id"]) == (
        project["id"],
        project["id"],
        parent["id"],
    )
    path = f"/tasks/{child['id']}"
    assert (await alice.patch(path, {"parent_uid": None})).json()["parent_id"] is None
    assert (await alice.patch(path, {"project_uid": None})).json()["project_id"] is None
    moved = (await alice.post(f"{path}/move", {"parent_uid": "p"})).json()
    assert (moved["project_id"], moved["parent_id"]) == (project["id"], parent["id"])
    other = await alice.add("other", uid="o", parent_uid="p", parent_id=parent["id"])
    for place, titles in (("before_uid", ["child", "other"]), ("after_uid", ["other", "child"])):
        assert (await alice.post(f"{path}/move", {place: other["uid"]})).status_code == 200
        assert await alice.titles(f"?parent_id={parent['id']}&sort=position") == titles
    work = (await alice.post("/projects", {"name": "Work", "uid": "work"})).json()
    for place, names in (("before_uid", ["Work", "Home"]), ("after_uid", ["Home", "Work"])):
        assert (await alice.post(f"/projects/{work['id']}/move", {place: "home"})).status_code == 200
        assert [each["name"] for each in (await alice.get("/projects")).json()] == names
    assert (await alice.delete("/projects/uid:home?tasks=move&to_uid=work")).status_code == 204
    assert (await alice.get("/tasks/uid:p")).json()["project_id"] == work["id"]


async def test_filters_name_rows_by_uid(alice: Person) -> None:
    await alice.post("/projects", {"name": "Home", "uid": "home"})
    series = await alice.add("a", uid="s", project_uid="home", due_date="2030-01-01", recurrence="FREQ=DAILY")
    await alice.add("b", parent_uid="s")
    await alice.patch("/tasks/uid:s/complete")
    for query, titles in (
        ("project_uid=home&status=pending", {"a", "b"}), ("parent_uid=s", {"b"}), ("series_uid=s", {"a"}),
        ("project_uid=nothing", set()), ("parent_uid=home", set()),
        (f"parent_uid=s&parent_id={series['id']}", {"b"}),
    ):  # fmt: skip
        first = await alice.get(f"/tasks?{query}&limit=1")
        pages = first.json()
        while 'rel="next"' in first.headers["link"]:
            following = first.headers["link"].partition('>; rel="next"')[0].rpartition("<")[2]
            first = await alice.get(following)
            pages += first.json()
        assert {task["title"] for task in pages} == titles, query
    view = await alice.post("/views", {"name": "v", "parameters": {"parent_uid": "s"}})
    assert view.json()["parameters"] == {"parent_id": series["id"]}
    assert [task["title"] for task in (await alice.get(f"/views/{view.json()['id']}/tasks")).json()] == ["b"]
    missing = await alice.patch(f"/views/{view.json()['id']}", {"parameters": {"project_uid": "nothing"}})
    assert assert_problem(missing, 422, "unknown_reference")["errors"][0]["loc"] == [
        "body",
        "parameters",
        "project_uid",
    ]


async def test_bulk_writes_take_uids(alice: Person) -> None:
    first, second = await alice.add("a", uid="x"), await alice.add("b", uid="y")
    await alice.post("/projects", {"name": "Home", "uid": "home"})
    done = await alice.post("/tasks/bulk", {"uids": ["y", "nothing", "x"], "action": "complete"})
    assert done.json()["results"] == [
        {"id": second["id"], "uid": "y", "status": "completed"},
        {"id": None, "uid": "nothing", "status": "not_found"},
        {"id": first["id"], "uid": "x", "status": "completed"},
    ]
    by_id = await alice.post("/tasks/bulk", {"ids": [first["id"], 2**62], "action": "reopen"})
    assert [(each["id"], each["uid"]) for each in by_id.json()["results"]] == [(first["id"], "x"), (2**62, None)]
    moved = await alice.post("/tasks/bulk", {"uids": ["x"], "action": "move", "change": {"project_uid": "home"}})
    assert moved.json()["results"][0]["status"] == "moved"
    kept = await alice.post(
        "/tasks/bulk", {"filter": {"project_uid": "home"}, "action": "update", "change": {"priority": "low"}}
    )
    assert [each["uid"] for each in kept.json()["results"]] == ["x"]
    for body in (
        {"uids": ["x", "x"], "action": "delete"}, {"uids": [], "action": "delete"}, {"uids": [7], "action": "delete"},
        {"uids": ["x"], "ids": [first["id"]], "action": "delete"}, {"uids": ["x"] * 1001, "action": "delete"},
        {"uids": ["x"], "action": "update", "change": {"project_uid": "home", "parent_uid": "y"}},
        {"uids": ["x"], "action": "update", "change": {"project_uid": "nothing"}},
    ):  # fmt: skip
        assert_problem(await alice.post("/tasks/bulk", body), 422)
    gone = await alice.post("/tasks/bulk", {"uids": ["x"], "action": "delete"})
    assert gone.json()["results"][0]["status"] == "deleted"
    back = await alice.post("/tasks/bulk", {"uids": ["x"], "action": "restore"})
    assert back.json()["results"][0]["status"] == "restored"


async def test_an_id_and_a_uid_of_two_rows_contradict(alice: Person, bob: Person) -> None:
    home = (await alice.post("/projects", {"name": "Home", "uid": "home"})).json()
    work = (await alice.post("/projects", {"name": "Work", "uid": "work"})).json()
    task, other = await alice.add(uid="t", project_uid="home", project_id=home["id"]), await alice.add(uid="o")
    await bob.add(uid="bobs")
    await alice.add(uid="deleted")
    await alice.delete("/tasks/uid:deleted")
    before = (await alice.get("/tasks")).headers["x-revision"]
    for path, body in (
        ("/tasks", {"title": "x", "project_uid": "home", "project_id": work["id"]}),
        ("/tasks", {"title": "x", "parent_uid": "t", "parent_id": other["id"]}),
        (f"/tasks/{task['id']}/move", {"before_uid": "o", "before": task["id"]}),
        (f"/projects/{home['id']}/move", {"before_uid": "work", "before": home["id"]}),
    ):
        assert_problem(await alice.post(path, body), 422, "ids_contradict")
    for body in ({"project_uid": "home", "project_id": None}, {"project_uid": None, "project_id": home["id"]}):
        assert_problem(await alice.patch(f"/tasks/{task['id']}", body), 422, "ids_contradict")
    contradicting = f"/tasks?project_uid=home&project_id={work['id']}"
    assert assert_problem(await alice.get(contradicting), 422)["errors"][0]["loc"] == ["query", "project_uid"]
    for name in ("project_uid", "parent_uid"):
        for uid in ("nothing", "bobs", "deleted", "t" if name == "project_uid" else "home"):
            found = assert_problem(await alice.post("/tasks", {"title": "x", name: uid}), 422, "unknown_reference")
            assert found["errors"][0]["loc"] == ["body", name]
    for body in (
        {"before_uid": "o", "after_uid": "o"},
        {"before_uid": "o", "after": other["id"]},
        {"before_uid": "nothing"},
    ):
        assert_problem(await alice.post(f"/tasks/{task['id']}/move", body), 422)
    assert (await alice.get("/tasks")).headers["x-revision"] == before
    # A client that sends every field of a new task sends null for those that it leaves out.
    for place in ({"project_uid": "home", "project_id": None}, {"project_uid": None, "project_id": home["id"]}):
        assert (await alice.add(**place, parent_uid=None, parent_id=None))["project_id"] == home["id"]


# ---- PUT


NEW_ROWS: dict[str, Callable[[str], dict[str, Any]]] = {
    "task": lambda name: {"title": name, "tags": ["x"], "priority": None, "parent_uid": None},
    "project": lambda name: {"name": name, "color": None},
}


@pytest.mark.parametrize("entity", NEW_ROWS)
async def test_a_put_creates_a_row_and_then_changes_it(alice: Person, entity: str) -> None:
    collection, body = SAMPLES[entity].path, NEW_ROWS[entity]
    path = f"/api/me{collection}/uid:{quote(ODD_UID, safe='')}"
    made = await alice.call("PUT", path, json=body("a"))
    row = made.json()
    assert (made.status_code, row["uid"]) == (201, ODD_UID)
    assert made.headers["location"] == f"/api/me{collection}/{row['id']}"
    assert made.headers["etag"] == f'"{row["version"]}"'
    again = await alice.call("PUT", path, json={**body("b"), "uid": ODD_UID})
    assert (again.status_code, again.json()["id"], again.json()["version"]) == (200, row["id"], row["version"] + 1)
    assert "location" not in again.headers
    for named in ("new", quote(ODD_UID)):  # also where it would create one
        refused = await alice.call("PUT", f"{collection}/uid:{named}", json={**body("c"), "uid": "other"})
        assert_problem(refused, 422, "other_uid")
    assert_problem(await alice.call("PUT", f"{collection}/uid:new", json={}), 422)
    bare = {"uid": "new", "tags": []} if entity == "task" else {"uid": "new", "color": None}
    lacking = assert_problem(await alice.call("PUT", f"{collection}/uid:new", json=bare), 422, "field_needed")
    assert lacking["errors"][0]["loc"] == ["body", "title" if entity == "task" else "name"]
    assert_problem(await alice.call("PUT", f"{collection}/{2**62}", json=body("c")), 404, f"{entity}_not_found")
    assert len((await alice.get(collection)).json()) == 1


@pytest.mark.parametrize("entity", NEW_ROWS)
async def test_a_put_only_creates_or_only_changes_on_request(alice: Person, entity: str) -> None:
    collection, body = SAMPLES[entity].path, NEW_ROWS[entity]
    path = f"{collection}/uid:u"
    only_new, only_old = {"If-None-Match": "*"}, {"If-Match": "*"}
    assert_problem(await alice.call("PUT", path, json=body("a"), headers=only_old), 412, "does_not_exist")
    assert_problem(await alice.call("PUT", path, json=body("a"), headers={"If-Match": '"1"'}), 412, "does_not_exist")
    made = await alice.call("PUT", path, json=body("a"), headers=only_new)
    assert made.status_code == 201
    for named in (path, f"{collection}/{made.json()['id']}"):
        assert_problem(await alice.call("PUT", named, json=body("b"), headers=only_new), 412, "already_exists")
        assert (await alice.call("PUT", named, json=body("b"), headers=only_old)).status_code == 200
    tag = (await alice.get(path)).headers["etag"]
    assert (await alice.call("PUT", path, json=body("c"), headers={"If-Match": tag})).status_code == 200
    assert_problem(await alice.call("PUT", path, json=body("d"), headers={"If-Match": tag}), 412, "version_conflict")
    both = await alice.call("PUT", path, json=body("d"), headers=only_new | only_old)
    assert both.status_code == 412
    assert_problem(await alice.call("PUT", path, json=body("d"), headers={"If-None-Match": tag}), 422, "invalid")
    assert_problem(await alice.call("PUT", f"{collection}/{2**62}", json=body("d"), headers=only_new), 404)
    await alice.delete(path)
    assert_problem(await alice.call("PUT", path, json=body("e")), 409, "in_trash")
    assert_problem(await alice.call("PUT", path, json=body("e"), headers=only_new), 409, "in_trash")


@pytest.mark.parametrize("entity", NEW_ROWS)
async def test_of_two_puts_one_creates_and_the_other_changes(alice: Person, entity: str) -> None:
    collection = SAMPLES[entity].path
    for number in range(5):
        path, body = f"{collection}/uid:race{number}", NEW_ROWS[entity](f"n{number}")
        answers = await asyncio.gather(*(alice.call("PUT", path, json=body) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
        assert len({answer.json()["id"] for answer in answers}) == 1
    changes = (await alice.get("/changes?limit=1000")).json()["changes"]
    assert [change["action"] for change in changes].count("created") == 5
    revisions = [change["revision"] for change in changes]
    assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))


async def test_a_project_may_be_created_in_the_archive_by_one_write(alice: Person) -> None:
    for number, (method, path) in enumerate((("PUT", "/projects/uid:p"), ("POST", "/projects")), start=1):
        made = await alice.call(method, path, json={"name": f"Old {number}", "archived": True})
        assert (made.status_code, made.json()["version"]) == (201, number)
        assert made.json()["archived_at"] == made.json()["created_at"]
    changes = (await alice.get("/changes")).json()["changes"]
    assert [(change["action"], change["data"]["archived_at"] is None) for change in changes] == [("created", False)] * 2
    assert (await alice.get("/projects")).json() == []


async def test_a_put_of_a_task_takes_every_field_of_a_new_task(alice: Person) -> None:
    _, sample = await make_sample(alice, "task")
    body = SAMPLES["task"].body | {"completed": False}
    made = (await alice.call("PUT", "/tasks/uid:t", json=body)).json()
    assert {name: made[name] for name in body} == {name: sample[name] for name in body}
    bare = (await alice.call("PUT", "/tasks/uid:bare", json={"title": "x"})).json()
    plain = await alice.add("x")
    assert {name for name in plain if plain[name] != bare[name]} <= {
        "id", "uid", "position", "version", "created_at", "updated_at",
    }  # fmt: skip
