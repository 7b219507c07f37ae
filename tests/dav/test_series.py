"""The ways in which apps say that an occurrence of a series is done, skipped or moved."""

from typing import Any

import pytest

from tests.dav.apps import CalendarApp, calendar, new_uid, todo
from tests.support import Person

DAILY = ("SUMMARY:Feed the cat", "DTSTART;VALUE=DATE:20270104", "DUE;VALUE=DATE:20270104", "RRULE:FREQ=DAILY")


async def rows_of(alice: Person) -> list[tuple[str, bool, bool]]:
    """Returns the due date of each task, whether it is completed, and whether it recurs."""
    tasks: list[Any] = (await alice.get("/tasks?limit=200")).json()
    return sorted((task["due_date"], task["completed"], task["recurrence"] is not None) for task in tasks)


ONCE_DONE = [("2027-01-04", True, False), ("2027-01-05", False, True)]
TWICE_DONE = [("2027-01-04", True, False), ("2027-01-05", True, False), ("2027-01-06", False, True)]


@pytest.fixture
def path(phone: CalendarApp) -> str:
    return f"{phone.inbox}{new_uid()}.ics"


def uid_of(path: str) -> str:
    return path.rsplit("/", 1)[1].removesuffix(".ics")


def override(uid: str, day: str, *lines: str) -> list[str]:
    return [
        "BEGIN:VTODO", f"UID:{uid}", "DTSTAMP:20270104T100000Z", f"RECURRENCE-ID;VALUE=DATE:{day}",
        "SUMMARY:Feed the cat", *lines, "END:VTODO",
    ]  # fmt: skip


def master(uid: str, *lines: str) -> list[str]:
    return ["BEGIN:VTODO", f"UID:{uid}", "DTSTAMP:20270104T100000Z", *(lines or DAILY), "END:VTODO"]


DONE = ("STATUS:COMPLETED", "COMPLETED:20261130T000000Z")


async def test_by_the_status_of_the_series(phone: CalendarApp, alice: Person, path: str) -> None:
    await phone.put(path, *DAILY)
    answer = await phone.put(path, *DAILY, "STATUS:COMPLETED")
    assert answer.status_code == 204
    assert "etag" not in answer.headers, "the app must read it again"
    assert await rows_of(alice) == ONCE_DONE
    text = await phone.get(path)
    assert "DUE;VALUE=DATE:20270105" in text
    assert "RRULE:FREQ=DAILY" in text
    assert "STATUS:COMPLETED" not in text


@pytest.mark.parametrize("here_first", [True, False])
async def test_an_occurrence_is_done_once(phone: CalendarApp, alice: Person, path: str, here_first: bool) -> None:
    """An app sends a completion again whose response it lost, or one of an occurrence that was also completed here."""
    await phone.put(path, *DAILY)
    done = (*DAILY, "STATUS:COMPLETED", "COMPLETED:20261130T000000Z", "PERCENT-COMPLETE:100")
    if here_first:
        await alice.patch(f"/tasks/uid:{uid_of(path)}/complete", {"completed": True})
    for _ in range(2):
        assert (await phone.put(path, *done)).status_code == 204
        assert await rows_of(alice) == ONCE_DONE
    text = await phone.get(path)
    assert "DUE;VALUE=DATE:20270105" in text
    assert "STATUS:COMPLETED" not in text
    # It has read the series, and completes the next one.
    moved = [line.replace("20270104", "20270105") for line in done]
    await phone.put(path, *moved)
    assert await rows_of(alice) == TWICE_DONE


@pytest.mark.parametrize("by_override", [True, False])
async def test_an_occurrence_keeps_when_it_was_done(
    phone: CalendarApp, alice: Person, path: str, by_override: bool
) -> None:
    await phone.put(path, *DAILY)
    done = ("STATUS:COMPLETED", "COMPLETED:20261101T080000Z")
    if by_override:
        body = calendar(master(uid_of(path)), override(uid_of(path), "20270104", *done))
    else:
        body = todo(uid_of(path), *DAILY, *done)
    assert (await phone.call("PUT", path, body)).status_code == 204
    tasks = (await alice.get("/tasks?status=completed")).json()
    assert [task["completed_at"] for task in tasks] == ["2026-11-01T08:00:00Z"]


async def test_a_title_from_before_a_completion_moves_nothing_back(
    phone: CalendarApp, alice: Person, path: str
) -> None:
    await phone.put(path, *DAILY)
    await alice.patch(f"/tasks/uid:{uid_of(path)}/complete", {"completed": True})
    await phone.put(path, "SUMMARY:Feed the cats", *DAILY[1:])
    assert await rows_of(alice) == ONCE_DONE
    text = await phone.get(path)
    assert "SUMMARY:Feed the cats" in text
    assert "DUE;VALUE=DATE:20270105" in text
    # With the ETag of the series as it is now, the app wants the date back.
    tag = (await phone.call("GET", path)).headers["etag"]
    assert (await phone.put(path, *DAILY, If_Match=tag)).status_code == 204
    assert await rows_of(alice) == [("2027-01-04", False, True), ("2027-01-04", True, False)]


