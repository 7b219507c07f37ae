"""Daily digests: what they say, when they are due, and that each is sent once."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import FastAPI

from app.domain.digests import DIGEST_TITLES_MAX, DigestContents, DigestPart, DigestTask, digest_of
from app.jobs.digests import DigestJob
from app.jobs.dispatcher import RetrySchedule
from app.jobs.worker import Pace
from app.services.channels.digest_contents import read_digest
from tests.channels.push_service import Browser
from tests.channels.reminding import make_channel, settled, until
from tests.receivers import Receiver, receiving
from tests.support import Person
from tests.workers import PATIENT, make_worker


def noon_zone() -> str:
    """Returns a zone in which it is about noon, so that no test runs over midnight."""
    east = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


async def live_at_noon(person: Person) -> ZoneInfo:
    assert (await person.patch("/settings", {"timezone": noon_zone()})).status_code == 200
    return ZoneInfo(noon_zone())


async def digest_channel(person: Person, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    """Creates a channel with a digest at ten o'clock, unless ``fields`` have another time."""
    body = {"kind": "ntfy", "url": receiver.server_url, "topic": "anna", "digest_time": "10:00"}
    return await make_channel(person, **(body | fields))


async def make_digest_due(sql: Any, channel: dict[str, Any], zone: ZoneInfo, *, days_ago: int = 0) -> datetime:
    """Makes the digest of today, or of an earlier day, one that was not sent; returns when it was due."""
    day = datetime.now(zone).date() - timedelta(days=days_ago)
    due = datetime.combine(day, time.fromisoformat(channel["digest_time"]), zone)
    await sql.execute("update channels set next_digest_at = $2 where id = $1", channel["id"], due)
    return due


async def fill(person: Person, sql: Any, zone: ZoneInfo) -> None:
    """Creates tasks in each part of a digest, and some that are in none."""
    local = datetime.now(zone)
    today, yesterday = local.date(), local.date() - timedelta(days=1)
    await person.add("Overdue day", due_date=str(yesterday))
    await person.add("Overdue hour", due_date=local.replace(hour=0, minute=5).isoformat())
    await person.add("Due all day", due_date=str(today))
    await person.add("Due tonight", due_date=local.replace(hour=23, minute=30).isoformat())
    await person.add("Due tomorrow", due_date=str(today + timedelta(days=1)))
    await person.add("Whenever")
    await person.delete(f"/tasks/{(await person.add('Deleted', due_date=str(today)))['id']}")
    await person.add("Done today", completed=True)
    for title, ago in (("Done yesterday", 1), ("Done before", 2)):
        task = await person.add(title, completed=True)
        moment = datetime.combine(today - timedelta(days=ago), time(23, 59), zone)
        await sql.execute("update tasks set completed_at = $2 where id = $1", task["id"], moment)


def expected_text(zone: ZoneInfo) -> str:
    yesterday = datetime.now(zone) - timedelta(days=1)
    return (
        f"Overdue (2)\n- Overdue day ({yesterday:%a} {yesterday.day} {yesterday:%b %Y})\n- Overdue hour (00:05)\n\n"
        "Due today (2)\n- Due all day\n- Due tonight (23:30)\n\nDone yesterday (1)\n- Done yesterday"
    )


