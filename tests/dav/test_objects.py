"""Fields of tasks as properties of to-dos, in both directions; limits; parents; moves; files."""

from typing import Any

import pytest

from tests.dav.apps import CalendarApp, new_app, new_uid, query, todo, xmlns
from tests.support import Person


async def task_of(alice: Person, uid: str) -> dict[str, Any]:
    answer = await alice.get(f"/tasks/uid:{uid}")
    assert answer.status_code == 200, answer.text
    task: dict[str, Any] = answer.json()
    return task


async def test_a_task_that_was_made_here(phone: CalendarApp, alice: Person) -> None:
    made = await alice.add(
        "Pay; the, rent",
        description="two\nlines",
        priority="urgent",
        due_date="2027-02-01T09:00:00+01:00",
        start_date="2027-01-31T09:00:00+01:00",
        tags=["a,b", "c"],
        reminders=["-PT30M", "2027-01-30T08:00:00Z"],
        status="in_progress",
    )
    text = await phone.get(f"{phone.inbox}{made['uid']}.ics")
    for line in (
        "SUMMARY:Pay\\; the\\, rent", "DESCRIPTION:two\\nlines", "PRIORITY:1", "DUE:20270201T080000Z",
        "DTSTART:20270131T080000Z", "CATEGORIES:a\\,b,c", "TRIGGER;RELATED=END:-PT30M",
        "TRIGGER;VALUE=DATE-TIME:20270130T080000Z", "STATUS:IN-PROCESS",
    ):  # fmt: skip
        assert line in text, line
    # What an app gives back unchanged changes nothing, also what lines cannot say.
    await alice.patch(f"/tasks/{made['id']}", {"status": "waiting", "deadline": "2027-03-01", "favorite": True})
    before = await task_of(alice, made["uid"])
    given = (await phone.call("GET", f"{phone.inbox}{made['uid']}.ics")).text
    answer = await phone.call("PUT", f"{phone.inbox}{made['uid']}.ics", given.replace("PRIORITY:1", "PRIORITY:2"))
    assert answer.status_code == 204
    after = await task_of(alice, made["uid"])
    changing = {"version", "updated_at", "remind_at"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }


async def test_what_does_not_fit_is_kept_until_a_side_changes_it(phone: CalendarApp, alice: Person) -> None:
    tags = ",".join(f"t{number}" for number in range(25))
    alarms = [
        line
        for minutes in range(1, 13)
        for line in ("BEGIN:VALARM", "ACTION:DISPLAY", f"TRIGGER;RELATED=END:-PT{minutes}M", "END:VALARM")
    ]
    lines = (f"SUMMARY:{'x' * 300}", f"CATEGORIES:{tags}", "PRIORITY:4", "DUE:20270101T090000", *alarms)
    path = f"{phone.inbox}u.ics"
    assert (await phone.put(path, *lines)).status_code == 201
    task = await task_of(alice, "u")
    assert (len(task["title"]), len(task["tags"]), len(task["reminders"])) == (200, 20, 10)
    assert (task["priority"], task["due_date"]) == ("high", "2027-01-01T09:00:00Z")
    text = await phone.get(path)
    assert all(line in text for line in lines)
    await alice.patch(f"/tasks/{task['id']}", {"title": "short", "reminders": task["reminders"][1:]})
    text = await phone.get(path)
    assert "SUMMARY:short" in text
    assert f"CATEGORIES:{tags}" in text
    assert "-PT1M" not in text
    assert "-PT12M" in text, "an alarm that is no reminder here stays"


async def test_an_app_corrects_when_a_task_was_completed(phone: CalendarApp, alice: Person) -> None:
    for day in ("20260101", "20260201"):
        await phone.put(f"{phone.inbox}u.ics", "SUMMARY:x", "STATUS:COMPLETED", f"COMPLETED:{day}T080000Z")
    assert (await task_of(alice, "u"))["completed_at"] == "2026-02-01T08:00:00Z"