async def test_by_dates_that_are_the_next_ones(phone: CalendarApp, alice: Person, path: str) -> None:
    await phone.put(path, *DAILY)
    moved = [line.replace("20270104", "20270105") for line in DAILY]
    await phone.put(path, *moved)
    assert await rows_of(alice) == ONCE_DONE
    await phone.put(path, *moved)
    assert await rows_of(alice) == ONCE_DONE, "the same again changes nothing"
    await phone.put(path, *[line.replace("20270104", "20270106") for line in DAILY])
    assert await rows_of(alice) == TWICE_DONE


async def test_other_dates_move_the_series(phone: CalendarApp, alice: Person, path: str) -> None:
    await phone.put(path, *DAILY)
    await phone.put(path, *[line.replace("20270104", "20270120") for line in DAILY])
    assert await rows_of(alice) == [("2027-01-20", False, True)]
    task = (await alice.get(f"/tasks/uid:{uid_of(path)}")).json()
    done = (await alice.patch(f"/tasks/{task['id']}/complete", {"completed": True})).json()
    assert done["due_date"] == "2027-01-21"


async def test_by_a_date_of_its_own_as_thunderbird_says_it(phone: CalendarApp, alice: Person, path: str) -> None:
    uid = uid_of(path)
    await phone.put(path, *DAILY)
    first = calendar(master(uid), override(uid, "20270104", *DONE))
    await phone.call("PUT", path, first)
    assert await rows_of(alice) == ONCE_DONE
    await phone.call("PUT", path, first)
    assert await rows_of(alice) == ONCE_DONE, "all overrides come again each time"
    both = calendar(master(uid), override(uid, "20270104", *DONE), override(uid, "20270105", *DONE))
    await phone.call("PUT", path, both)
    assert await rows_of(alice) == TWICE_DONE
    text = await phone.get(path)
    assert text.count("BEGIN:VTODO") == 1
    assert "DUE;VALUE=DATE:20270106" in text


async def test_an_occurrence_keeps_the_text_of_its_own(phone: CalendarApp, alice: Person, path: str) -> None:
    await phone.put(path, *DAILY)
    own = override(uid_of(path), "20270104", *DONE, "DESCRIPTION:She was ill")
    own = ["SUMMARY:Feed the cat twice" if line.startswith("SUMMARY") else line for line in own]
    await phone.call("PUT", path, calendar(master(uid_of(path)), own))
    tasks = (await alice.get("/tasks?sort=due_date&order=asc")).json()
    assert [(task["title"], task["description"]) for task in tasks] == [
        ("Feed the cat twice", "She was ill"),
        ("Feed the cat", None),
    ]


async def test_a_date_that_comes_without_its_series(phone: CalendarApp, alice: Person, path: str) -> None:
    """The series stays: an app that has only one occurrence of it says nothing about the others."""
    uid = uid_of(path)
    await phone.put(path, *DAILY, "X-KEEP:me")
    alone = calendar(override(uid, "20270104", *DONE))
    for _ in range(2):
        answer = await phone.call("PUT", path, alone)
        assert (answer.status_code, answer.headers.get("etag")) == (204, None)
        assert await rows_of(alice) == ONCE_DONE
    text = await phone.get(path)
    assert "RRULE:FREQ=DAILY" in text
    assert "X-KEEP:me" in text


async def test_a_later_date_that_is_done_early_is_kept(phone: CalendarApp, alice: Person, path: str) -> None:
    uid = uid_of(path)
    early = override(uid, "20270105", *DONE)
    await phone.call("PUT", path, calendar(master(uid), early))
    assert await rows_of(alice) == [("2027-01-04", False, True)]
    assert "RECURRENCE-ID;VALUE=DATE:20270105" in await phone.get(path)
    # When the series comes to it, the next write of the app completes it also.
    await phone.call("PUT", path, calendar(master(uid), override(uid, "20270104", *DONE), early))
    assert await rows_of(alice) == TWICE_DONE


async def test_a_date_that_is_moved_or_excluded(phone: CalendarApp, alice: Person, path: str) -> None:
    uid = uid_of(path)
    moved = override(uid, "20270104", "DUE;VALUE=DATE:20270110")
    await phone.call("PUT", path, calendar(master(uid), moved))
    assert await rows_of(alice) == [("2027-01-10", False, True)]
    other = f"{phone.inbox}{new_uid()}.ics"
    await phone.put(other, *DAILY, "EXDATE;VALUE=DATE:20270104")
    assert ("2027-01-05", False, True) in await rows_of(alice)
    assert len(await rows_of(alice)) == 2, "a date that is left out is not completed"


