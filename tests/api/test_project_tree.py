"""Projects inside of projects: where one may be, and what happens to it when the one that contains it changes."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI

from tests.api.test_projects import make, revision
from tests.api.test_transfer import JSON, exported, imported
from tests.support import Person, assert_problem

Row = dict[str, Any]


async def tree(person: Person, archived: str = "all") -> dict[str, str | None]:
    """Returns the name of the project that contains each, by its name."""
    rows = (await person.get(f"/projects?archived={archived}")).json()
    named = {row["id"]: row["name"] for row in rows}
    return {row["name"]: named.get(row["parent_id"]) for row in rows}


async def family(person: Person) -> tuple[Row, Row, Row]:
    """Makes an area, a project inside of it, and one inside of that."""
    area = await make(person, "Area")
    project = await make(person, "Project", parent_id=area["id"])
    return area, project, await make(person, "Part", parent_id=project["id"])


async def actions(person: Person, number: int) -> set[tuple[str, str, str]]:
    """Returns entity, name and action of the rows of a write."""
    changes = (await person.get(f"/changes?since={number - 1}")).json()["changes"]
    named = [(each, each["data"].get("name") or each["data"].get("title")) for each in changes]
    return {(each["entity"], name, each["action"]) for each, name in named if each["revision"] == number}


async def test_a_project_is_inside_of_another_one_by_id_or_by_uid(alice: Person) -> None:
    area = await make(alice, "Area", uid="area", favorite=True)
    assert (area["favorite"], area["parent_id"]) == (True, None)
    by_uid = await make(alice, "by uid", parent_uid="area")
    by_put = await alice.call("PUT", "/projects/uid:new", json={"name": "by put", "parent_uid": "area"})
    assert by_uid["parent_id"] == by_put.json()["parent_id"] == area["id"]
    path = f"/projects/{by_uid['id']}"
    assert (await alice.patch(path, {"parent_id": None})).json()["parent_id"] is None
    assert (await alice.patch(path, {"parent_uid": "area", "favorite": True})).json()["parent_id"] == area["id"]
    sent_back = {**(await alice.get(path)).json(), "name": "renamed"}
    assert (await alice.call("PUT", path, json=sent_back)).json()["parent_id"] == area["id"]
    assert (await alice.patch(path, {"parent_uid": None})).json()["parent_id"] is None
    body = assert_problem(await alice.patch(path, {"parent_id": area["id"], "parent_uid": "new"}), 422)
    assert body["code"] == "ids_contradict"


@pytest.mark.parametrize("body", [{"parent_id": "1"}, {"parent_id": 0}, {"favorite": None}, {"favorite": "yes"}])
async def test_an_invalid_place_is_refused(alice: Person, body: Row) -> None:
    project = await make(alice)
    assert_problem(await alice.patch(f"/projects/{project['id']}", body), 422, "validation_error")
    assert_problem(await alice.post("/projects", {"name": "x", "parent_id": -1}), 422, "validation_error")


async def test_a_parent_is_a_live_project_of_the_same_user(alice: Person, bob: Person) -> None:
    project, foreign, gone = await make(alice), await make(bob), await make(alice, "gone")
    await alice.delete(f"/projects/{gone['id']}")
    for parent in ({"parent_id": foreign["id"]}, {"parent_id": gone["id"]}, {"parent_id": 2**62}):
        for answer in (
            await alice.patch(f"/projects/{project['id']}", parent),
            await alice.post("/projects", {"name": "new", **parent}),
            await alice.call("PUT", "/projects/uid:x", json={"name": "x", **parent}),
        ):
            body = assert_problem(answer, 422, "unknown_reference")
            assert body["errors"][0]["loc"] == ["body", "parent_id"]
    for uid in (foreign["uid"], gone["uid"], "nobody"):
        answer = await alice.patch(f"/projects/{project['id']}", {"parent_uid": uid})
        assert assert_problem(answer, 422, "unknown_reference")["errors"][0]["loc"] == ["body", "parent_uid"]


async def test_no_project_is_inside_of_itself_or_on_a_fourth_level(alice: Person) -> None:
    area, project, part = await family(alice)
    for inside, parent in ((area, area), (area, project), (area, part), (project, part)):
        answer = await alice.patch(f"/projects/{inside['id']}", {"parent_id": parent["id"]})
        assert assert_problem(answer, 422, "unknown_reference")["errors"][0]["loc"] == ["body", "parent_id"]
    body = assert_problem(await alice.post("/projects", {"name": "x", "parent_id": part["id"]}), 422, "too_deep")
    assert "3 levels" in body["detail"]
    other = await make(alice, "Other")
    assert_problem(await alice.patch(f"/projects/{area['id']}", {"parent_id": other["id"]}), 422, "too_deep")
    assert_problem(await alice.patch(f"/projects/{project['id']}", {"parent_id": part["id"]}), 422)
    moved = await alice.patch(f"/projects/{project['id']}", {"parent_id": other["id"]})
    assert moved.status_code == 200
    assert await tree(alice) == {"Area": None, "Project": "Other", "Part": "Project", "Other": None}


@pytest.mark.parametrize("turn", range(5))
async def test_concurrent_moves_make_no_circle_and_no_fourth_level(alice: Person, turn: int) -> None:
    a, b, c = [await make(alice, name) for name in "abc"]
    below = await make(alice, "below", parent_id=c["id"])
    moves = [(a, b), (b, a), (b, c), (c, a), (a, below), (c, b)]
    answers = await asyncio.gather(
        *(alice.patch(f"/projects/{row['id']}", {"parent_id": parent["id"]}) for row, parent in moves),
        *(alice.post("/projects", {"name": f"new {n}", "parent_id": below["id"]}) for n in range(3)),
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 422}
    found = await tree(alice)
    for name in found:
        level, above = 1, found[name]
        while above is not None:
            level, above = level + 1, found[above]
            assert level <= 3, found


async def test_projects_inside_of_a_deleted_one_take_its_place(alice: Person) -> None:
    area, project, part = await family(alice)
    for row in (area, project, part):
        await alice.add(f"in {row['name']}", project_id=row["id"])
    assert (await alice.delete(f"/projects/{project['id']}")).status_code == 204
    assert await tree(alice) == {"Area": None, "Part": "Area"}
    assert sorted(await alice.titles()) == ["in Area", "in Part"]
    number = await revision(alice)
    assert await actions(alice, number) == {
        ("project", "Project", "deleted"),
        ("project", "Part", "updated"),
        ("task", "in Project", "deleted"),
    }
    assert (await alice.post(f"/changes/{number}/undo")).status_code == 200
    assert await tree(alice) == {"Area": None, "Project": "Area", "Part": "Project"}
    await alice.delete(f"/projects/{area['id']}?subprojects=move_up")
    assert await tree(alice) == {"Project": None, "Part": "Project"}


async def test_a_project_is_deleted_with_all_inside_of_it_when_requested(alice: Person) -> None:
    area, project, part = await family(alice)
    other = await make(alice, "Other")
    await alice.patch(f"/projects/{part['id']}", {"archived": True})
    for row in (area, project, part):
        await alice.add(f"in {row['name']}", project_id=row["id"])
    assert (await alice.delete(f"/projects/{area['id']}?subprojects=trash")).status_code == 204
    assert (await tree(alice), await alice.titles()) == ({"Other": None}, [])
    number = await revision(alice)
    assert len(await actions(alice, number)) == 6
    assert (await alice.post(f"/changes/{number}/undo")).status_code == 200
    assert await tree(alice) == {"Area": None, "Project": "Area", "Part": "Project", "Other": None}
    await alice.delete(f"/projects/{area['id']}?subprojects=trash&tasks=move&to={other['id']}")
    assert await alice.titles(f"?project_id={other['id']}&order=asc") == ["in Area", "in Project", "in Part"]
    assert (await alice.delete("/tasks/trash")).status_code == 204


async def test_tasks_cannot_move_into_a_project_that_is_deleted_with_theirs(alice: Person) -> None:
    area, project, _ = await family(alice)
    answer = await alice.delete(f"/projects/{area['id']}?subprojects=trash&tasks=move&to={project['id']}")
    assert assert_problem(answer, 422, "unknown_reference")["errors"][0]["loc"] == ["query", "to"]
    assert len(await tree(alice)) == 3
    assert_problem(await alice.delete(f"/projects/{area['id']}?subprojects=keep"), 422, "validation_error")


async def test_what_was_archived_together_is_brought_back_together(alice: Person) -> None:
    area, project, part = await family(alice)
    await alice.patch(f"/projects/{part['id']}", {"archived": True})
    await alice.patch(f"/projects/{area['id']}", {"archived": True})
    assert await tree(alice, "false") == {}
    number = await revision(alice)
    assert await actions(alice, number) == {("project", "Area", "updated"), ("project", "Project", "updated")}
    assert (await alice.patch(f"/projects/{area['id']}", {"archived": True, "name": "Area 2"})).status_code == 200
    assert len(await actions(alice, number + 1)) == 1
    await alice.patch(f"/projects/{area['id']}", {"archived": False})
    assert await tree(alice, "false") == {"Area 2": None, "Project": "Area 2"}
    assert (await alice.post(f"/changes/{await revision(alice)}/undo")).status_code == 200
    assert await tree(alice, "false") == {}
    assert (await alice.get(f"/projects/{project['id']}")).json()["archived_at"]


async def test_an_undo_leaves_no_torn_tree(alice: Person) -> None:
    a, b, c = [await make(alice, name) for name in "abc"]
    await alice.patch(f"/projects/{a['id']}", {"parent_id": b["id"]})
    await alice.patch(f"/projects/{a['id']}", {"parent_id": None})
    second = await revision(alice)
    await alice.patch(f"/projects/{b['id']}", {"parent_id": a["id"]})
    assert_problem(await alice.post(f"/changes/{second}/undo"), 409, "undo_conflict")  # a circle
    await alice.patch(f"/projects/{b['id']}", {"parent_id": c["id"]})
    assert (await alice.post(f"/changes/{second}/undo")).status_code == 200  # c, b, a
    await alice.patch(f"/projects/{a['id']}", {"parent_id": None})
    third = await revision(alice)
    await make(alice, "below a", parent_id=a["id"])
    assert_problem(await alice.post(f"/changes/{third}/undo"), 409, "undo_conflict")  # a fourth level
    d = await make(alice, "d")
    await alice.patch(f"/projects/{c['id']}", {"parent_id": d["id"]})
    await alice.delete(f"/projects/{c['id']}")
    number = await revision(alice)
    await alice.delete(f"/projects/{d['id']}")
    assert_problem(await alice.post(f"/changes/{number}/undo"), 409, "undo_conflict")  # inside of a deleted one


async def test_a_batch_makes_a_tree_and_names_what_it_has_made(alice: Person) -> None:
    operations = [
        {"operation": "create_project", "arguments": {"uid": "area", "name": "Area"}},
        {"operation": "put_project", "arguments": {"project_uid": "p", "name": "P", "parent_uid": "area"}},
        {"operation": "create_project", "arguments": {"uid": "part", "name": "Part", "parent_uid": "p"}},
        {"operation": "update_project", "arguments": {"project_uid": "part", "parent_uid": "area", "favorite": True}},
        {"operation": "create_task", "arguments": {"title": "x", "project_uid": "part"}},
    ]
    answer = await alice.post("/batch", {"operations": operations})
    assert answer.status_code == 200, answer.text
    assert await tree(alice) == {"Area": None, "P": "Area", "Part": "Area"}
    operations = [
        {"operation": "update_project", "arguments": {"project_uid": "area", "archived": True}},
        {"operation": "delete_project", "arguments": {"project_uid": "area"}},
    ]
    assert (await alice.post("/batch", {"operations": operations})).status_code == 200
    assert (await tree(alice), await tree(alice, "false")) == ({"P": None, "Part": None}, {})
    assert (await alice.post(f"/changes/{await revision(alice)}/undo")).status_code == 200
    assert await tree(alice, "false") == {"Area": None, "P": "Area", "Part": "Area"}
    circle = [
        {"operation": "update_project", "arguments": {"project_uid": "p", "parent_uid": "part"}},
        {"operation": "update_project", "arguments": {"project_uid": "part", "parent_uid": "p"}},
    ]
    body = assert_problem(await alice.post("/batch", {"operations": circle}), 422, "unknown_reference")
    assert body["errors"][0]["loc"] == ["body", "operations", 1, "arguments", "parent_id"]
    assert await tree(alice) == {"Area": None, "P": "Area", "Part": "Area"}


async def test_two_changes_of_a_place_from_one_version_conflict(alice: Person) -> None:
    area, project, _ = await family(alice)
    other = await make(alice, "Other")
    path, base = f"/projects/{project['id']}", project["version"]
    await alice.patch(path, {"parent_id": other["id"], "color": "#112233"})
    answer = await alice.patch(path, {"parent_id": None, "base_version": base})
    assert [each["field"] for each in assert_problem(answer, 409, "field_conflict")["conflicts"]] == ["parent_id"]
    merged = (await alice.patch(path, {"parent_id": area["id"], "name": "Mine", "base_version": base})).json()
    assert (merged["parent_id"], merged["name"], merged["color"]) == (other["id"], "Mine", "#112233")


async def test_an_empty_trash_deletes_a_tree_permanently(alice: Person, sql: Any) -> None:
    area, _, _ = await family(alice)
    await alice.delete(f"/projects/{area['id']}?subprojects=trash")
    assert (await alice.delete("/tasks/trash")).status_code == 204
    assert await sql.fetchval("select count(*) from projects where user_id = $1", alice.subject) == 0


@pytest.mark.parametrize("backwards", [False, True])
async def test_an_export_is_imported_with_its_tree(alice: Person, bob: Person, backwards: bool) -> None:
    area, project, part = await family(alice)
    await alice.patch(f"/projects/{part['id']}", {"favorite": True})
    await alice.add("x", project_id=part["id"])
    document = json.loads(await exported(alice))
    if backwards:  # the parents come last
        for row, position in zip(document["projects"], "cba", strict=True):
            row["position"] = position
    dry = await imported(bob, json.dumps(document), JSON, "?dry_run=true")
    report = await imported(bob, json.dumps(document), JSON)
    assert (report["created"], report["warned"]) == (dry["created"], 0)
    assert await tree(bob) == {"Area": None, "Project": "Area", "Part": "Project"}
    (task,) = (await bob.get("/tasks")).json()
    found = (await bob.get(f"/projects/{task['project_id']}")).json()
    assert (found["name"], found["favorite"]) == ("Part", True)
    again = await imported(bob, json.dumps(document), JSON)
    assert (again["created"]["projects"], again["skipped"]["projects"]) == (0, 3)
    assert [row["name"] for row in (area, project)] == ["Area", "Project"]


async def test_no_file_makes_a_tree_that_requests_cannot(alice: Person) -> None:
    deleted = "2020-01-01T00:00:00Z"
    rows = [
        {"id": 1, "name": "a", "parent_id": 3},
        {"id": 2, "name": "b", "parent_id": 1},
        {"id": 3, "name": "c", "parent_id": 2},
        {"id": 4, "name": "gone", "deleted_at": deleted},
        {"id": 5, "name": "in gone", "parent_id": 4},
        {"id": 6, "name": "also gone", "parent_id": 4, "deleted_at": deleted},
        {"id": 7, "name": "lost", "parent_id": 99},
        {"id": 8, "name": "itself", "parent_id": 8},
        {"id": 9, "name": "1"},
        {"id": 10, "name": "2", "parent_id": 9, "favorite": "yes"},
        {"id": 11, "name": "3", "parent_id": 10},
        {"id": 12, "name": "4", "parent_id": 11},
        {"id": 13, "name": "5", "parent_id": 12, "favorite": "perhaps"},
    ]
    document = json.dumps({"format": "todo/1", "user_id": "u", "projects": rows})
    dry = await imported(alice, document, JSON, "?dry_run=true")
    report = await imported(alice, document, JSON)
    assert (report["created"]["projects"], report["failed"]) == (dry["created"]["projects"], 0) == (13, 0)
    found = await tree(alice)
    assert {name: found[name] for name in ("in gone", "lost", "itself")} == dict.fromkeys(("in gone", "lost", "itself"))
    assert (found["2"], found["3"], found["4"], found["5"]) == ("1", "2", "2", "2")
    warned = {(each["row"], each["field"]) for each in report["warnings"]}
    assert warned == {(each["row"], each["field"]) for each in dry["warnings"]}
    assert {(5, "parent_id"), (7, "parent_id"), (8, "parent_id"), (12, "parent_id"), (13, "favorite")} <= warned
    assert (await alice.delete("/tasks/trash")).status_code == 204


async def test_every_list_of_a_user_keeps_to_that_user(alice: Person, bob: Person, app: FastAPI) -> None:
    area, _, _ = await family(alice)
    mine = await make(bob, "Mine")
    assert_problem(await bob.patch(f"/projects/{mine['id']}", {"parent_id": area["id"]}), 422, "unknown_reference")
    assert_problem(await bob.delete(f"/projects/{area['id']}?subprojects=trash"), 404, "project_not_found")
    assert len(await tree(alice)) == 3
    changes = (await bob.get("/changes")).json()["changes"]
    assert {change["data"]["user_id"] for change in changes} == {bob.subject}