async def test_a_title_may_be_empty(phone: CalendarApp, alice: Person) -> None:
    assert (await phone.put(f"{phone.inbox}u.ics", "SUMMARY:")).status_code == 201
    assert (await task_of(alice, "u"))["title"] == "(no title)"
    await alice.patch("/tasks/uid:u", {"priority": "high"})
    text = await phone.get(f"{phone.inbox}u.ics")
    assert "SUMMARY:\r\n" in text
    assert "no title" not in text


async def test_status_decides(phone: CalendarApp, alice: Person) -> None:
    path = f"{phone.inbox}u.ics"
    stamp = ("COMPLETED:20261120T101500Z", "PERCENT-COMPLETE:100")
    await phone.put(path, "SUMMARY:x", "STATUS:COMPLETED", *stamp)
    task = await task_of(alice, "u")
    assert (task["completed"], task["completed_at"]) == (True, "2026-11-20T10:15:00Z")
    await phone.put(path, "SUMMARY:x", "STATUS:NEEDS-ACTION", *stamp)
    assert (await task_of(alice, "u"))["status"] == "pending"
    await phone.put(path, "SUMMARY:x", "STATUS:CANCELLED")
    assert (await task_of(alice, "u"))["status"] == "cancelled"
    await phone.put(path, "SUMMARY:x", "STATUS:COMPLETED", "COMPLETED:20261121T101500Z")
    assert (await task_of(alice, "u"))["completed_at"] == "2026-11-21T10:15:00Z"


async def test_a_parent_that_comes_later(phone: CalendarApp, alice: Person) -> None:
    await phone.put(f"{phone.inbox}child.ics", "SUMMARY:child", "RELATED-TO;RELTYPE=PARENT:parent")
    await phone.put(f"{phone.inbox}ring.ics", "SUMMARY:ring", "RELATED-TO:ring")
    assert (await task_of(alice, "child"))["parent_id"] is None
    await phone.put(f"{phone.inbox}parent.ics", "SUMMARY:parent")
    child, parent = await task_of(alice, "child"), await task_of(alice, "parent")
    assert child["parent_id"] == parent["id"]
    assert "RELATED-TO;RELTYPE=PARENT:parent" in await phone.get(f"{phone.inbox}child.ics")
    # Too deep: the order of the app is kept, and here it is at the top.
    above = "child"
    for number in range(6):
        await phone.put(f"{phone.inbox}d{number}.ics", "SUMMARY:deep", f"RELATED-TO:{above}")
        above = f"d{number}"
    assert "RELATED-TO:d4" in await phone.get(f"{phone.inbox}d5.ics")
    await alice.patch(f"/tasks/{child['id']}", {"parent_id": None})
    assert "RELATED-TO" not in await phone.get(f"{phone.inbox}child.ics")
    await phone.put(f"{phone.inbox}d0.ics", "SUMMARY:deep")
    assert (await task_of(alice, "d0"))["parent_id"] is None


async def test_uids_that_are_none_here(phone: CalendarApp, alice: Person) -> None:
    for number, uid in enumerate(("{weird} \u20ac/1", "x" * 400, 'a"b')):
        path = f"{phone.inbox}n{number}.ics"
        body = todo(uid, "SUMMARY:x")
        assert (await phone.call("PUT", path, body)).status_code == 201
        assert (await phone.call("GET", path)).text == body
        await alice.patch(f"/tasks/{(await alice.get('/tasks?limit=1')).json()[0]['id']}", {"title": "y"})
        assert "SUMMARY:y" in await phone.get(path)
        assert (await phone.call("PUT", path, todo("another", "SUMMARY:x"))).status_code == 403
        child = todo(f"c{number}", "SUMMARY:child", f"RELATED-TO:{uid}")
        assert (await phone.call("PUT", f"{phone.inbox}c{number}.ics", child)).status_code == 201
        assert (await task_of(alice, f"c{number}"))["parent_id"] is not None


