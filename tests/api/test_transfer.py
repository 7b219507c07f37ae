"""Export and import: every format in both directions, and files of other programs."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from fastapi import FastAPI

from app.errors import ImportRunning
from app.services.transfer import import_lease
from app.services.transfer.formats.csv import CSV_COLUMNS
from app.services.transfer.import_lease import IMPORT_QUOTA, ImportLease
from tests.support import Person, assert_problem

JSON, CSV, ICS = {"Content-Type": "application/json"}, {"Content-Type": "text/csv"}, {"Content-Type": "text/calendar"}


async def exported(person: Person, kind: str = "json") -> str:
    answer = await person.get(f"/export?format={kind}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="todo.{kind}"'
    return answer.text


async def imported(person: Person, text: str | bytes, headers: dict[str, str], query: str = "") -> dict[str, Any]:
    answer = await person.call("POST", f"/import{query}", content=text, headers=headers)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created"]["tasks"], report["skipped"]["tasks"], report["failed"]


def content(document: str) -> dict[str, Any]:
    """Returns an export without data of its account: ids, and references between rows."""
    found = json.loads(document)
    order = {name: {row["id"]: place for place, row in enumerate(found[name])} for name in ("projects", "tasks")}
    refers = {"project_id": "projects", "parent_id": "tasks", "series_id": "tasks", "task_id": "tasks"}
    kept: dict[str, Any] = {}
    for name in ("projects", "channels", "tags", "tasks", "comments", "views"):
        rows = sorted(found[name], key=lambda row: (row.get("source_id") or "", row["id"]))
        order[name] = {row["id"]: place for place, row in enumerate(rows)}
        kept[name] = rows
    kept["settings"] = [found["settings"]]
    for table_name, rows in kept.items():
        refers["parent_id"] = "projects" if table_name == "projects" else "tasks"
        for row in rows:
            for named in (row, row.get("parameters", {})):
                for field, table in refers.items():
                    if isinstance(named.get(field), int):
                        named[field] = order[table][named[field]]
            if row.get("remind_channels"):
                row["remind_channels"] = [order["channels"][number] for number in row["remind_channels"]]
            row.pop("id", None)
            row.pop("position", None)
    return kept


async def add_sample_data(person: Person, sql: Any) -> None:
    """Creates rows of every entity."""
    await person.add("Inbox", description="a\nb", tags=["x", "y z"], due_date="2090-01-02", reminders=["-P1D"])
    done = await person.add("Done", priority="urgent", due_date="2090-01-02T10:00:00Z")
    await person.patch(f"/tasks/{done['id']}/complete")
    gone = await person.add("Gone")
    await person.delete(f"/tasks/{gone['id']}")
    who = person.subject
    project = await sql.fetchval(
        "insert into projects (user_id, name, color, version) values ($1, 'Home', '#00ff00', 1) returning id", who
    )
    parent, child = await person.add("Parent"), await person.add("Child")
    await sql.execute(
        "update tasks set parent_id = $2, project_id = $3 where id = $1", child["id"], parent["id"], project
    )
    await sql.execute(
        "update tasks set parent_id = $2, project_id = $3 where id = $1", parent["id"], done["id"], project
    )
    await sql.execute("update tasks set project_id = $2 where id = $1", done["id"], project)
    await sql.execute(
        """update tasks set recurrence = 'FREQ=DAILY', anchor_at = due_at, occurrences_done = 3,
           recurrence_from = 'completion' where id = $1""",
        done["id"],
    )
    await sql.execute("update tasks set series_id = $2 where id = $1", gone["id"], done["id"])
    await sql.execute(
        "insert into comments (user_id, task_id, body, version) values ($1, $2, 'why', 1)", who, parent["id"]
    )
    view = {"name": "Mine", "parameters": {"tag": "x", "project_id": project, "parent_id": parent["id"]}}
    assert (await person.post("/views", view)).status_code == 201
    await person.patch("/settings", {"timezone": "Asia/Tokyo"})


async def test_a_json_export_is_imported_without_loss(alice: Person, bob: Person, sql: Any) -> None:
    await add_sample_data(alice, sql)
    document = await exported(alice)
    report = await imported(bob, document, JSON)
    assert report["failed"] == 0, report["errors"]
    assert report["created"] == {"projects": 1, "channels": 0, "tags": 0, "tasks": 5, "comments": 1, "views": 1}
    assert content(await exported(bob)) == content(document)
    first, second = [[task["title"] for task in (await p.get("/tasks?sort=title")).json()] for p in (alice, bob)]
    assert first == second
    again = await imported(bob, document, JSON)
    assert again["skipped"] == report["created"]
    assert sum(again["created"].values()) == 0
    assert again["revision"] == report["revision"]
    assert (report["timezone"], again["timezone"]) == ("Asia/Tokyo", None)
    (view,) = (await bob.get("/views")).json()
    assert view["parameters"]["tag"] == ["x"]
    (project,) = (await bob.get("/projects")).json()
    assert view["parameters"]["project_id"] == project["id"]
    # importing into the first account finds every row in its old place
    home = await imported(alice, await exported(bob), JSON)
    assert home["skipped"] == report["created"]


async def test_a_csv_export_is_imported_into_another_account(alice: Person, bob: Person, sql: Any) -> None:
    await add_sample_data(alice, sql)
    text = await exported(alice, "csv")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["title"] for row in rows] == ["Inbox", "Done", "Parent", "Child"]  # without deleted tasks
    assert rows[0]["reminders"] == "'-P1D"
    assert rows[3]["project"] == "Home"
    report = await imported(bob, text, CSV)
    assert counts(report) == (4, 0, 0), report
    assert report["created"]["projects"] == 1
    back = list(csv.DictReader(io.StringIO(await exported(bob, "csv"), newline="")))
    for one, other in zip(rows, back, strict=True):
        assert one | {"parent": ""} == other | {"parent": ""}
    assert counts(await imported(bob, text, CSV)) == (0, 4, 0)
    assert counts(await imported(alice, text, CSV)) == (0, 4, 0)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "'", "'=", "''", "'a"])
async def test_no_exported_csv_cell_is_a_formula(alice: Person, bob: Person, begin: str) -> None:
    text = f'{begin}cmd|" /C calc"!A0'
    await alice.add("x", description=text, tags=[f"{begin}1,2".strip(), "b"])
    file = await exported(alice, "csv")
    (row,) = csv.DictReader(io.StringIO(file, newline=""))
    for cell in row.values():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    await imported(bob, file, CSV)
    (task,) = (await bob.get("/tasks")).json()
    assert (task["description"], task["tags"]) == (text, [f"{begin}1,2".strip(), "b"])


async def test_a_csv_file_of_a_spreadsheet_is_imported(alice: Person, sql: Any) -> None:
    await alice.add("first")
    await sql.execute("update users set timezone = 'Europe/Berlin' where id = $1", alice.subject)
    text = "\ufeffDue_date,Title,extra,project\r\n2090-07-01T09:00,Buy milk,,home\r\n,Buy milk,,Home\r\n,Buy milk,,\r\n"
    report = await imported(alice, text, CSV)
    assert report["failed"] == 0
    assert report["format"] == "csv"
    tasks = (await alice.get("/tasks?search=milk&sort=created_at")).json()
    assert len(tasks) == 3
    assert {task["due_date"] for task in tasks} == {"2090-07-01T07:00:00Z", None}
    assert len({task["project_id"] for task in tasks if task["project_id"]}) == 1
    assert counts(await imported(alice, text, CSV)) == (0, 3, 0)  # the same rows, recognized by their content
    assert counts(await imported(alice, text + ",Buy milk,,\r\n", CSV)) == (1, 3, 0)


async def test_invalid_rows_are_reported_and_the_others_imported(alice: Person) -> None:
    rows = [
        "title,priority,due_date,reminders,recurrence",
        ",high,,,",
        "fine,,,,",
        "x,huge,someday,soon,",
        "y,,,,FREQ=DAILY",
        "\u200b,,,,",
    ]
    text = "\r\n".join(rows)
    dry = await imported(alice, text, CSV, "?dry_run=true")
    assert (await alice.get("/tasks")).json() == []
    report = await imported(alice, text, CSV)
    assert dry | {"dry_run": False, "revision": 1} == report
    assert counts(report) == (3, 0, 2)
    found = {error["row"]: [each["loc"][0] for each in error["errors"]] for error in report["errors"]}
    assert found == {1: ["title"], 5: ["title"]}
    warned = [(each["row"], each["field"], each["value"]) for each in report["warnings"]]
    assert warned == [
        (3, "priority", "huge"), (3, "due_date", "someday"), (3, "reminders", "soon"), (4, "recurrence", "FREQ=DAILY"),
    ]  # fmt: skip
    assert report["warned"] == 2
    assert sorted(await alice.titles()) == ["fine", "x", "y"]
    assert (await alice.get("/changes")).json()["changes"][0]["through"] == "import"


async def test_a_dry_run_reports_the_same_as_the_import(alice: Person, bob: Person, sql: Any) -> None:
    await add_sample_data(alice, sql)
    for kind, headers in (("json", JSON), ("csv", CSV), ("ics", ICS)):
        file = await exported(alice, kind)
        dry = await imported(bob, file, headers, "?dry_run=true")
        assert (await bob.get("/tasks")).json() == []
        report = await imported(bob, file, headers)
        assert report | {"dry_run": True, "revision": dry["revision"]} == dry
        await bob.client.request("DELETE", "/api/me/tasks/trash", headers=bob.headers)
        for table in ("comments", "tasks", "projects", "views"):
            await sql.execute(f"delete from {table} where user_id = $1", bob.subject)


TODOIST = """\ufeffTYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE
task,Buy milk @errands @home,2 litres,1,1,Ann (1),,tomorrow,en,UTC
task,"Oat, not soy",,4,2,Ann (1),,,en,UTC
note,In the blue box,,,,Ann (1),,,,
,,,,,,,,,
section,Later,,,,,,,,
task,Water plants,,2,1,Ann (1),,every monday,en,UTC
task,Write,,3,1,Ann (1),,when I feel like it,en,UTC
"""


async def test_a_todoist_file_is_imported(alice: Person) -> None:
    report = await imported(alice, TODOIST, CSV)
    assert report["format"] == "todoist"
    assert counts(report) == (4, 0, 0), report
    assert report["created"]["comments"] == 1
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    milk, oat, plants, write = (tasks[title] for title in ("Buy milk", "Oat, not soy", "Water plants", "Write"))
    assert (milk["tags"], milk["priority"], milk["description"]) == (["errands", "home"], "urgent", "2 litres")
    assert date.fromisoformat(milk["due_date"]) > datetime.now(UTC).date()
    assert (oat["parent_id"], oat["priority"]) == (milk["id"], "none")
    assert (plants["recurrence"], plants["tags"], plants["parent_id"]) == ("FREQ=WEEKLY;BYDAY=MO", ["Later"], None)
    assert (write["due_date"], write["description"]) == (None, "Date: when I feel like it")
    assert counts(await imported(alice, TODOIST, CSV)) == (0, 4, 0)


async def test_an_ics_export_is_read_by_a_calendar_library_and_imported(alice: Person, bob: Person, sql: Any) -> None:
    await add_sample_data(alice, sql)
    await alice.add(
        "Line\u2028break; comma, back\\slash", description="ä" * 200 + "\nsecond\nthird", tags=["a,b", "c;d"]
    )
    await sql.execute("update users set timezone = 'Europe/Berlin' where id = $1", alice.subject)
    text = await exported(alice, "ics")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    calendar: Any = icalendar.Calendar.from_ical(text)
    assert calendar.errors == []
    todos = {str(todo["SUMMARY"]): todo for todo in calendar.walk("VTODO")}
    assert len(todos) == 5
    assert todos["Inbox"]["DUE"].dt == date(2090, 1, 2)
    assert todos["Inbox"].walk("VALARM")[0]["TRIGGER"].dt == timedelta(days=-1)
    assert todos["Inbox"].categories == ["x", "y z"]
    done = todos["Done"]
    assert done["DUE"].dt == datetime(2090, 1, 2, 11, tzinfo=ZoneInfo("Europe/Berlin"))
    assert str(done["DUE"].params["TZID"]) == "Europe/Berlin"
    assert done["RRULE"]["FREQ"] == ["DAILY"]
    assert (str(done["STATUS"]), int(done["PRIORITY"])) == ("COMPLETED", 1)
    assert done["COMPLETED"].dt.tzinfo is not None
    assert str(todos["Child"]["RELATED-TO"]) == str(todos["Parent"]["UID"])
    (zone,) = calendar.walk("VTIMEZONE")
    assert zone.to_tz() is not None
    report = await imported(bob, text, ICS)
    assert counts(report) == (5, 0, 0), report
    mine, theirs = [
        {task["title"]: {k: v for k, v in task.items() if k in SAME_FIELDS} for task in (await p.get("/tasks")).json()}
        for p in (alice, bob)
    ]
    assert mine == theirs
    assert counts(await imported(bob, text, ICS)) == (0, 5, 0)


SAME_FIELDS = {
    "title",
    "description",
    "completed",
    "priority",
    "tags",
    "due_date",
    "recurrence",
    "recurrence_from",
    "reminders",
}

FOREIGN = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Other//EN\r
BEGIN:VTIMEZONE\r
TZID:Europe/Berlin\r
BEGIN:STANDARD\r
DTSTART:19701025T030000\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
UID:event\r
SUMMARY:no task\r
END:VEVENT\r
BEGIN:VTODO\r
UID:1@other\r
SUMMARY;LANGUAGE=de:Steuer\\, 2090\r
DESCRIPTION:lang\\n und \r
 gefaltet\r
DUE;TZID="Europe/Berlin":20900731T180000\r
CATEGORIES:a\\,b,c\r
CATEGORIES:d\r
PRIORITY:9\r
BEGIN:VALARM\r
TRIGGER;VALUE=DATE-TIME:20900730T100000Z\r
ACTION:DISPLAY\r
END:VALARM\r
BEGIN:VALARM\r
TRIGGER:-PT15M\r
END:VALARM\r
END:VTODO\r
BEGIN:VTODO\r
SUMMARY:Without a UID\r
STATUS:COMPLETED\r
RELATED-TO;RELTYPE=SIBLING:nobody\r
END:VTODO\r
BEGIN:VTODO\r
UID:3\r
SUMMARY:Orphan\r
RELATED-TO:nobody\r
END:VTODO\r
BEGIN:VTODO\r
UID:4\r
RRULE:FREQ=HOURLY\r
DUE:20900101\r
SUMMARY:Hourly\r
END:VTODO\r
END:VCALENDAR\r
"""


