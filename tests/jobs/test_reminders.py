"""Reminders: their times, that each fires once, and their notifications."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.db.database import NO_OWNER, WORKER_ROLE
from app.jobs.reminders import ReminderJob
from app.main import create_app
from app.models.task_reminders import REMINDERS_MAX
from app.services.tasks.reminders import find_upcoming, fire_reminders
from tests.receivers import receiving
from tests.servers import events, running
from tests.support import Person, assert_problem
from tests.workers import make_worker


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def soon(**delta: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**delta)


async def move_to_zone(sql: Any, person: Person, zone: str) -> None:
    await person.add("so that there is a row")
    await sql.execute("update users set timezone = $2 where id = $1", person.subject, zone)


@pytest.mark.parametrize(
    ("due", "reminder", "moment"),
    [
        ("2090-07-01T09:00:00Z", "-PT30M", "2090-07-01T08:30:00Z"),
        ("2090-07-01T09:00:00Z", "PT0S", "2090-07-01T09:00:00Z"),
        ("2090-07-01T09:00:00Z", "+P1W", "2090-07-08T09:00:00Z"),
        ("2090-07-01", "PT9H", "2090-07-01T07:00:00Z"),
        ("2090-07-01", "-P1D", "2090-06-29T22:00:00Z"),
        ("2090-07-01", "-PT15H", "2090-06-30T07:00:00Z"),
        # In Berlin clocks go forward on 26 March 2090 and back on 29 October.
        ("2090-03-26", "PT9H", "2090-03-26T07:00:00Z"),
        ("2090-03-26T07:00:00Z", "-P1D", "2090-03-25T08:00:00Z"),
        ("2090-03-26T07:00:00Z", "-PT24H", "2090-03-25T07:00:00Z"),
        ("2090-03-26T01:10:00Z", "-PT30M", "2090-03-26T00:40:00Z"),
        ("2090-10-29T08:00:00Z", "-P1DT1H", "2090-10-28T06:00:00Z"),
        (None, "2090-07-01T09:00", "2090-07-01T07:00:00Z"),
        (None, "2090-07-01T09:00:00+01:00", "2090-07-01T08:00:00Z"),
        (None, "-P1D", None),
        ("2020-07-01", "-P1D", None),
    ],
)
async def test_remind_at_is_computed_from_due_date_and_reminder(
    alice: Person, sql: Any, due: str | None, reminder: str, moment: str | None
) -> None:
    await move_to_zone(sql, alice, "Europe/Berlin")
    assert (await alice.add(due_date=due, reminders=[reminder]))["remind_at"] == moment


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("-pt90m", "-PT1H30M"), ("P2W", "P14D"), ("-P1DT0H", "-P1D"), ("PT0M", "PT0S"), ("-PT0S", "PT0S"),
        ("+PT10S", "PT10S"), ("PT86400S", "PT24H"), ("-P0DT5M", "-PT5M"),
        ("2090-01-01 10:00+02:00", "2090-01-01T08:00:00Z"), ("2090-01-01T08:00:00.50Z", "2090-01-01T08:00:00.500000Z"),
        ("2090-01-01T08:00", "2090-01-01T08:00:00Z"),
    ],
)  # fmt: skip
async def test_reminders_are_normalized(alice: Person, sent: str, kept: str) -> None:
    assert (await alice.add(reminders=[sent, kept]))["reminders"] == [kept]


@pytest.mark.parametrize(
    "wrong",
    ["", "P", "PT", "-P1DT", "P1M", "P1Y", "P1.5D", "PT1H1D", "P367D", "PT99999999S", "2090-01-01", "2090-13-01T00:00Z",
     "1800-01-01T00:00Z", "tomorrow", "P-1D", "\u0660", "P1D\n", "P" + "1" * 63, 5, None, ["P1D"]],
)  # fmt: skip
async def test_an_invalid_reminder_is_refused(alice: Person, wrong: Any) -> None:
    body = assert_problem(await alice.post("/tasks", {"title": "x", "reminders": [wrong]}), 422)
    assert body["errors"][0]["loc"][:3] == ["body", "reminders", 0]
    task = await alice.add()
    assert_problem(await alice.patch(f"/tasks/{task['id']}", {"reminders": [wrong]}), 422)


async def test_reminders_are_limited_per_task(alice: Person) -> None:
    many = [f"-PT{n}M" for n in range(1, REMINDERS_MAX + 2)]
    assert_problem(await alice.post("/tasks", {"title": "x", "reminders": many}), 422)
    assert len((await alice.add(reminders=many[1:]))["reminders"]) == REMINDERS_MAX


async def test_remind_at_follows_due_date_and_completion(alice: Person) -> None:
    task = await alice.add(due_date="2090-07-01T09:00:00Z", reminders=["-P1D", "-PT30M", "2090-06-01T00:00:00Z"])
    path = f"/tasks/{task['id']}"
    assert task["remind_at"] == "2090-06-01T00:00:00Z"

    async def after(change: dict[str, Any]) -> Any:
        return (await alice.patch(path, change)).json()["remind_at"]

    assert await after({"reminders": ["-PT30M", "-P1D"]}) == "2090-06-30T09:00:00Z"
    assert await after({"due_date": "2091-07-01T09:00:00Z"}) == "2091-06-30T09:00:00Z"
    assert await after({"due_date": None}) is None
    assert await after({"due_date": "2090-01-02", "title": "b"}) == "2090-01-01T00:00:00Z"
    assert await after({"completed": True}) is None
    assert await after({"due_date": "2090-01-03"}) is None
    assert await after({"completed": False}) == "2090-01-02T00:00:00Z"
    assert (await alice.patch(f"{path}/complete")).json()["remind_at"] is None
    assert (await alice.patch(f"{path}/complete", {"completed": False})).json()["remind_at"] == "2090-01-02T00:00:00Z"
    await alice.delete(path)
    assert (await alice.get("/tasks/trash")).json()[0]["remind_at"] is None
    assert (await alice.post(f"{path}/restore")).json()["remind_at"] == "2090-01-02T00:00:00Z"
    assert await after({"reminders": None}) is None
    assert (await alice.get(path)).json()["reminders"] == []


async def test_undo_recomputes_remind_at(alice: Person) -> None:
    task = await alice.add(due_date="2090-07-02", reminders=["-P1D"])
    done = (await alice.patch(f"/tasks/{task['id']}/complete")).json()
    assert done["remind_at"] is None
    assert (await alice.post(f"/changes/{done['version']}/undo")).status_code == 200
    assert (await alice.get(f"/tasks/{task['id']}")).json()["remind_at"] == "2090-07-01T00:00:00Z"


async def test_a_new_time_zone_moves_reminders_relative_to_a_day(alice: Person, sql: Any) -> None:
    day = {"due_date": "2090-07-01", "reminders": ["PT9H"]}
    moved, instant = await alice.add("day", **day), await alice.add("instant", reminders=["2090-07-01T09:00:00Z"])
    at = await alice.add("at", due_date="2090-07-01T09:00:00Z", reminders=["-PT30M"])
    done, gone = await alice.add("done", **day), await alice.add("gone", **day)
    await alice.patch(f"/tasks/{done['id']}/complete")
    await alice.delete(f"/tasks/{gone['id']}")
    late = await make_due(sql, alice, hours=1)
    before = int((await alice.get("/tasks")).headers["x-revision"])
    assert (await alice.patch("/settings", {"timezone": "Asia/Tokyo"})).status_code == 200
    (change,) = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert (change["revision"], change["entity_id"], change["action"]) == (before + 1, moved["id"], "updated")
    assert change["data"] == {**moved, "remind_at": "2090-07-01T00:00:00Z", "version": before + 1}
    assert (await alice.get(f"/tasks/{moved['id']}")).json() == change["data"]
    for task in (instant, at):
        assert (await alice.get(f"/tasks/{task['id']}")).json() == task
    assert datetime.fromisoformat((await alice.get(f"/tasks/{late['id']}")).json()["remind_at"]) < soon()
    await alice.patch("/settings", {"timezone": "Asia/Tokyo"})
    assert (await alice.get("/tasks")).headers["x-revision"] == str(before + 1)


async def make_due(sql: Any, person: Person, **ago: float) -> dict[str, Any]:
    """Creates a task with a reminder that should have fired a while ago, and one in the future."""
    passed = soon() - timedelta(**ago)
    task = await person.add("Call mum", reminders=[iso(passed), "2090-01-01T00:00:00Z"])
    await sql.execute("update tasks set remind_at = $2 where id = $1", task["id"], passed)
    return task


async def put_unchanged(person: Person, task: dict[str, Any]) -> None:
    assert (await person.call("PUT", f"/tasks/{task['id']}", json=task)).status_code == 200


async def set_open(person: Person, task: dict[str, Any]) -> None:
    assert (await person.patch(f"/tasks/{task['id']}/complete", {"completed": False})).status_code == 200


async def change_all(person: Person, task: dict[str, Any]) -> None:
    body = {"ids": [task["id"]], "action": "update", "change": {"due_date": task["due_date"], "priority": "low"}}
    assert (await person.post("/tasks/bulk", body)).status_code == 200


async def undo_an_edit(person: Person, task: dict[str, Any]) -> None:
    edited = (await person.patch(f"/tasks/{task['id']}", {"title": "b"})).json()
    assert (await person.post(f"/changes/{edited['version']}/undo")).status_code == 200


@pytest.mark.parametrize("write", [put_unchanged, set_open, change_all, undo_an_edit])
async def test_a_late_reminder_survives_a_write_that_does_not_change_it(
    alice: Person, app: FastAPI, sql: Any, write: Callable[[Person, dict[str, Any]], Awaitable[None]]
) -> None:
    task = await make_due(sql, alice, hours=3)
    await write(alice, task)
    await ReminderJob(app.state.database).fire_due(0)
    assert [change["entity_id"] for change in await reminded(alice)] == [task["id"]]


ANOTHER = "2090-02-01T00:00:00Z"


@pytest.mark.parametrize(
    "change",
    [
        {"due_date": "2090-03-01"},
        {"due_date": None},
        {"reminders": [ANOTHER, ...]},
        {"due_date": "2090-03-01", "reminders": [..., "-P1D"]},
    ],
)
@pytest.mark.parametrize("many", [False, True])
async def test_a_late_reminder_that_is_kept_fires_despite_other_changes(
    alice: Person, app: FastAPI, sql: Any, change: dict[str, Any], many: bool
) -> None:
    task = await make_due(sql, alice, hours=3)
    if "reminders" in change:
        change = {**change, "reminders": [task["reminders"][0] if r is ... else r for r in change["reminders"]]}
    if many:
        body = {"ids": [task["id"]], "action": "update", "change": change}
        assert (await alice.post("/tasks/bulk", body)).status_code == 200
    else:
        assert (await alice.patch(f"/tasks/{task['id']}", change)).status_code == 200
    await ReminderJob(app.state.database).fire_due(0)
    await ReminderJob(app.state.database).fire_due(0)
    assert [(c["entity_id"], c["through"]) for c in await reminded(alice)] == [(task["id"], "reminder:late")]


async def test_a_late_reminder_survives_an_undo_that_restores_others(alice: Person, app: FastAPI, sql: Any) -> None:
    task = await make_due(sql, alice, hours=3)
    edited = (await alice.patch(f"/tasks/{task['id']}", {"reminders": [task["reminders"][0]]})).json()
    assert (await alice.post(f"/changes/{edited['version']}/undo")).status_code == 200
    await ReminderJob(app.state.database).fire_due(0)
    assert [change["entity_id"] for change in await reminded(alice)] == [task["id"]]


async def remove_reminder(person: Person, path: str, task: dict[str, Any]) -> Any:
    return await person.patch(path, {"reminders": task["reminders"][1:]})


async def move(person: Person, path: str, task: dict[str, Any]) -> Any:
    return await person.patch(path, {"due_date": "2090-03-01"})


async def snooze(person: Person, path: str, task: dict[str, Any]) -> Any:
    return await person.post(f"{path}/snooze", {"minutes": 10})


async def complete_task(person: Person, path: str, task: dict[str, Any]) -> Any:
    return await person.patch(f"{path}/complete")


async def complete_in_bulk(person: Person, path: str, task: dict[str, Any]) -> Any:
    return await person.post("/tasks/bulk", {"ids": [task["id"]], "action": "complete"})


async def skip(person: Person, path: str, task: dict[str, Any]) -> Any:
    return await person.post(f"{path}/skip")


@pytest.mark.parametrize("write", [remove_reminder, move, snooze, complete_task, complete_in_bulk, skip])
@pytest.mark.parametrize("relative", [False, True])
async def test_a_late_reminder_that_was_removed_moved_or_snoozed_does_not_fire(
    alice: Person, app: FastAPI, sql: Any, write: Callable[..., Awaitable[Any]], relative: bool
) -> None:
    passed = soon() - timedelta(hours=3)
    reminders = ["PT0S" if relative else iso(passed), "2090-01-01T00:00:00Z"]
    task = await alice.add("Bins", due_date=iso(passed), recurrence="FREQ=YEARLY", reminders=reminders)
    await sql.execute("update tasks set remind_at = $2 where id = $1", task["id"], passed)
    assert (await write(alice, f"/tasks/{task['id']}", task)).status_code == 200
    await ReminderJob(app.state.database).fire_due(0)
    fires = write is move and not relative  # an instant does not move with the due date
    assert len(await reminded(alice)) == fires


async def reminded(person: Person) -> list[dict[str, Any]]:
    return [change for change in (await person.get("/changes")).json()["changes"] if change["action"] == "reminded"]


async def wait_for(person: Person, count: int) -> list[dict[str, Any]]:
    for _ in range(200):
        if len(found := await reminded(person)) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("no reminder fired")


async def test_a_reminder_fires_once_and_states_whether_it_is_late(
    alice: Person, bob: Person, app: FastAPI, sql: Any
) -> None:
    late, on_time = await make_due(sql, alice, hours=3), await make_due(sql, alice, seconds=1)
    other = await make_due(sql, bob, days=2)
    gone, done = await make_due(sql, alice, seconds=1), await make_due(sql, alice, seconds=1)
    await alice.delete(f"/tasks/{gone['id']}")
    await alice.patch(f"/tasks/{done['id']}/complete")
    await asyncio.gather(*(ReminderJob(app.state.database).fire_due(0) for _ in range(3)))  # as many workers
    found = {change["entity_id"]: change for change in await reminded(alice)}
    assert found.keys() == {late["id"], on_time["id"]}
    assert found[late["id"]]["through"] == "reminder:late"
    assert found[on_time["id"]]["through"] == "reminder"
    assert [change["entity_id"] for change in await reminded(bob)] == [other["id"]]
    task = (await alice.get(f"/tasks/{late['id']}")).json()
    assert task["remind_at"] == "2090-01-01T00:00:00Z"
    assert found[late["id"]]["data"] == task
    assert task["updated_at"] == late["updated_at"]
    revisions = [change["revision"] for change in (await alice.get("/changes")).json()["changes"]]
    assert revisions == list(range(1, len(revisions) + 1))  # the losing workers took no revision


async def test_remind_at_of_a_completed_task_is_cleared_without_firing(alice: Person, app: FastAPI, sql: Any) -> None:
    done = await make_due(sql, alice, seconds=1)
    await sql.execute("update tasks set completed = true, completed_at = now() where id = $1", done["id"])
    await ReminderJob(app.state.database).fire_due(0)
    assert await reminded(alice) == []
    assert await sql.fetchval("select remind_at from tasks where id = $1", done["id"]) is None


async def test_reminders_due_together_are_one_write(alice: Person, app: FastAPI, sql: Any) -> None:
    for _ in range(3):
        await make_due(sql, alice, seconds=1)
    await ReminderJob(app.state.database).fire_due(0)
    found = await reminded(alice)
    assert len(found) == 3
    assert len({change["revision"] for change in found}) == 1


async def test_firing_reminders_that_are_not_due_takes_no_revision(alice: Person, app: FastAPI) -> None:
    task = await alice.add(reminders=["2090-01-01T00:00:00Z"])
    async with app.state.database.transaction(alice.subject) as session:
        assert await fire_reminders(session, alice.subject, [task["id"]], late=False) == 0
    assert (await alice.get("/tasks")).headers["x-revision"] == "1"


async def test_a_fired_reminder_cannot_be_undone_but_earlier_changes_can(alice: Person, app: FastAPI, sql: Any) -> None:
    task = await make_due(sql, alice, seconds=1)
    edited = (await alice.patch(f"/tasks/{task['id']}", {"title": "Call dad"})).json()
    await ReminderJob(app.state.database).fire_due(0)
    (change,) = await reminded(alice)
    body = assert_problem(await alice.post(f"/changes/{change['revision']}/undo"), 409, "undo_conflict")
    assert "cannot be undone" in body["detail"]
    assert (await alice.post(f"/changes/{edited['version']}/undo")).status_code == 200
    assert (await alice.get(f"/tasks/{task['id']}")).json()["title"] == "Call mum"


async def test_a_reminder_failure_of_one_user_does_not_affect_others(
    alice: Person, bob: Person, app: FastAPI, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_due(sql, alice, hours=2)
    await make_due(sql, bob, hours=1)
    fire = fire_reminders

    async def failing(session: Any, owner: str, ids: list[int], *, late: bool) -> int:
        if owner == alice.subject:
            raise RuntimeError("of this owner only")
        return await fire(session, owner, ids, late=late)

    monkeypatch.setattr("app.jobs.reminders.fire_reminders", failing)
    worker = ReminderJob(app.state.database)
    await worker.fire_due(0)
    assert len(await reminded(bob)) == 1
    assert alice.subject in worker._set_aside.owners()
    async with app.state.database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
        found = await find_upcoming(session, NO_OWNER, without=worker._set_aside.owners())
    assert alice.subject not in {each.owner for each in found}


@pytest.mark.one_server("reads the plan of one server")
async def test_the_query_for_due_reminders_reads_an_index_in_order(sql: Any) -> None:
    await sql.execute("set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off")
    plan = "\n".join(
        row[0]
        for row in await sql.fetch(
            "explain select user_id, id, remind_at from tasks where remind_at is not null order by remind_at limit 500"
        )
    )
    assert "tasks_by_remind_at" in plan
    assert "Sort" not in plan


@pytest.fixture(scope="module")
async def service(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings.model_copy(update={"webhooks_allow_private": True, "worker": "off"}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.mark.slow
async def test_webhooks_and_streams_send_reminders_in_time(service: FastAPI, postgres: ConnectOptions) -> None:
    with receiving() as receiver, running(postgres.dsn, WORKER="off") as server:
        async with (
            asyncio.timeout(20),
            httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://test") as client,
            server.person(f"user-{uuid.uuid4().hex}") as watcher,
        ):
            anna = Person(client, watcher.subject)
            hook = {"url": receiver.url, "events": ["task.reminded"]}
            assert (await anna.post("/webhooks", hook)).status_code == 201
            async with (
                make_worker(service) as worker,
                events(watcher) as stream,
            ):
                hint = service.state.database.on_commit

                def tell(owner: str) -> None:
                    hint(owner)
                    worker.webhooks.changed([owner])

                service.state.database.on_commit = tell
                due = datetime.now(UTC) + timedelta(seconds=1.2)
                task = await anna.add("Tea", due_date=iso(due), reminders=["PT0S"])
                await wait_for(anna, 1)
                assert timedelta(0) <= datetime.now(UTC) - due < timedelta(seconds=4)
                for _ in range(500):
                    if receiver.calls:
                        break
                    await asyncio.sleep(0.02)
                event = await stream.next()
                while event.name != "task.reminded":
                    event = await stream.next()
            assert event.data["data"]["id"] == task["id"]
            assert event.data["through"] == "reminder"
            assert receiver.calls[0].json["type"] == "task.reminded"
            assert receiver.calls[0].json["data"] == event.data
            assert len(receiver.calls) == 1


async def test_snoozing_adds_a_reminder(alice: Person, app: FastAPI, sql: Any) -> None:
    task = await make_due(sql, alice, hours=1)
    path = f"/tasks/{task['id']}/snooze"
    before = soon()
    body = (await alice.post(path, {"minutes": 10})).json()
    moment = datetime.fromisoformat(body["remind_at"])
    assert timedelta(minutes=10) <= moment - before < timedelta(minutes=11)
    assert body["reminders"] == ["2090-01-01T00:00:00Z", body["remind_at"]]  # the passed one was replaced
    later = (await alice.post(path, {"until": "2089-01-01T09:00:00+01:00"})).json()
    assert later["reminders"][-1] == "2089-01-01T08:00:00Z"
    assert later["remind_at"] == body["remind_at"]
    stale = await alice.post(path, {"minutes": 5}, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "version_conflict")


async def test_a_local_snooze_time_is_in_the_users_zone(alice: Person, sql: Any) -> None:
    await move_to_zone(sql, alice, "America/New_York")
    task = await alice.add()
    until = {"until": "2090-01-01T09:00"}
    assert (await alice.post(f"/tasks/{task['id']}/snooze", until)).json()["remind_at"] == "2090-01-01T14:00:00Z"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "validation_error"),
        ({"minutes": 5, "until": "2090-01-01T00:00:00Z"}, 422, "validation_error"),
        ({"minutes": 0}, 422, "validation_error"),
        ({"minutes": "5"}, 422, "validation_error"),
        ({"minutes": 10**9}, 422, "validation_error"),
        ({"until": "2090-01-01"}, 422, "validation_error"),
        ({"until": "2020-01-01T00:00:00Z"}, 422, "reminder_passed"),
    ],
)
async def test_an_invalid_snooze_time_is_refused(alice: Person, body: dict[str, Any], status: int, code: str) -> None:
    assert_problem(await alice.post(f"/tasks/{(await alice.add())['id']}/snooze", body), status, code)


async def test_a_task_that_cannot_take_a_reminder_is_not_snoozed(alice: Person) -> None:
    done = await alice.add(completed=True)
    assert_problem(await alice.post(f"/tasks/{done['id']}/snooze", {"minutes": 5}), 409, "task_completed")
    full = await alice.add(reminders=[f"-PT{n}M" for n in range(REMINDERS_MAX)])
    assert_problem(await alice.post(f"/tasks/{full['id']}/snooze", {"minutes": 5}), 409, "too_many_reminders")
    assert_problem(await alice.post("/tasks/999999/snooze", {"minutes": 5}), 404, "task_not_found")


async def test_completing_a_series_moves_its_reminder_and_clears_those_of_subtasks(alice: Person) -> None:
    due = {"due_date": "2090-07-01", "reminders": ["PT9H"]}
    series = await alice.add("Bins", recurrence="FREQ=DAILY", **due)
    assert series["remind_at"] == "2090-07-01T09:00:00Z"
    after = (await alice.patch(f"/tasks/{series['id']}/complete")).json()
    assert (after["due_date"], after["remind_at"]) == ("2090-07-02", "2090-07-02T09:00:00Z")
    kept = [task for task in (await alice.get("/tasks?status=completed")).json() if task["series_id"] == series["id"]]
    assert [task["remind_at"] for task in kept] == [None]
    parent = await alice.add("Party")
    child = await alice.add("Invite", parent_id=parent["id"], **due)
    await alice.patch(f"/tasks/{parent['id']}/complete")
    assert (await alice.get(f"/tasks/{child['id']}")).json()["remind_at"] is None
    await alice.patch(f"/tasks/{child['id']}", {"completed": False})
    await alice.delete(f"/tasks/{parent['id']}")
    assert {task["remind_at"] for task in (await alice.get("/tasks/trash")).json()} == {None}
    await alice.post(f"/tasks/{parent['id']}/restore")
    assert (await alice.get(f"/tasks/{child['id']}")).json()["remind_at"] == "2090-07-01T09:00:00Z"