async def test_each_kind_of_channel_gets_the_digest(anna: Person, service: FastAPI, sql: Any) -> None:
    browser = Browser()
    with receiving(lambda _: 201) as ntfy, receiving() as gotify, receiving(lambda _: 200) as apprise:
        zone = await live_at_noon(anna)
        now = f"{datetime.now(zone):%H:%M}"
        with receiving(lambda _: 201) as push:
            channels = [
                await digest_channel(anna, ntfy, digest_time=now),
                await digest_channel(anna, gotify, kind="gotify", topic=None, token="A.x", digest_time=now),
                await digest_channel(anna, apprise, kind="apprise", topic=None, digest_time=now),
                await make_channel(
                    anna, kind="webpush", subscription=browser.subscription(push.server_url), digest_time=now
                ),
            ]
            await fill(anna, sql, zone)
            for channel in channels:
                await sql.execute("update channels set next_digest_at = now() where id = $1", channel["id"])
            async with make_worker(service):
                told = [(await settled(anna, channel))[0] for channel in channels]
            (pushed,) = push.calls
    day = datetime.now(zone)
    title = f"{day:%a} {day.day} {day:%b}: 2 due today, 2 overdue, 1 done yesterday"
    message, url = expected_text(zone), "https://todo.example.com/app/#/today"
    assert ntfy.calls[0].json.items() >= {"title": title, "message": message, "click": url, "priority": 3}.items()
    assert gotify.calls[0].json.items() >= {"title": title, "message": message, "priority": 5}.items()
    assert apprise.calls[0].json.items() >= {"title": title, "body": f"{message}\n{url}"}.items()
    read = browser.read(pushed)
    assert (read["kind"], read["title"], read["text"], read["late"]) == ("digest", title, message, False)
    assert pushed.headers["urgency"] == "normal"
    for channel, each in zip(channels, told, strict=True):
        assert (each["kind"], each["outcome"], each["task_id"], each["day"]) == (
            "digest", "delivered", None, str(day.date())
        )  # fmt: skip
        assert each["message_id"] == f"{channel['id']}-digest-{day.date()}"


async def test_a_digest_is_no_write_and_no_event(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver)
        await fill(anna, sql, zone)
        await make_digest_due(sql, channel, zone)
        before = (await anna.get("/tasks")).headers["x-revision"]
        async with make_worker(service):
            await settled(anna, channel)
        assert (await anna.get("/tasks")).headers["x-revision"] == before
        assert (await anna.get(f"/channels/{channel['id']}")).json() == channel


def test_only_the_first_titles_are_listed() -> None:
    tasks = tuple(DigestTask(f"Task {number} " + "x" * 200, None) for number in range(DIGEST_TITLES_MAX))
    contents = DigestContents(date(2026, 11, 30), DigestPart(), DigestPart(2_345, tasks), DigestPart())
    moment = datetime(2026, 11, 30, 8, tzinfo=UTC)
    told = digest_of("1", contents, due_at=moment, moment=moment, zone=ZoneInfo("UTC"), url="")
    lines = told.text.split("\n")
    assert told.title == "Mon 30 Nov: 2345 due today"
    assert (lines[0], lines[-1], len(lines)) == ("Due today (2345)", "- and 2335 more", DIGEST_TITLES_MAX + 2)
    assert max(map(len, lines)) == 82


async def test_a_digest_with_nothing_to_tell_is_not_sent(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver)
        await anna.add("Whenever")
        await make_digest_due(sql, channel, zone)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["error"], receiver.calls) == ("skipped", "There was nothing to tell.", [])