async def test_an_ics_file_of_other_programs_is_imported(alice: Person) -> None:
    report = await imported(alice, FOREIGN, ICS)
    assert counts(report) == (4, 0, 0), report
    assert [(each["row"], each["uid"], each["field"]) for each in report["warnings"]] == [
        (4, "4", "recurrence"), (0, None, "VEVENT"), (3, "3", "parent_id"),
    ]  # fmt: skip
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    tax = tasks["Steuer, 2090"]
    assert tax["description"] == "lang\n und gefaltet"
    assert tax["due_date"] == "2090-07-31T16:00:00Z"
    assert (tax["tags"], tax["priority"]) == (["a,b", "c", "d"], "low")
    assert tax["reminders"] == ["2090-07-30T10:00:00Z", "-PT15M"]
    assert tasks["Without a UID"]["completed"]
    again = await imported(alice, FOREIGN, ICS)
    assert counts(again) == (0, 4, 0)
    assert [each["field"] for each in again["warnings"]] == ["VEVENT"]  # of the file


@pytest.mark.parametrize(
    ("text", "headers", "status", "code"),
    [
        (b"", JSON, 400, "malformed_body"),
        (b"{", JSON, 400, "malformed_body"),
        (b'{"x": ' + b"[" * 100_000, JSON, 400, "malformed_body"),
        (b"[]", JSON, 422, "import_format"),
        (b'{"tasks": []}', JSON, 422, "import_format"),
        (b'{"format": "todo/1", "tasks": {}}', JSON, 422, "import_format"),
        (b"\xff", CSV, 400, "malformed_body"),
        (b"", CSV, 422, "import_format"),
        (b"name\r\nx", CSV, 422, "import_format"),
        (b"", ICS, 422, "import_format"),
        (b"title\r\n", ICS, 422, "import_format"),
        (b"x: y\r\n", ICS, 422, "import_format"),
        (b"x", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"x", {"Content-Type": "text/csv; charset=latin-1"}, 415, "unsupported_media_type"),
        (b"x", {**CSV, "Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ],
)
async def test_an_invalid_import_file_is_refused(
    alice: Person, text: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    assert_problem(await alice.call("POST", "/import", content=text, headers=headers), status, code)


@pytest.mark.parametrize(
    "row",
    [
        b"5",
        b"null",
        b'{"title": "a", "title": "b"}',
        b'{"title": NaN}',
        b'{"title": "\\u0000"}',
        b'{"title": "\\ud800"}',
        b'{"title": "\xff"}',
        b'{"title": " "}',
        b'{"title": 5}',
        b"{}",
    ],
)
async def test_an_invalid_json_row_fails_alone(alice: Person, row: bytes) -> None:
    text = b'{"format": "todo/1", "user_id": "u", "tasks": [{"id": 7, "title": "fine"}, ' + row + b"]}"
    answer = await alice.call("POST", "/import", content=text, headers=JSON)
    if answer.status_code == 400:  # not JSON as a whole
        assert_problem(answer, 400, "malformed_body")
        return
    assert counts(answer.json()) == (1, 0, 1), answer.text
    assert await alice.titles() == ["fine"]


async def test_subtasks_before_their_parents_are_imported_up_to_five_levels(alice: Person) -> None:
    rows = [{"id": n, "title": str(n), "parent_id": n + 1 if n < 7 else None} for n in range(1, 8)]
    for query in ("?dry_run=true", ""):
        report = await imported(alice, json.dumps({"format": "todo/1", "user_id": "u", "tasks": rows}), JSON, query)
        assert counts(report) == (7, 0, 0), report
        assert [(each["uid"], each["field"]) for each in report["warnings"]] == [("2", "parent_id"), ("1", "parent_id")]
    tasks = {task["title"]: task for task in (await alice.get("/tasks")).json()}
    assert tasks["6"]["parent_id"] == tasks["7"]["id"]
    assert {tasks[title]["parent_id"] for title in "123"} == {tasks["4"]["id"]}
    deeper = {"format": "todo/1", "user_id": "u", "tasks": [{"id": 99, "title": "x", "parent_id": 3}]}
    report = await imported(alice, json.dumps(deeper), JSON)
    assert (counts(report), report["warned"]) == ((1, 0, 0), 1)


async def test_an_import_cannot_refer_to_rows_of_another_user(alice: Person, bob: Person) -> None:
    task = await alice.add()
    document = {
        "format": "todo/1",
        "user_id": alice.subject,
        "tasks": [{"title": "x", "id": 1, "parent_id": task["id"]}],
    }
    report = await imported(bob, json.dumps(document), JSON)
    assert (counts(report), [each["field"] for each in report["warnings"]]) == ((1, 0, 0), ["parent_id"])
    assert [task["parent_id"] for task in (await bob.get("/tasks")).json()] == [None]


async def test_an_import_has_a_body_limit_of_its_own(alice: Person, app: Any) -> None:
    big = "title,description\r\n" + "".join(f"t{n},{'x' * 900}\r\n" for n in range(1500))
    assert len(big) > app.state.settings.body_limit
    report = await imported(alice, big, CSV)
    assert counts(report) == (1500, 0, 0)
    assert report["revision"] == 2  # a thousand rows are one write
    limit, app.state.settings.import_limit = app.state.settings.import_limit, 2048
    try:
        assert_problem(await alice.call("POST", "/import", content=big, headers=CSV), 413, "body_too_large")
    finally:
        app.state.settings.import_limit = limit


async def test_a_user_has_one_import_at_a_time(alice: Person, bob: Person, app: FastAPI, sql: Any) -> None:
    text = "title\r\nBuy milk\r\n"
    async with ImportLease(app.state.database, alice.subject):  # as another process holds it
        for query in ("", "?dry_run=true"):
            second = await alice.call("POST", f"/import{query}", content=text, headers=CSV)
            assert_problem(second, 409, "import_running")
        assert counts(await imported(bob, text, CSV)) == (1, 0, 0)
    assert_problem(await alice.call("POST", "/import", content="x\r\n", headers=CSV), 422, "import_format")
    assert counts(await imported(alice, text, CSV)) == (1, 0, 0)  # also after an import that failed
    async with ImportLease(app.state.database, alice.subject) as lost:
        await sql.execute("update rate_limits set full_at = now() - interval '1 second' where key = $1", lost._key)
        assert counts(await imported(alice, text, CSV)) == (0, 1, 0)


async def test_an_import_renews_its_lease(
    alice: Person, app: FastAPI, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ImportLease(app.state.database, alice.subject) as lease:
        late = "update rate_limits set full_at = now() + interval '1 second' where key = $1"
        left = "select extract(epoch from full_at - now())::float from rate_limits where key = $1"
        await sql.execute(late, lease._key)
        await lease.renew()
        assert await sql.fetchval(left, lease._key) < 2  # it is new: renewing it needs no round trip
        monkeypatch.setattr(import_lease, "RENEW_AFTER", 0)
        await lease.renew()
        assert await sql.fetchval(left, lease._key) > 100


async def test_an_import_with_an_expired_lease_does_not_end_the_next_one(alice: Person, app: FastAPI, sql: Any) -> None:
    async with ImportLease(app.state.database, alice.subject) as slow:
        await sql.execute("update rate_limits set full_at = now() - interval '1 second' where key = $1", slow._key)
        slow._renewed -= IMPORT_QUOTA.seconds
        async with ImportLease(app.state.database, alice.subject):
            with pytest.raises(ImportRunning):
                await slow.renew()
            await slow.__aexit__(None, None, None)
            with pytest.raises(ImportRunning):
                await ImportLease(app.state.database, alice.subject).__aenter__()
        await slow.renew()  # the next import has ended
        with pytest.raises(ImportRunning):
            await ImportLease(app.state.database, alice.subject).__aenter__()


async def test_an_unfinished_upload_does_not_block_other_imports(alice: Person) -> None:
    text, started, go_on = b"title\r\nBuy milk\r\n", asyncio.Event(), asyncio.Event()

    async def upload() -> AsyncIterator[bytes]:
        yield text
        started.set()
        await go_on.wait()
        yield b"Buy bread\r\n"

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        slow = group.create_task(alice.call("POST", "/import", content=upload(), headers=CSV))
        await started.wait()
        assert counts(await imported(alice, text.decode(), CSV)) == (1, 0, 0)
        go_on.set()
    assert slow.result().status_code == 200
    assert slow.result().json()["created"]["tasks"] == 1


async def test_an_import_sets_the_time_zone_only_when_the_account_has_none(alice: Person, bob: Person) -> None:
    document: dict[str, Any] = {"format": "todo/1", "user_id": "u", "settings": {"timezone": "Asia/Tokyo"}}
    document["tasks"] = [{"id": 1, "title": "Buy milk", "due_date": "2090-07-01T09:00"}]
    text = json.dumps(document)
    tried = await imported(alice, text, JSON, "?dry_run=true")
    assert tried["timezone"] == "Asia/Tokyo"
    assert (await alice.get("/settings")).json() == {"timezone": "UTC"}
    await bob.patch("/settings", {"timezone": "Europe/Berlin"})
    for person, zone, due in ((alice, "Asia/Tokyo", "2090-07-01T00:00:00Z"), (bob, None, "2090-07-01T07:00:00Z")):
        assert (await imported(person, text, JSON))["timezone"] == zone
        assert [task["due_date"] for task in (await person.get("/tasks")).json()] == [due]
    assert (await bob.get("/settings")).json() == {"timezone": "Europe/Berlin"}


async def test_an_imported_time_zone_unknown_to_the_database_is_reported(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.models.accounts.known_time_zones", lambda: {"Mars/Base"})
    document = {"format": "todo/1", "user_id": "u", "settings": {"timezone": "Mars/Base"}, "tasks": [{"title": "x"}]}
    report = await imported(alice, json.dumps(document), JSON)
    assert (report["failed"], report["created"]["tasks"], report["timezone"]) == (1, 1, None)
    assert [error["type"] for error in report["errors"][0]["errors"]] == ["unknown_time_zone"]


@pytest.mark.parametrize("said", [{}, [], 5, {"timezone": None}, {"timezone": "no/such"}, {"timezone": "a\0b"}])
async def test_invalid_settings_are_reported_and_the_rest_imported(alice: Person, said: Any) -> None:
    document = {"format": "todo/1", "user_id": "u", "settings": said, "tasks": [{"id": 1, "title": "Buy milk"}]}
    report = await imported(alice, json.dumps(document), JSON)
    assert counts(report) == (1, 0, 1)
    assert [error["entity"] for error in report["errors"]] == ["settings"]
    assert (await alice.get("/settings")).json() == {"timezone": "UTC"}


async def test_an_imported_view_of_a_series_refers_to_the_imported_series(alice: Person, bob: Person) -> None:
    series = await alice.add("Bins", due_date="2031-01-06", recurrence="FREQ=DAILY")
    await alice.patch(f"/tasks/{series['id']}/complete")
    for name, which in (("Done", series["id"]), ("Gone", 2**40)):
        await alice.post("/views", {"name": name, "parameters": {"series_id": which}})
    report = await imported(bob, await exported(alice), JSON)
    (warning,) = report["warnings"]
    assert (warning["entity"], warning["uid"], warning["field"]) == ("views", "Gone", "parameters.series_id")
    view, gone = sorted((await bob.get("/views")).json(), key=lambda found: str(found["name"]))
    assert gone["parameters"] == {}
    (done,) = (await bob.get(f"/views/{view['id']}/tasks")).json()
    assert (done["due_date"], done["series_id"]) == ("2031-01-06", view["parameters"]["series_id"])
    assert done["series_id"] != series["id"]


async def test_an_imported_view_refers_to_the_imported_project(alice: Person, bob: Person) -> None:
    project = (await alice.post("/projects", {"name": "Home"})).json()
    await alice.add("at home", project_id=project["id"])
    await alice.add("elsewhere")
    for name, where in (("Home", project["id"]), ("Inbox", "none"), ("Gone", 2**40)):
        await alice.post("/views", {"name": name, "parameters": {"project_id": where}})
    deleted = (await alice.post("/views", {"name": "Old", "parameters": {}})).json()
    await alice.delete(f"/views/{deleted['id']}")
    await bob.post("/projects", {"name": "Work"})
    report = await imported(bob, await exported(alice), JSON)
    assert report["created"]["views"] == 3
    (warning,) = report["warnings"]
    assert (warning["entity"], warning["uid"], warning["field"]) == ("views", "Gone", "parameters.project_id")
    found = {view["name"]: view["id"] for view in (await bob.get("/views")).json()}
    titles = [[task["title"] for task in (await bob.get(f"/views/{found[name]}/tasks")).json()] for name in found]
    assert dict(zip(found, titles, strict=True)) == {
        "Home": ["at home"], "Inbox": ["elsewhere"], "Gone": ["elsewhere", "at home"],
    }  # fmt: skip


async def test_the_filter_of_an_imported_view_names_the_imported_rows(alice: Person, bob: Person) -> None:
    home, garden = [(await alice.post("/projects", {"name": name})).json()["id"] for name in ("Home", "Garden")]
    party = (await alice.add("Party", project_id=home))["id"]
    await alice.add("Cake", parent_id=party, project_id=home)
    quoted = f'"project:{home}" OR title:project:{home} OR issue#{home} OR project:"{home}"'
    for name, text in (
        ("A", f"project:{home} AND NOT (PARENT = {party})"),
        ("B", f"#{home} parent:{party} OR #{garden}"),
        ("C", f"project:{2**40} OR title:cake"),
        ("D", quoted),
    ):
        answer = await alice.post("/views", {"name": name, "parameters": {"filter": text}})
        assert answer.status_code == 201, answer.text
    await bob.post("/projects", {"name": "Work"})
    document = await exported(alice)
    dry = await imported(bob, document, JSON, "?dry_run=true")
    report = await imported(bob, document, JSON)
    assert dry["warnings"] == report["warnings"]
    (warning,) = report["warnings"]
    assert (warning["uid"], warning["field"], warning["type"]) == ("C", "parameters.filter", "changed")
    views = {view["name"]: view for view in (await bob.get("/views")).json()}
    found = {name: await bob.get(f"/views/{view['id']}/tasks") for name, view in views.items()}
    titles = {name: [task["title"] for task in answer.json()] for name, answer in found.items()}
    assert titles == {"A": ["Party"], "B": ["Cake"], "C": ["Cake"], "D": []}
    assert views["C"]["parameters"]["filter"] == "project:0 OR title:cake"
    assert views["D"]["parameters"]["filter"] == quoted


async def test_an_import_creates_no_more_views_than_the_limit(alice: Person) -> None:
    await alice.post("/views", {"name": "first", "parameters": {}})
    views = [{"id": number, "name": f"view {number}", "parameters": {"tag": "x"}} for number in range(1, 203)]
    document = json.dumps({"format": "todo/1", "user_id": "u", "views": views})
    for query in ("?dry_run=true", ""):
        report = await imported(alice, document, JSON, query)
        assert (report["created"]["views"], report["failed"]) == (199, 3)
        assert report["errors"][0]["errors"][0]["type"] == "too_many_views"
    assert len((await alice.get("/views")).json()) == 200


async def test_deleted_comments_are_not_exported(alice: Person) -> None:
    task = await alice.add("a")
    comment = (await alice.post(f"/tasks/{task['id']}/comments", {"body": "private"})).json()
    await alice.delete(f"/tasks/{task['id']}/comments/{comment['id']}")
    assert "private" not in await exported(alice)
