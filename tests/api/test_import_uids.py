"""Uids in files: exports hold them, imports keep them and find rows by them, in every format."""

import json
from hashlib import sha256
from typing import Any

import pytest

from tests.api.test_transfer import CSV, ICS, JSON, exported, imported
from tests.support import Person

ODD_UID = "a b/\u00e4"


async def uids_of(person: Person) -> dict[str, str]:
    return {task["title"]: task["uid"] for task in (await person.get("/tasks?limit=100")).json()}


async def fill(person: Person) -> None:
    await person.post("/projects", {"name": "Home", "uid": "home"})
    await person.add("parent", uid="p", project_uid="home")
    await person.add("child", parent_uid="p")
    await person.add("water", uid="s", due_date="2030-01-01", recurrence="FREQ=DAILY")
    await person.post("/tasks/uid:p/comments", {"body": "x", "uid": "c"})
    await person.post("/views", {"name": "v", "parameters": {"parent_uid": "p"}, "uid": "v"})
    await person.patch("/tasks/uid:s/complete")


@pytest.mark.parametrize(("format_", "kind"), [("json", JSON), ("csv", CSV), ("ics", ICS)])
async def test_a_file_keeps_uids_in_another_account_and_adds_nothing_to_the_same(
    alice: Person, bob: Person, format_: str, kind: dict[str, str]
) -> None:
    await fill(alice)
    document = await exported(alice, format_)
    again = await imported(alice, document, kind)
    assert sum(again["created"].values()) == 0, again
    report = await imported(bob, document, kind)
    assert (report["failed"], report["warned"]) == (0, 0), report
    theirs, mine = [
        {task["id"]: task for task in (await person.get("/tasks?limit=100")).json()} for person in (alice, bob)
    ]
    assert sorted(task["uid"] for task in mine.values()) == sorted(task["uid"] for task in theirs.values())
    child = next(task for task in mine.values() if task["title"] == "child")
    assert mine[child["parent_id"]]["uid"] == "p"
    if format_ == "json":
        for path in ("/projects/uid:home", "/views/uid:v", "/tasks/uid:p/comments/uid:c"):
            assert (await bob.get(path)).status_code == 200
    assert sum((await imported(bob, document, kind))["created"].values()) == 0


async def test_a_row_is_found_by_its_uid_before_its_source_id(alice: Person) -> None:
    task = await alice.add("mine", uid="u")
    rows: list[dict[str, Any]] = [
        {"title": "elsewhere", "source_id": "other:1", "uid": "u", "id": 1},
        {"title": "below", "id": 2, "uid": "new", "parent_id": 1},
        {"title": "twice", "id": 3, "uid": "new"},
        {"title": "wrong", "id": 4, "uid": "no uid"},
    ]
    document = json.dumps({"format": "todo/1", "user_id": "other", "tasks": rows})
    for dry_run in ("?dry_run=true", ""):
        answer = await alice.call("POST", f"/import{dry_run}", content=document, headers=JSON)
        report = answer.json()
        assert (report["skipped"]["tasks"], report["failed"], report["warned"]) == (2, 0, 2)
        twice, wrong = sorted(report["warnings"], key=lambda warning: int(warning["row"]))
        assert (twice["field"], twice["value"], wrong["field"]) == ("id", "twice", "uid")
    tasks = {each["title"]: each for each in (await alice.get("/tasks")).json()}
    assert tasks.keys() == {"mine", "below", "wrong"}
    assert (tasks["below"]["parent_id"], tasks["below"]["uid"]) == (task["id"], "new")
    # In the trash it is still there; deleted permanently it is not.
    await alice.delete("/tasks/uid:new")
    assert (await imported(alice, document, JSON))["created"]["tasks"] == 0
    await alice.delete("/tasks/trash")
    assert (await imported(alice, document, JSON))["created"]["tasks"] == 1