async def test_three_workers_send_a_digest_once_and_the_next_is_of_another_day(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channels = [await digest_channel(anna, receiver, name=f"c{number}") for number in range(5)]
        await fill(anna, sql, zone)
        for channel in channels:
            due = await make_digest_due(sql, channel, zone)
        async with make_worker(service), make_worker(service), make_worker(service):
            for channel in channels:
                (told,) = await settled(anna, channel)
                assert (told["outcome"], told["attempts"]) == ("delivered", 1)
            await asyncio.sleep(0.6)
        assert len(receiver.calls) == 5
        assert await next_digests(sql, anna) == {due + timedelta(days=1)}
        await sql.execute("update channels set next_digest_at = $2 where user_id = $1", anna.subject, due)
        async with make_worker(service):  # it is made again, and finds that this day has had one
            await until_advanced(sql, anna)
            await asyncio.sleep(0.4)
        assert len(receiver.calls) == 5


async def next_digests(sql: Any, person: Person) -> set[datetime]:
    rows = await sql.fetch("select next_digest_at from channels where user_id = $1", person.subject)
    return {row["next_digest_at"] for row in rows}


async def until_advanced(sql: Any, person: Person) -> None:
    found = "select count(*) from channels where user_id = $1 and next_digest_at <= now()"
    for _ in range(400):
        if await sql.fetchval(found, person.subject) == 0:
            return
        await asyncio.sleep(0.025)
    raise AssertionError("the digests were never made")


async def test_after_an_outage_the_latest_digest_is_sent_once_marked_late(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    """Of four days that were missed; it tells what is true now."""
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver)
        await fill(anna, sql, zone)
        due = await make_digest_due(sql, channel, zone, days_ago=3) + timedelta(days=3)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
            await asyncio.sleep(0.4)
        (call,) = receiver.calls
    late = f"Late: this digest was for {due:%a} {due.day} {due:%b %Y}, 10:00.\n\n"
    assert call.json["message"] == late + expected_text(zone)
    assert (told["day"], datetime.fromisoformat(told["due_at"])) == (str(due.date()), due)
    assert await next_digests(sql, anna) == {due + timedelta(days=1)}


async def test_a_missed_digest_is_left_out_when_the_next_one_is_nearer(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver, digest_time="15:00")
        await fill(anna, sql, zone)
        due = await make_digest_due(sql, channel, zone, days_ago=1)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
    assert told["outcome"] == "skipped"
    assert told["error"] == "It was missed while no worker was running, and the next one is nearer."
    assert (receiver.calls, await next_digests(sql, anna)) == ([], {due + timedelta(days=1)})


async def test_an_outage_of_a_year_takes_no_longer_than_one_of_a_day(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        weekday = f"{datetime.now(zone):%a}".lower()
        channel = await digest_channel(anna, receiver, digest_days=[weekday])
        await fill(anna, sql, zone)
        due = await make_digest_due(sql, channel, zone, days_ago=52 * 7) + timedelta(days=52 * 7)
        async with make_worker(service):
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["day"]) == ("delivered", str(due.date()))
    assert await next_digests(sql, anna) == {due + timedelta(days=7)}


async def test_a_receiver_that_was_down_gets_the_digest_of_the_latest_day_only(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    healthy: list[int] = []
    with receiving(lambda _: 200 if healthy else 503) as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver)
        await fill(anna, sql, zone)
        await make_digest_due(sql, channel, zone)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1000))):
            await until(lambda: receiver.calls)
            await asyncio.sleep(0.2)
        await sql.execute("update deliveries set day = day - 1 where user_id = $1", anna.subject)
        healthy.append(1)
        await make_digest_due(sql, channel, zone)
        await sql.execute("update deliveries set next_attempt_at = now() where user_id = $1", anna.subject)
        await DigestJob(service.state.database).enqueue_due(0)
        async with make_worker(service):
            old, new = await settled(anna, channel, 2)
    assert (old["outcome"], old["error"]) == ("skipped", "The digest of a later day replaced it before it was sent.")
    assert (new["outcome"], len(receiver.calls)) == ("delivered", 2)


@pytest.mark.parametrize("change", [{"active": False}, {"digest_time": None}, None])
@pytest.mark.parametrize("made", [False, True], ids=["before it is due", "before it is sent"])
async def test_a_digest_that_was_switched_off_is_not_sent(
    anna: Person, service: FastAPI, sql: Any, change: dict[str, Any] | None, made: bool
) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver)
        path = f"/channels/{channel['id']}"
        await fill(anna, sql, zone)
        await make_digest_due(sql, channel, zone)
        if made:
            await DigestJob(service.state.database).enqueue_due(0)
        await (anna.delete(path) if change is None else anna.patch(path, change))
        assert await next_digests(sql, anna) == {None}
        async with make_worker(service, pace=PATIENT):
            await asyncio.sleep(0.5)
        outcomes = await sql.fetch("select outcome from deliveries where user_id = $1", anna.subject)
    assert [row["outcome"] for row in outcomes] == (["skipped"] if made else [])
    assert receiver.calls == []


