"""Every file in ``files`` comes in as ``expected.json`` says: recognized by its content, in a dry run without a trace,
and only once."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.products.expectations import State, faults
from tests.support import Person

FOLDER = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
SAMPLES = sorted(path.name for path in (FOLDER / "files").iterdir())


async def send(person: Person, content: bytes, media_type: str, query: str = "") -> dict[str, Any]:
    answer = await person.call("POST", f"/import{query}", content=content, headers={"Content-Type": media_type})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in {"dry_run", "revision", "timezone"}}


def test_every_file_is_expected() -> None:
    assert sorted(EXPECTED) == SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_file_comes_in_as_expected(alice: Person, bob: Person, name: str) -> None:
    content, expected = (FOLDER / "files" / name).read_bytes(), EXPECTED[name]
    for person, types in ((alice, expected["types"]), (bob, ["application/octet-stream"])):
        await person.patch("/settings", {"timezone": "Europe/Berlin"})
        for media_type in types:
            planned = await send(person, content, media_type, "?dry_run=true")
            assert (await person.get("/tasks")).json() == []
            assert (await person.get("/projects")).json() == []
        report = await send(person, content, types[0])
        assert comparable(planned) == comparable(report)
        state = await State.read(person, report)
        assert [*faults(state, expected)] == []
        again = await send(person, content, types[0])
        assert {*again["created"].values()} == {0}, again
        assert len((await State.read(person, again)).tasks) == len(state.tasks)