@pytest.mark.parametrize("between", [0, 2000])
async def test_a_row_with_the_id_of_an_earlier_one_is_named(alice: Person, between: int) -> None:
    """In the same batch and in a later one: as a dry run reports it. An equal row is only skipped."""
    rows: list[dict[str, Any]] = [{"title": "first", "id": 1}, {"title": "first", "id": 1}]
    rows += [{"title": "other", "id": 20_000 + number} for number in range(between)]
    rows += [{"title": "second", "id": 1}, {"title": "first", "id": 1}, {"title": "kept", "id": 2, "uid": "u"}]
    rows += [{"title": "other", "id": 40_000 + number} for number in range(between)]
    rows += [{"title": "of its uid", "id": 3, "uid": "u"}]
    document = json.dumps({"format": "todo/1", "user_id": "other", "tasks": rows})
    dry = await imported(alice, document, JSON, "?dry_run=true")
    report = await imported(alice, document, JSON)
    assert {**dry, "dry_run": False, "revision": report["revision"]} == report
    assert (report["created"]["tasks"], report["skipped"]["tasks"]) == (2 + 2 * between, 4)
    assert [(warning["field"], warning["value"]) for warning in report["warnings"]] == [
        ("id", "second"), ("id", "of its uid"),
    ]  # fmt: skip
    again = await imported(alice, document, JSON)
    assert (again["created"]["tasks"], again["warned"]) == (0, 0)


async def test_a_calendar_uid_that_is_no_uid_is_hashed_and_written_as_it_was(alice: Person, bob: Person) -> None:
    todo = "BEGIN:VTODO\r\nUID:{}\r\nSUMMARY:{}\r\n{}END:VTODO\r\n"
    rows = todo.format(ODD_UID, "odd", "") + todo.format("plain@example.com", "plain", f"RELATED-TO:{ODD_UID}\r\n")
    calendar = f"BEGIN:VCALENDAR\r\n{rows}END:VCALENDAR\r\n"
    await imported(alice, calendar, ICS)
    hashed = f"ical-{sha256(ODD_UID.encode()).hexdigest()[:32]}"
    assert await uids_of(alice) == {"odd": hashed, "plain": "plain@example.com"}
    document = (await exported(alice, "ics")).replace("\r\n ", "")
    assert f"UID:{ODD_UID}\r\n" in document
    assert f"RELATED-TO:{ODD_UID}\r\n" in document
    assert "UID:plain@example.com\r\n" in document
    assert (await imported(alice, document, ICS))["created"]["tasks"] == 0
    await imported(bob, document, ICS)
    assert await uids_of(bob) == await uids_of(alice)


async def test_a_calendar_refers_to_tasks_that_are_not_in_it_by_uid(alice: Person) -> None:
    parent = await alice.add("parent", uid="p")
    todo = "BEGIN:VTODO\r\nUID:new\r\nSUMMARY:child\r\nRELATED-TO:p\r\nEND:VTODO\r\n"
    report = await imported(alice, f"BEGIN:VCALENDAR\r\n{todo}END:VCALENDAR\r\n", ICS)
    assert (report["created"]["tasks"], report["warned"]) == (1, 0)
    assert (await alice.get("/tasks/uid:new")).json()["parent_id"] == parent["id"]


async def test_a_table_without_source_ids_refers_by_uid(alice: Person) -> None:
    parent = await alice.add("parent", uid="p")
    table = "uid,title,parent\nnew,child,p\nbelow,grandchild,new\n,other,below\nnew,twice,\na/b,wrong,\n"
    report = await imported(alice, table, CSV)
    assert (report["created"]["tasks"], report["skipped"]["tasks"], report["warned"]) == (4, 1, 2)
    named = {(each["uid"], each["field"], each["value"]) for each in report["warnings"]}
    assert named == {("a/b", "uid", "a/b"), ("new", "id", "twice")}
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert (tasks["child"]["uid"], tasks["child"]["parent_id"]) == ("new", parent["id"])
    assert (tasks["grandchild"]["uid"], tasks["grandchild"]["parent_id"]) == ("below", tasks["child"]["id"])
    assert tasks["other"]["parent_id"] == tasks["grandchild"]["id"]
    assert sum((await imported(alice, table, CSV))["created"].values()) == 0


async def test_a_feed_has_the_uids(alice: Person) -> None:
    await alice.add("a", uid="mine", due_date="2030-01-01")
    feed = (await alice.post("/calendar", {"name": "phone"})).json()
    for kind in ("event", "todo"):
        answer = await alice.client.get(
            f"{feed['url'].partition('/api')[1]}{feed['url'].partition('/api')[2]}&kind={kind}"
        )
        assert "UID:mine\r\n" in answer.text
