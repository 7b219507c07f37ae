"""Quiet hours of a channel: what waits for their end, and what does not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from app.jobs.dispatcher import RetrySchedule
from app.jobs.worker import Pace
from tests.channels.reminding import deliveries, make_channel, remind, settled, tried, until
from tests.receivers import Receiver, receiving
from tests.support import Person
from tests.workers import make_worker


def hours(begin: float, end: float, *, moment: datetime | None = None) -> dict[str, str]:
    """Returns quiet hours by their distance from now, in hours."""
    now = moment or datetime.now(UTC)
    quiet_from, quiet_to = (f"{now + timedelta(hours=each):%H:%M}" for each in (begin, end))
    return {"quiet_from": quiet_from, "quiet_to": quiet_to}


QUIET_NOW, LOUD_NOW = (-1, 1), (1, -1)


async def quiet_channel(person: Person, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    return await make_channel(person, kind="ntfy", url=receiver.server_url, topic="anna", **fields)


async def held_until(person: Person, channel: dict[str, Any]) -> datetime:
    """Waits until a message is held back; returns when it is sent."""
    for _ in range(400):
        found = await deliveries(person, channel)
        if found and (moment := datetime.fromisoformat(found[0]["next_attempt_at"])) > datetime.now(UTC):
            assert found[0]["outcome"] is None
            return moment
        await asyncio.sleep(0.025)
    raise AssertionError("it was not held back")


async def end_quiet_hours(sql: Any, person: Person, channel: dict[str, Any]) -> None:
    """Moves the channel's quiet hours away as time does: nobody writes the channel."""
    later = hours(*LOUD_NOW)
    update = "update channels set quiet_from = $2, quiet_to = $3 where id = $1"
    await sql.execute(update, channel["id"], later["quiet_from"], later["quiet_to"])
    update = "update deliveries set next_attempt_at = now(), not_before = now() where user_id = $1 and outcome is null"
    await sql.execute(update, person.subject)


async def test_reminders_wait_for_the_end_of_quiet_hours_and_say_so(anna: Person, service: FastAPI, sql: Any) -> None:
    local = datetime.now(UTC)
    with receiving() as quiet, receiving() as loud, receiving() as hook:
        held = await quiet_channel(anna, quiet, **hours(*QUIET_NOW, moment=local))
        sent = await quiet_channel(anna, loud, **hours(*LOUD_NOW))
        assert (await anna.post("/webhooks", {"url": hook.url, "events": ["task.reminded"]})).status_code == 201
        for number in range(6):
            task = await remind(sql, anna, f"task {number}")
        async with make_worker(service):
            await settled(anna, sent, 6)
            await until(lambda: len(hook.calls) == 6)  # no one's night's rest
            moment = await held_until(anna, held)
            assert f"{moment:%H:%M}" == hours(*QUIET_NOW, moment=local)["quiet_to"]
            assert timedelta(0) < moment - local <= timedelta(hours=1)
            assert quiet.calls == []
            earlier = "update deliveries set created_at = $2, due_at = $2 where user_id = $1"
            await sql.execute(earlier, anna.subject, datetime.now(UTC) - timedelta(hours=1))
            await end_quiet_hours(sql, anna, held)
            told = await settled(anna, held, 6)
    assert {(each["outcome"], each["attempts"]) for each in told} == {("delivered", 1)}
    (last,) = [call.json for call in quiet.calls if call.json["sequence_id"].endswith(f"-{task['id']}")]
    due = datetime.fromisoformat(told[-1]["due_at"])
    assert last["message"] == f"Held back by quiet hours: this reminder was for {due:%a} {due.day} {due:%b %Y, %H:%M}."
    assert loud.calls[0].json["message"] == "A reminder of this task."


async def test_a_retry_waits_as_well(anna: Person, service: FastAPI, sql: Any) -> None:
    """The receiver was down in the evening, and must not wake anybody when it is up again."""
    with receiving(lambda number: 200 if number else 503) as receiver:
        channel = await quiet_channel(anna, receiver)
        await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1))):
            await until(lambda: receiver.calls)
            assert (await anna.patch(f"/channels/{channel['id']}", hours(*QUIET_NOW))).status_code == 200
            await asyncio.sleep(1.5)
            await held_until(anna, channel)
            assert len(receiver.calls) == 1
            await end_quiet_hours(sql, anna, channel)
            (told,) = await settled(anna, channel)
    assert (told["outcome"], told["attempts"]) == ("delivered", 2)