async def test_one_owner_that_fails_does_not_stop_the_digests_of_others(
    anna: Person, bob: Person, service: FastAPI, sql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        other = Person(anna.client, bob.subject)
        await live_at_noon(other)
        broken, fine = await digest_channel(anna, receiver), await digest_channel(other, receiver)
        await sql.execute("update channels set digest_time = 'x' where id = $1", broken["id"])
        await make_digest_due(sql, broken, zone, days_ago=1)
        await fill(other, sql, zone)
        await make_digest_due(sql, fine, zone)
        async with make_worker(service):
            await settled(other, fine)
            await asyncio.sleep(0.5)
        await sql.execute("update channels set digest_time = null, next_digest_at = null where id = $1", broken["id"])
    assert [record.message for record in caplog.records].count("digests could not be made") == 1


async def test_a_new_time_or_zone_sends_no_second_digest_of_a_day(anna: Person, service: FastAPI, sql: Any) -> None:
    with receiving() as receiver:
        zone = await live_at_noon(anna)
        channel = await digest_channel(anna, receiver)
        await fill(anna, sql, zone)
        due = await make_digest_due(sql, channel, zone)
        async with make_worker(service):
            await settled(anna, channel)
            later = await anna.patch(f"/channels/{channel['id']}", {"digest_time": "15:00"})
            assert later.status_code == 200
            today_at_three = due.replace(hour=15)
            assert await next_digests(sql, anna) == {today_at_three}
            await make_digest_due(sql, later.json(), zone)
            await sql.execute("update channels set next_digest_at = now() where user_id = $1", anna.subject)
            await until_advanced(sql, anna)
            await asyncio.sleep(0.4)
        assert len(receiver.calls) == 1


# Where clocks change at midnight, by half an hour, twice in one Ramadan, or not at all.
CHANGING_ZONES = [
    "Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Africa/Casablanca",
    "Asia/Kolkata", "Pacific/Kiritimati",
]  # fmt: skip


def local_days(first: date, count: int) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(count))


@pytest.mark.parametrize("zone", CHANGING_ZONES)
@pytest.mark.parametrize("clock", ["00:00", "00:30", "01:45", "02:30", "08:00", "23:59"])
async def test_each_day_of_a_year_has_one_digest(sql: Any, zone: str, clock: str) -> None:
    """At its time; where the clocks skip that time, as much later as they do."""
    rows = await sql.fetch(
        """
        with recursive d (at) as (
            select next_digest($1, '{mon,tue,wed,thu,fri,sat,sun}', $2, timestamptz '2026-01-01 00:00+14')
            union all select next_digest($1, '{mon,tue,wed,thu,fri,sat,sun}', $2, at) from d
            where at < timestamptz '2027-01-01 00:00+14')
        select at from d order by at""",
        clock,
        zone,
    )
    found = [row["at"].astimezone(ZoneInfo(zone)) for row in rows]
    assert [each.date() for each in found] == list(local_days(found[0].date(), len(found)))
    assert len(found) >= 365
    other = [each for each in found if f"{each:%H:%M}" != clock]
    assert len(other) <= 2
    for each in other:
        wanted = datetime.combine(each.date(), time.fromisoformat(clock), ZoneInfo(zone))
        assert wanted.astimezone(UTC) == each.astimezone(UTC), "the clocks skip it"
        assert wanted.astimezone(UTC).astimezone(ZoneInfo(zone)).time() != wanted.time()


async def test_a_passed_deadline_is_overdue_once(anna: Person, service: FastAPI) -> None:
    today = datetime.now(await live_at_noon(anna)).date()
    yesterday, later = str(today - timedelta(days=1)), str(today + timedelta(days=9))
    rows: dict[str, dict[str, Any]] = {
        "due before": {"due_date": yesterday, "deadline": yesterday},
        "due today": {"due_date": str(today), "deadline": yesterday},
        "due later": {"due_date": later, "deadline": yesterday},
        "never due": {"deadline": yesterday},
        "at its end": {"due_date": str(today), "deadline": str(today)},
        "done": {"deadline": yesterday, "completed": True},
    }
    for title, fields in rows.items():
        await anna.add(title, **fields)
    async with service.state.database.transaction(anna.subject, read_only=True) as session:
        found = await read_digest(session, anna.subject)
    assert {task.title for task in found.overdue.tasks} == {"due before", "due today", "due later", "never due"}
    assert (found.overdue.count, [task.title for task in found.due_today.tasks]) == (4, ["at its end"])
    assert all(task.due is not None for task in found.overdue.tasks)