async def test_a_later_date_that_is_excluded_is_passed_over_here_also(
    phone: CalendarApp, alice: Person, path: str
) -> None:
    await phone.put(path, *DAILY, "EXDATE;VALUE=DATE:20270105,20270106")
    task = (await alice.get(f"/tasks/uid:{uid_of(path)}")).json()
    done = (await alice.patch(f"/tasks/{task['id']}/complete", {"completed": True})).json()
    assert done["due_date"] == "2027-01-07"
    timed = f"{phone.inbox}{new_uid()}.ics"
    lines = ("SUMMARY:x", "DTSTART;TZID=Europe/Berlin:20270104T090000", "DUE;TZID=Europe/Berlin:20270104T170000")
    await phone.put(timed, *lines, "RRULE:FREQ=DAILY", "EXDATE;TZID=Europe/Berlin:20270105T090000")
    task = (await alice.get(f"/tasks/uid:{uid_of(timed)}")).json()
    done = (await alice.post(f"/tasks/{task['id']}/skip")).json()
    assert (done["start_date"], done["due_date"]) == ("2027-01-06T08:00:00Z", "2027-01-06T16:00:00Z")
    text = await phone.get(timed)
    assert "DTSTART;TZID=Europe/Berlin:20270106T090000" in text
    assert "DUE;TZID=Europe/Berlin:20270106T170000" in text


@pytest.mark.parametrize("copy_first", [True, False])
async def test_by_a_completed_copy_and_a_series_that_moves(
    phone: CalendarApp, alice: Person, path: str, copy_first: bool
) -> None:
    """As Apple's apps do it; both requests come in either order."""
    await phone.put(path, *DAILY)
    copy = f"{phone.inbox}{new_uid()}.ics"
    requests = [
        (copy, ("SUMMARY:Feed the cat", "DUE;VALUE=DATE:20270104", *DONE)),
        (path, tuple(line.replace("20270104", "20270105") for line in DAILY)),
    ]
    for where, lines in requests if copy_first else reversed(requests):
        assert (await phone.put(where, *lines)).status_code in {201, 204}
    assert await rows_of(alice) == ONCE_DONE
    tasks = (await alice.get("/tasks?status=completed")).json()
    series = (await alice.get(f"/tasks/uid:{uid_of(path)}")).json()
    assert [(task["uid"], task["series_id"]) for task in tasks] == [(uid_of(copy), series["id"])]


async def test_by_a_new_uid_that_carries_the_rule(phone: CalendarApp, alice: Person, path: str) -> None:
    """As todoman does it: the old one is completed and has no rule any more."""
    await phone.put(path, *DAILY)
    await phone.put(path, *DAILY[:3], *DONE)
    await phone.put(f"{phone.inbox}{new_uid()}.ics", *[line.replace("20270104", "20270105") for line in DAILY])
    assert await rows_of(alice) == ONCE_DONE


async def test_a_series_that_is_completed_here_advances_there(phone: CalendarApp, alice: Person, path: str) -> None:
    lines = ("SUMMARY:Feed", "DUE;TZID=America/Chicago:20270104T170000", "RRULE:FREQ=DAILY;COUNT=3", "X-KEEP:me")
    await phone.put(path, *lines)
    task = (await alice.get(f"/tasks/uid:{uid_of(path)}")).json()
    assert task["due_date"] == "2027-01-04T23:00:00Z"
    for _ in range(2):
        await alice.patch(f"/tasks/{task['id']}/complete", {"completed": True})
    text = await phone.get(path)
    assert "DUE;TZID=America/Chicago:20270106T170000" in text
    assert "RRULE:FREQ=DAILY;COUNT=1" in text
    assert "X-KEEP:me" in text
    assert "BEGIN:VTIMEZONE" in text
    found = await phone.list(phone.inbox, "C:calendar-data")
    assert sorted("RRULE" in each.data for each in found.found.values()) == [False, False, True]


async def test_a_rule_that_is_not_known_here_is_kept(phone: CalendarApp, alice: Person, path: str) -> None:
    lines = ("SUMMARY:Drink", "DTSTART:20270104T080000Z", "DUE:20270104T080000Z", "RRULE:FREQ=HOURLY")
    await phone.put(path, *lines)
    assert await rows_of(alice) == [("2027-01-04T08:00:00Z", False, False)]
    await alice.patch(f"/tasks/uid:{uid_of(path)}", {"title": "Drink water"})
    text = await phone.get(path)
    assert "RRULE:FREQ=HOURLY" in text
    assert "SUMMARY:Drink water" in text


async def test_an_undo_brings_the_occurrence_back(phone: CalendarApp, alice: Person, path: str) -> None:
    await phone.call("PUT", path, todo(uid_of(path), *DAILY))
    before = await phone.get(path)
    answer = await phone.put(path, *DAILY, "STATUS:COMPLETED")
    assert (await alice.post(f"/changes/{answer.headers['x-revision']}/undo")).status_code == 200
    assert await rows_of(alice) == [("2027-01-04", False, True)]
    assert await phone.get(path) == before