@pytest.mark.parametrize("change", ["none", "shorter", "zone"])
async def test_what_waits_is_sent_when_quiet_hours_are_changed(
    anna: Person, service: FastAPI, sql: Any, change: str
) -> None:
    with receiving() as receiver:
        channel = await quiet_channel(anna, receiver, **hours(*QUIET_NOW))
        await remind(sql, anna)
        async with make_worker(service):
            await held_until(anna, channel)
            if change == "zone":
                answer = await anna.patch("/settings", {"timezone": "Etc/GMT-5"})
            else:
                body = {"quiet_from": None, "quiet_to": None} if change == "none" else hours(-2, -0.5)
                answer = await anna.patch(f"/channels/{channel['id']}", body)
            assert answer.status_code == 200
            (told,) = await settled(anna, channel)
    assert (told["outcome"], len(receiver.calls)) == ("delivered", 1)


async def test_longer_quiet_hours_hold_back_what_waits(anna: Person, service: FastAPI, sql: Any) -> None:
    now = datetime.now(UTC)
    with receiving() as receiver:
        channel = await quiet_channel(anna, receiver, **hours(*QUIET_NOW, moment=now))
        await remind(sql, anna)
        async with make_worker(service):
            first = await held_until(anna, channel)
            longer = hours(-1, 3, moment=now)
            assert (await anna.patch(f"/channels/{channel['id']}", longer)).status_code == 200
            for _ in range(200):
                if (moment := await held_until(anna, channel)) != first:
                    break
                await asyncio.sleep(0.025)
    assert f"{moment:%M}" == f"{first:%M}"
    assert (moment - first, receiver.calls) == (timedelta(hours=2), [])


@pytest.mark.parametrize("late", [False, True])
async def test_a_digest_is_sent_at_its_time_and_waits_when_it_is_late(
    anna: Person, service: FastAPI, sql: Any, late: bool
) -> None:
    with receiving() as receiver:
        now = datetime.now(UTC)
        channel = await quiet_channel(anna, receiver, **hours(*QUIET_NOW), digest_time=f"{now:%H:%M}")
        await anna.add("Pay the rent", due_date="2020-01-01")
        due = now - timedelta(minutes=10 if late else 0)
        await sql.execute("update channels set next_digest_at = $2 where id = $1", channel["id"], due)
        if late:  # before this minute, so that the digest of this minute is not due as well
            clock = f"{due:%H:%M}"
            await sql.execute("update channels set digest_time = $2 where id = $1", channel["id"], clock)
        async with make_worker(service):
            if not late:
                assert (await settled(anna, channel))[0]["outcome"] == "delivered"
                return
            await held_until(anna, channel)
            assert receiver.calls == []
            await end_quiet_hours(sql, anna, channel)
            await settled(anna, channel)
    assert receiver.calls[0].json["message"].startswith("Late: this digest was for ")


async def test_quiet_hours_of_each_night_do_not_keep_a_message_for_ever(
    anna: Person, service: FastAPI, sql: Any
) -> None:
    with receiving(lambda _: 503) as receiver:
        channel = await quiet_channel(anna, receiver, **hours(*LOUD_NOW))
        await remind(sql, anna)
        async with make_worker(service, pace=Pace(poll=0.1, remind=0.1, retry=RetrySchedule(first=1000))):
            await tried(anna, channel, 1)
            for number, (days, outcome) in enumerate(((1, None), (3, "failed")), 2):
                await sql.execute(
                    """update deliveries set created_at = now() - make_interval(days => $2::int), not_before = now(),
                       next_attempt_at = now() where user_id = $1""",
                    anna.subject, days,
                )  # fmt: skip
                told = await tried(anna, channel, number)
                assert (told["outcome"], told["attempts"], len(receiver.calls)) == (outcome, number, number)