async def test_put_moves_and_restores(phone: CalendarApp, alice: Person) -> None:
    project = (await alice.post("/projects", {"name": "Home"})).json()
    there = f"{phone.home}{project['uid']}/u.ics"
    await phone.put(f"{phone.inbox}u.ics", "SUMMARY:x")
    task = await task_of(alice, "u")
    assert (await phone.put(there, "SUMMARY:x")).status_code == 201
    assert (await task_of(alice, "u"))["project_id"] == project["id"]
    revision = (await alice.get("/tasks")).headers["x-revision"]
    assert (await phone.call("DELETE", f"{phone.inbox}u.ics")).status_code == 204
    assert (await alice.get("/tasks")).headers["x-revision"] == revision, "it has left that list"
    assert (await phone.call("DELETE", there)).status_code == 204
    assert (await phone.put(f"{phone.inbox}u.ics", "SUMMARY:y")).status_code == 201
    back = await task_of(alice, "u")
    assert (back["id"], back["title"], back["project_id"]) == (task["id"], "y", None)


async def test_move_with_a_new_name(phone: CalendarApp, alice: Person) -> None:
    project = (await alice.post("/projects", {"name": "Home"})).json()
    there = f"{phone.home}{project['uid']}/"
    for uid in ("a", "b"):
        await phone.put(f"{phone.inbox}{uid}.ics", f"SUMMARY:{uid}")
    assert (await phone.call("MOVE", f"{phone.inbox}a.ics", Destination=f"{there}z.ics")).status_code == 201
    held = await phone.call("MOVE", f"{phone.inbox}b.ics", Destination=f"{there}z.ics", Overwrite="F")
    assert held.status_code == 412
    assert (await phone.call("MOVE", f"{phone.inbox}b.ics", Destination=f"{there}z.ics")).status_code == 204
    assert "SUMMARY:b" in await phone.get(f"{there}z.ics")
    assert [task["title"] for task in (await alice.get("/tasks/trash")).json()] == ["a"]
    # Restored, it has its own name again, since the other one has been given to another.
    trashed = (await alice.get("/tasks/trash")).json()[0]
    assert (await alice.post(f"/tasks/{trashed['id']}/restore")).status_code == 200
    assert {path.rsplit("/", 1)[1] for path in (await phone.list(there)).found} == {"a.ics", "z.ics"}


async def test_lists_are_projects(phone: CalendarApp, alice: Person) -> None:
    name = new_uid()
    body = (
        f"<C:mkcalendar {xmlns()}><D:set><D:prop><D:displayname>Inbox</D:displayname>"
        "<A:calendar-color>#11223344</A:calendar-color></D:prop></D:set></C:mkcalendar>"
    )
    for number in range(2):
        assert (await phone.call("MKCALENDAR", f"{phone.home}{name}{number}/", body)).status_code == 201
    assert (await phone.call("MKCALENDAR", f"{phone.home}{name}0/", body)).status_code == 409
    assert (await phone.call("MKCALENDAR", phone.inbox, body)).status_code == 403
    found = await phone.find(phone.home, "D:displayname", "A:calendar-color", depth=1)
    listed = {each.text("D:displayname") for href, each in found.found.items() if href != phone.home}
    assert listed == {"Inbox", "Inbox (2)"}
    assert found[f"{phone.home}{name}0/"].text("A:calendar-color") == "#112233"
    patch = f"<D:propertyupdate {xmlns()}><D:set><D:prop><D:displayname>Inbox (2)</D:displayname></D:prop></D:set>"
    answer = await phone.multistatus("PROPPATCH", f"{phone.home}{name}0/", f"{patch}</D:propertyupdate>")
    assert "403" in (await phone.call("PROPPATCH", f"{phone.home}{name}0/", f"{patch}</D:propertyupdate>")).text
    assert answer[f"{phone.home}{name}0/"].props == {}
    assert (await phone.call("DELETE", phone.inbox)).status_code == 403
    assert (await phone.call("DELETE", f"{phone.home}{name}0/")).status_code == 204
    assert [project["name"] for project in (await alice.get("/projects")).json()] == ["Inbox (2)"]
    events = body.replace("<D:displayname>", '<C:supported-calendar-component-set><C:comp name="VEVENT"/>')
    events = events.replace("Inbox</D:displayname>", "</C:supported-calendar-component-set>")
    assert (await phone.call("MKCALENDAR", f"{phone.home}{new_uid()}/", events)).status_code == 403


