"""To-dos in the form in which each app writes them: what was put comes back, also what has no field here."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.dav.apps import CalendarApp, unfolded
from tests.support import Person

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.ics"))
STAMPS = ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "PRODID", "CALSCALE", "VERSION")
DEFAULTS = {"STATUS:NEEDS-ACTION", "PERCENT-COMPLETE:0", "PRIORITY:0", "PERCENT-COMPLETE:100"}


def lines_of(text: str) -> Counter[str]:
    """Returns the lines that mean something, without those of time zones."""
    text = re.sub(r"BEGIN:VTIMEZONE.*?END:VTIMEZONE\r?\n", "", unfolded(text), flags=re.DOTALL)
    return Counter(line for line in text.splitlines() if not line.startswith(STAMPS) and line not in DEFAULTS)


@pytest.mark.parametrize("file", SAMPLES, ids=[path.stem for path in SAMPLES])
async def test_all_comes_back(file: Path, phone: CalendarApp, alice: Person) -> None:
    text = file.read_text()
    found = re.search(r"^UID:(.*)$", text, re.MULTILINE)
    assert found is not None
    path = f"{phone.inbox}{found[1]}.ics"
    body = text.replace("\n", "\r\n").encode()
    answer = await phone.call("PUT", path, body, Content_Type="text/calendar")
    assert answer.status_code == 201, answer.text
    sent, given = lines_of(text), lines_of(await phone.get(path))
    uid = (await alice.get("/changes?since=0")).json()["changes"][0]["data"]["uid"]
    if "RECURRENCE-ID" in text:  # whose completed occurrence is a task of its own now
        assert "RRULE:FREQ=DAILY" in given
        return
    assert sent == given
    revision = (await alice.get("/changes?since=0")).json()["next"]
    same = await phone.call("PUT", path, body, Content_Type="text/calendar")
    assert (same.status_code, same.headers["etag"]) == (204, answer.headers["etag"])
    assert (await alice.get("/changes?since=0")).json()["next"] == revision, "it was the same, and was written"
    # Each change of a field leaves the others as they were sent.
    for change, changed in CHANGES:
        assert (await alice.patch(f"/tasks/uid:{uid}", change)).status_code == 200
        after = lines_of(await phone.get(path))
        lost = {line for line in sent - after if not re.match(changed, line)}
        assert lost == set(), change
    assert {line for line in given if line.startswith("BEGIN:")} <= after.keys()


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"title": "Another"}, "SUMMARY"),
    ({"tags": ["another"]}, "SUMMARY|CATEGORIES"),
    ({"priority": "urgent"}, "SUMMARY|CATEGORIES|PRIORITY"),
    ({"description": "Another"}, "SUMMARY|CATEGORIES|PRIORITY|DESCRIPTION"),
    ({"status": "waiting"}, "SUMMARY|CATEGORIES|PRIORITY|DESCRIPTION|STATUS|COMPLETED|PERCENT-COMPLETE"),
]
