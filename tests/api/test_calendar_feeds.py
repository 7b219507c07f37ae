"""Calendar feeds: a URL with a token of its own that opens one calendar, until it is revoked."""

import logging
import uuid
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import icalendar
import pytest
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]

from app.services.calendar_feeds import MAX_FEEDS
from app.services.transfer.formats.ics import vtimezone
from tests.support import Person, assert_problem


async def subscribe(person: Person, **fields: Any) -> dict[str, Any]:
    answer = await person.post("/calendar", fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def read(client: httpx.AsyncClient, url: str) -> Any:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/calendar")
    calendar = icalendar.Calendar.from_ical(answer.text)
    assert calendar.errors == []
    return calendar


async def test_a_calendar_feed_contains_open_tasks_with_a_due_date(
    alice: Person, client: httpx.AsyncClient, sql: Any
) -> None:
    await alice.add("Day", due_date="2090-07-01")
    moment = await alice.add("Moment", due_date="2090-07-01T09:00:00Z")
    await alice.add("Some day")
    await alice.add("Done", due_date="2090-07-01", completed=True)
    await sql.execute("update users set timezone = 'Europe/Berlin' where id = $1", alice.subject)
    await sql.execute(
        "update tasks set recurrence = 'FREQ=WEEKLY;UNTIL=20901231', anchor_at = due_at where id = $1", moment["id"]
    )
    made = await subscribe(alice, name="phone")
    assert made["url"] == f"http://test/api/{alice.subject}/calendar.ics?token={made['token']}"
    calendar = await read(client, made["url"])
    assert str(calendar["X-WR-CALNAME"]) == "phone"
    events = {str(event["SUMMARY"]): event for event in calendar.walk("VEVENT")}
    assert events.keys() == {"Day", "Moment"}
    assert events["Day"]["DTSTART"].dt == date(2090, 7, 1)
    assert events["Moment"]["DTSTART"].dt == datetime(2090, 7, 1, 11, tzinfo=ZoneInfo("Europe/Berlin"))
    assert events["Moment"]["RRULE"]["UNTIL"] == [datetime(2090, 12, 31, 22, 59, 59, tzinfo=ZoneInfo("UTC"))]
    todos = (await read(client, made["url"] + "&kind=todo")).walk("VTODO")
    assert {str(todo["SUMMARY"]) for todo in todos} == {"Day", "Moment", "Some day"}


def shown(calendar: Any, component: str, limit: int = 5) -> list[str]:
    """Returns the first dates at which a calendar shows its only series."""
    master, *moved = sorted(calendar.walk(component), key=lambda found: "RECURRENCE-ID" in found)
    start = master["DTSTART"].dt
    local = start.replace(tzinfo=None) if isinstance(start, datetime) else datetime.combine(start, datetime.min.time())
    dates = list(islice(rrulestr(master["RRULE"].to_ical().decode(), dtstart=local), limit + len(moved)))
    for other in moved:
        due = other["DUE" if component == "VTODO" else "DTSTART"].dt
        instead = other["RECURRENCE-ID"].dt
        if isinstance(due, datetime):
            instead, due = instead.replace(tzinfo=None), due.astimezone(start.tzinfo).replace(tzinfo=None)
        else:
            instead, due = (datetime.combine(day, datetime.min.time()) for day in (instead, due))
        dates.remove(instead)
        dates.append(due)
    return [f"{found:%m-%dT%H:%M}".removesuffix("T00:00") for found in sorted(dates)[:limit]]


@pytest.mark.parametrize(
    ("recurrence", "due", "change", "expected"),
    [
        ("FREQ=MONTHLY", "2090-01-31", {}, ["02-28", "03-31", "04-30", "05-31", "06-30"]),
        ("FREQ=MONTHLY", "2090-01-30", {}, ["02-28", "03-30", "04-30", "05-30", "06-30"]),
        ("FREQ=YEARLY", "2092-02-29", {}, ["02-28", "02-28", "02-28", "02-29", "02-28"]),
        ("FREQ=WEEKLY;INTERVAL=2", "2090-01-02", {"due_date": "2090-01-26"},
         ["01-26", "01-30", "02-13", "02-27", "03-13"]),
        ("FREQ=WEEKLY;INTERVAL=2", "2090-01-02", {"due_date": "2090-01-14"},
         ["01-14", "01-16", "01-30", "02-13", "02-27"]),
        ("FREQ=DAILY;COUNT=3", "2090-01-02", {}, ["01-03", "01-04"]),
        ("FREQ=DAILY;UNTIL=20900104", "2090-01-02", {"due_date": "2090-01-05"}, ["01-05"]),
        ("FREQ=DAILY", "2090-01-02T08:00:00Z", {"due_date": "2090-01-03T10:00:00Z"},
         ["01-03T11:00", "01-04T09:00", "01-05T09:00", "01-06T09:00", "01-07T09:00"]),
    ],
)  # fmt: skip
async def test_a_calendar_feed_shows_a_series_on_its_own_days(
    alice: Person, client: httpx.AsyncClient, recurrence: str, due: str, change: dict[str, str], expected: list[str]
) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "Europe/Berlin"})
    task = await alice.add("Series", due_date=due, recurrence=recurrence)
    assert (await alice.post(f"/tasks/{task['id']}/skip", {})).status_code == 200
    if change:
        assert (await alice.call("PATCH", f"/tasks/{task['id']}", json=change)).status_code == 200
    url = (await subscribe(alice))["url"]
    assert shown(await read(client, url), "VEVENT") == expected
    assert shown(await read(client, url + "&kind=todo"), "VTODO") == expected