@pytest.mark.parametrize(
    ("inner", "titles"),
    [
        ("", "abcd"),
        ('<C:prop-filter name="COMPLETED"><C:is-not-defined/></C:prop-filter>', "abc"),
        ('<C:prop-filter name="STATUS"><C:text-match>completed</C:text-match></C:prop-filter>', "d"),
        ('<C:prop-filter name="SUMMARY"><C:text-match>TITLE B</C:text-match></C:prop-filter>', "b"),
        ('<C:prop-filter name="SUMMARY"><C:text-match negate-condition="yes">b</C:text-match></C:prop-filter>', "acd"),
        ('<C:prop-filter name="UID"><C:text-match>0000-0000-0000-b</C:text-match></C:prop-filter>', "b"),
        ('<C:prop-filter name="DUE"><C:is-not-defined/></C:prop-filter>', "acd"),
        # RFC 4791, 9.9: one without a date is there from its creation on, a completed one until it was completed.
        ('<C:time-range start="20270101T000000Z" end="20270103T000000Z"/>', "abc"),
        ('<C:time-range start="20280101T000000Z"/>', "ac"),
        ('<C:time-range start="20200101T000000Z" end="20200102T000000Z"/>', ""),
        ('<C:comp-filter name="VALARM"/>', "c"),
        ('<C:comp-filter name="VALARM"><C:is-not-defined/></C:comp-filter>', "abd"),
    ],
)
async def test_queries(phone: CalendarApp, inner: str, titles: str) -> None:
    more = {
        "b": ("DUE:20270102T090000Z",),
        "c": ("BEGIN:VALARM", "TRIGGER;VALUE=DATE-TIME:20290101T000000Z", "ACTION:DISPLAY", "END:VALARM"),
        "d": ("STATUS:COMPLETED", "COMPLETED:20261101T000000Z"),
    }
    for name in "abcd":
        uid = f"0000-0000-0000-{name}"
        assert (
            await phone.put(f"{phone.inbox}{uid}.ics", f"SUMMARY:title {name}", *more.get(name, ()))
        ).status_code == 201
    found = await phone.multistatus("REPORT", phone.inbox, query("D:getetag", inner=inner), Depth="1")
    assert "".join(sorted(href[-5] for href in found.found)) == titles


async def test_multiget_names_what_is_not_there(phone: CalendarApp, alice: Person) -> None:
    await phone.put(f"{phone.inbox}a.ics", "SUMMARY:a")
    project = (await alice.post("/projects", {"name": "Home"})).json()
    other = f"{phone.home}{project['uid']}/o.ics"
    await phone.put(other, "SUMMARY:o")
    found = await phone.multiget(phone.inbox, f"{phone.inbox}a.ics", f"{phone.inbox}no.ics", other, "http://[")
    assert "SUMMARY:a" in found[f"{phone.inbox}a.ics"].data
    assert found.gone == {f"{phone.inbox}no.ics", other, "http://["}


async def test_exports_and_imports_keep_what_an_app_has_sent(phone: CalendarApp, alice: Person, bob: Person) -> None:
    body = todo("u", "SUMMARY:x", "X-KEPT:yes", "PRIORITY:4", "RELATED-TO:later")
    await phone.call("PUT", f"{phone.inbox}chosen.ics", body)
    exported = (await alice.get("/export")).content
    report = (await bob.call("POST", "/import", content=exported, headers={"Content-Type": "application/json"})).json()
    assert (report["failed"], report["warned"]) == (0, 0), report
    other = await new_app(bob)
    assert (await other.call("GET", f"{other.inbox}u.ics")).text == body
    assert (await other.put(f"{other.inbox}later.ics", "SUMMARY:parent")).status_code == 201
    assert (await task_of(bob, "u"))["parent_id"] is not None
