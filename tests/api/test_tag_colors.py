"""Colours of tags: set, carried by a rename, merged, deleted with their tag, synced, exported."""

import asyncio
import json
from typing import Any

import pytest

from tests.api.test_transfer import JSON, exported, imported
from tests.api.test_undo import undo
from tests.support import Person, assert_problem

RED, BLUE, GREEN = "#aa0000", "#0000aa", "#00aa00"


async def colors(person: Person) -> dict[str, str | None]:
    return {tag["name"]: tag["color"] for tag in (await person.get("/tags")).json()}


async def paint(person: Person, name: str, color: str | None) -> None:
    answer = await person.patch(f"/tags/{name}", {"color": color})
    assert (answer.status_code, answer.json()["color"]) == (200, color)


async def snapshot(person: Person) -> dict[str, str]:
    """Returns the colours of a new client's replica."""
    rows = (await person.get("/changes?snapshot=true")).json()["changes"]
    return {row["data"]["name"]: row["data"]["color"] for row in rows if row["entity"] == "tag"}


async def last_write(person: Person) -> list[tuple[str, str]]:
    revision = int((await person.get("/tasks?limit=1")).headers["x-revision"])
    changes = (await person.get(f"/changes?since={revision - 1}")).json()["changes"]
    return [(change["entity"], change["action"]) for change in changes]


async def test_a_tag_gets_a_colour_and_loses_it(alice: Person, bob: Person) -> None:
    await alice.add(tags=["home", "work"])
    await bob.add(tags=["home"])
    answer = await alice.patch("/tags/home", {"color": "#AA0000"})
    assert answer.json() == {"name": "home", "count": 1, "open": 1, "color": RED}
    revision = answer.headers["x-revision"]
    assert (await alice.patch("/tags/home", {"color": RED})).status_code == 200  # as it is: no write
    assert (await alice.get("/tasks")).headers["x-revision"] == revision
    assert await last_write(alice) == [("tag", "created")]
    await paint(alice, "home", BLUE)
    assert await last_write(alice) == [("tag", "updated")]
    assert await colors(alice) == {"home": BLUE, "work": None}
    assert (await colors(bob), await snapshot(bob)) == ({"home": None}, {})
    await paint(alice, "home", None)
    assert await last_write(alice) == [("tag", "deleted")]
    assert (await colors(alice), await snapshot(alice)) == ({"home": None, "work": None}, {})
    await undo(alice, int((await alice.get("/tasks")).headers["x-revision"]))
    assert await snapshot(alice) == {"home": BLUE}


@pytest.mark.parametrize("body", [{}, {"name": None}, {"color": "red"}, {"color": 3}, {"merge": True}, {"colour": RED}])
async def test_an_invalid_change_of_a_tag_is_refused(alice: Person, body: dict[str, Any]) -> None:
    await alice.add(tags=["home"])
    assert_problem(await alice.patch("/tags/home", body), 422, "validation_error")


async def test_a_tag_that_nobody_has_gets_no_colour(alice: Person, bob: Person) -> None:
    await bob.add(tags=["home"])
    await paint(bob, "home", RED)
    assert_problem(await alice.patch("/tags/home", {"color": RED}), 404, "tag_not_found")
    assert_problem(await alice.delete("/tags/home"), 404, "tag_not_found")
    assert await snapshot(bob) == {"home": RED}


async def test_a_rename_carries_the_colour_in_the_same_write(alice: Person) -> None:
    task = await alice.add(tags=["home"])
    await paint(alice, "home", RED)
    await alice.patch("/tags/home", {"name": "house"})
    assert (await colors(alice), await snapshot(alice)) == ({"house": RED}, {"house": RED})
    assert sorted(await last_write(alice)) == [("tag", "updated"), ("task", "updated")]
    await undo(alice, int((await alice.get("/tasks")).headers["x-revision"]))
    assert await colors(alice) == {"home": RED}
    renamed = await alice.patch("/tags/home", {"name": "flat", "color": GREEN})
    assert renamed.json() == {"name": "flat", "count": 1, "open": 1, "color": GREEN}
    await alice.patch("/tags/flat", {"name": "hut", "color": None})
    assert (await colors(alice), await snapshot(alice)) == ({"hut": None}, {})
    await alice.patch(f"/tasks/{task['id']}", {"tags": []})
    assert await colors(alice) == {}