async def test_the_time_zone_of_a_calendar_feed_is_computed_once(
    alice: Person, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "America/St_Johns"})
    url = (await subscribe(alice))["url"]
    vtimezone.vtimezone_lines.cache_clear()
    computed, changes = [], vtimezone._changes

    def counted(start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        computed.append(zone)
        return changes(start, zone)

    monkeypatch.setattr(vtimezone, "_changes", counted)
    for _ in range(3):
        assert len((await read(client, url)).walk("VTIMEZONE")) == 1
    assert len(computed) == 1


async def test_an_unchanged_calendar_feed_returns_304(alice: Person, client: httpx.AsyncClient) -> None:
    url = (await subscribe(alice))["url"]
    etag = (await client.get(url)).headers["etag"]
    unchanged = await client.get(url, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (await client.get(url + "&kind=todo", headers={"If-None-Match": etag})).status_code == 200
    await alice.add("x", due_date="2090-01-01")
    assert (await client.get(url, headers={"If-None-Match": etag})).status_code == 200


async def test_a_calendar_feed_opens_only_with_its_token_until_revoked(
    alice: Person, bob: Person, client: httpx.AsyncClient
) -> None:
    made, other = await subscribe(alice, name="phone"), await subscribe(bob)
    path = f"/api/{alice.subject}/calendar.ics"
    assert_problem(await client.get(path), 401, "token_missing")
    for token in ("x", other["token"], made["token"][:-1], made["token"] + "x", "%00", "%F0%9F%98%80"):
        assert_problem(await client.get(f"{path}?token={token}"), 401, "calendar_token_invalid")
    for user in ("me", "nobody", "x" * 300, "a%00b", "%0A", bob.subject):
        answer = await client.get(f"/api/{user}/calendar.ics?token={made['token']}", headers=alice.headers)
        assert_problem(answer, 401, "calendar_token_invalid")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert_problem(await client.get(f"/api/{alice.subject}/tasks", headers=bearer), 401)
    listed = (await alice.get("/calendar")).json()
    assert listed == [{name: made[name] for name in ("id", "name", "created_at")}]
    assert_problem(await bob.delete(f"/calendar/{made['id']}"), 404, "calendar_not_found")
    assert (await client.get(made["url"])).status_code == 200
    assert (await alice.delete(f"/calendar/{made['id']}")).status_code == 204
    assert_problem(await client.get(made["url"]), 401, "calendar_token_invalid")
    assert_problem(await alice.delete(f"/calendar/{made['id']}"), 404, "calendar_not_found")


async def test_calendar_feeds_are_limited_per_user(alice: Person) -> None:
    for number in range(MAX_FEEDS):
        await subscribe(alice, name=str(number))
    assert_problem(await alice.post("/calendar", {}), 409, "too_many_calendars")


async def test_the_feed_token_is_neither_stored_nor_logged(
    alice: Person, client: httpx.AsyncClient, sql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="app"):
        made = await subscribe(alice)
        await client.get(made["url"])
    rows = await sql.fetch("select t::text from calendar_feeds t where user_id = $1", alice.subject)
    assert len(rows) == 1
    assert made["token"] not in str([tuple(row) for row in rows])
    assert made["token"] not in str([record.__dict__ for record in caplog.records])


async def test_a_calendar_feed_is_refused_when_its_account_is_disabled(client: httpx.AsyncClient, sql: Any) -> None:
    body = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    account = (await client.post("/api/auth/register", json=body)).json()
    headers = {"Authorization": f"Bearer {account['access_token']}"}
    url = (await client.post("/api/me/calendar", json={}, headers=headers)).json()["url"]
    await read(client, url)
    disable = "update accounts set disabled_at = case when $2 then now() end where user_id = $1"
    await sql.execute(disable, account["user"]["id"], True)
    assert_problem(await client.get(url), 401, "calendar_token_invalid")
    await sql.execute(disable, account["user"]["id"], False)
    await read(client, url)