@pytest.mark.parametrize(
    ("source", "target", "kept"), [(RED, BLUE, BLUE), (RED, None, RED), (None, BLUE, BLUE), (None, None, None)]
)
async def test_a_merge_keeps_the_colour_of_the_target(
    alice: Person, source: str | None, target: str | None, kept: str | None
) -> None:
    await alice.add(tags=["a"])
    await alice.add(tags=["b"])
    for name, color in (("a", source), ("b", target)):
        if color:
            await paint(alice, name, color)
    before = await colors(alice)
    await alice.patch("/tags/a", {"name": "b", "merge": True})
    assert await colors(alice) == {"b": kept}
    assert list((await snapshot(alice)).values()) == [kept] * (kept is not None)
    await undo(alice, int((await alice.get("/tasks")).headers["x-revision"]))
    assert await colors(alice) == before


async def test_a_deleted_tag_loses_its_colour_and_gets_it_back_by_an_undo(alice: Person) -> None:
    await alice.add(tags=["home"])
    await paint(alice, "home", RED)
    assert (await alice.delete("/tags/home")).status_code == 204
    assert (await colors(alice), await snapshot(alice)) == ({}, {})
    assert sorted(await last_write(alice)) == [("tag", "deleted"), ("task", "updated")]
    number = int((await alice.get("/tasks")).headers["x-revision"])
    await undo(alice, number)
    assert await colors(alice) == {"home": RED}
    await alice.delete("/tags/home")
    await alice.add(tags=["home"])
    await paint(alice, "home", BLUE)
    conflict = await alice.post(f"/changes/{number + 2}/undo")  # there is another one of this name
    assert_problem(conflict, 409, "undo_conflict")
    assert await colors(alice) == {"home": BLUE}


async def test_a_colour_stays_while_no_task_has_its_tag(alice: Person) -> None:
    task = await alice.add(tags=["home"])
    await paint(alice, "home", RED)
    await alice.patch(f"/tasks/{task['id']}", {"tags": []})
    assert (await colors(alice), await snapshot(alice)) == ({}, {"home": RED})
    await alice.add(tags=["home"])
    assert await colors(alice) == {"home": RED}
    await alice.add(tags=["Home"])  # another tag
    assert await colors(alice) == {"home": RED, "Home": None}


async def test_concurrent_colours_of_one_tag_make_one_row(alice: Person) -> None:
    await alice.add(tags=["home"])
    wanted = [f"#0000{number:02x}" for number in range(10)]
    answers = await asyncio.gather(*(alice.patch("/tags/home", {"color": color}) for color in wanted))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await snapshot(alice)) == 1


async def test_colours_are_set_in_a_batch(alice: Person) -> None:
    operations = [
        {"operation": "create_task", "arguments": {"title": "x", "tags": ["a", "b"]}},
        {"operation": "rename_tag", "arguments": {"tag": "a", "color": RED}},
        {"operation": "rename_tag", "arguments": {"tag": "a", "name": "c"}},
        {"operation": "rename_tag", "arguments": {"tag": "c", "color": BLUE}},
    ]
    answer = await alice.post("/batch", {"operations": operations})
    assert answer.status_code == 200, answer.text
    assert await colors(alice) == {"b": None, "c": BLUE}
    assert sorted(await last_write(alice)) == [("tag", "created"), ("task", "created")]


async def test_a_file_brings_colours_with_it(alice: Person, bob: Person) -> None:
    await alice.add(tags=["home", "x y"])
    await paint(alice, "home", RED)
    document = json.loads(await exported(alice))
    assert [(row["name"], row["color"]) for row in document["tags"]] == [("home", RED)]
    document["tags"] += [
        {"name": "x y", "color": BLUE.upper()},
        {"name": "no colour"},
        {"name": "n" * 60, "color": GREEN},
        {"name": "home", "color": GREEN},
    ]
    dry = await imported(bob, json.dumps(document), JSON, "?dry_run=true")
    report = await imported(bob, json.dumps(document), JSON)
    assert (report["created"], report["skipped"]) == (dry["created"], dry["skipped"])
    assert (report["created"]["tags"], report["skipped"]["tags"], report["failed"]) == (3, 1, 1)
    assert await colors(bob) == {"home": RED, "x y": BLUE}
    assert (await imported(bob, json.dumps(document), JSON))["created"]["tags"] == 0
