"""Finding out what has changed: sync-collection, ctag, ETags, and the pages of a large collection."""

from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI

from app.services.caldav import objects
from tests.dav.apps import CalendarApp, new_uid, sync_body
from tests.statements import listening
from tests.support import Person


async def put_many(phone: CalendarApp, count: int) -> list[str]:
    paths = [f"{phone.inbox}{new_uid()}.ics" for _ in range(count)]
    for number, path in enumerate(paths):
        assert (await phone.put(path, f"SUMMARY:t{number}")).status_code == 201
    return paths


async def test_changes_deletions_and_moves_arrive(phone: CalendarApp, alice: Person) -> None:
    changed, deleted, moved, purged, same = await put_many(phone, 5)
    project = (await alice.post("/projects", {"name": "Home"})).json()
    other = f"{phone.home}{project['uid']}/"
    token = (await phone.sync(phone.inbox)).token
    tasks = {task["uid"]: task["id"] for task in (await alice.get("/tasks")).json()}
    ids = [tasks[path.rsplit("/", 1)[1].removesuffix(".ics")] for path in (changed, deleted, moved, purged)]
    await alice.patch(f"/tasks/{ids[0]}", {"title": "changed"})
    await alice.delete(f"/tasks/{ids[1]}")
    await alice.patch(f"/tasks/{ids[2]}", {"project_id": project["id"]})
    await alice.delete(f"/tasks/{ids[3]}")
    await alice.delete("/tasks/trash")
    made = await alice.add("made here")
    found = await phone.sync(phone.inbox, token)
    assert found.gone == {unquote(path) for path in (deleted, moved, purged)}
    assert found.there.keys() == {unquote(changed), f"{phone.inbox}{made['uid']}.ics"}
    there = await phone.sync(other, token)
    assert there.there.keys() == {other + moved.rsplit("/", 1)[1]}
    assert there.gone == set(), "other collections' tasks are not its business"
    again = await phone.sync(phone.inbox, found.token)
    assert (again.found, again.token) == ({}, found.token)
    assert same not in found.found


async def test_a_name_that_was_given_up_is_gone(phone: CalendarApp) -> None:
    first, second = f"{phone.inbox}first.ics", f"{phone.inbox}second.ics"
    body = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VTODO\r\nUID:u\r\nSUMMARY:x\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
    assert (await phone.call("PUT", first, body)).status_code == 201
    token = (await phone.sync(phone.inbox)).token
    assert (await phone.call("MOVE", first, Destination=f"http://test{second}")).status_code == 201
    found = await phone.sync(phone.inbox, token)
    assert (found.gone, [*found.there]) == ({first}, [second])
    assert (await phone.call("GET", first)).status_code == 404
    assert (await phone.call("GET", second)).text == body


async def test_a_limit_cuts_the_changes_into_pages(phone: CalendarApp, alice: Person) -> None:
    token = (await phone.sync(phone.inbox)).token
    paths = await put_many(phone, 5)
    # One write of several rows, which a page may cut also.
    tasks = (await alice.get("/tasks")).json()
    change = {"ids": [task["id"] for task in tasks], "action": "update", "change": {"priority": "high"}}
    assert (await alice.post("/tasks/bulk", change)).status_code == 200
    seen: set[str] = set()
    for _ in range(20):
        found = await phone.sync(phone.inbox, token, limit=2)
        statuses = {href: each.status for href, each in found.found.items()}
        seen |= {href for href, status in statuses.items() if status == 0}
        token = found.token
        if 507 not in statuses.values():
            break
        assert statuses[phone.inbox] == 507
    assert seen == {unquote(path) for path in paths}
    assert (await phone.sync(phone.inbox, token)).found == {}


@pytest.mark.parametrize("props", [("D:getetag",), ("D:getetag", "C:calendar-data")])
async def test_a_limit_cuts_the_first_sync_into_pages(
    phone: CalendarApp, alice: Person, props: tuple[str, ...]
) -> None:
    """What is written between two pages comes with them or after them, and what is deleted is gone in the end."""
    paths = await put_many(phone, 7)
    token, there = "", set[str]()
    for number in range(10):
        found = await phone.sync(phone.inbox, token, *props, limit=3)
        statuses = {href: each.status for href, each in found.found.items()}
        assert sum(status != 507 for status in statuses.values()) <= 3
        there -= found.gone
        there |= {href for href, status in statuses.items() if status == 0}
        token = found.token
        if number == 0:
            await phone.call("DELETE", paths[0])
            await phone.call("DELETE", paths[6])
            late = await put_many(phone, 1)
            await alice.patch(f"/tasks/uid:{paths[1].rsplit('/', 1)[1].removesuffix('.ics')}", {"title": "new"})
        elif 507 not in statuses.values() and (await phone.sync(phone.inbox, token)).token == token:
            break
        else:
            assert number < 9
    assert there == {*paths[1:6], *late}


async def test_a_collection_of_many_pages_is_whole(
    phone: CalendarApp, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.dav.reports.NAME_PAGE_ROWS", 3)
    monkeypatch.setattr("app.dav.reports.DATA_PAGE_ROWS", 2)
    paths = {unquote(path) for path in await put_many(phone, 7)}
    for found in (
        await phone.sync(phone.inbox),
        await phone.list(phone.inbox),
        await phone.list(phone.inbox, "C:calendar-data"),
    ):
        assert found.there.keys() == paths
    assert (await phone.find(phone.inbox, "D:getetag", depth=1)).there.keys() == paths | {phone.inbox}
    assert objects.NAME_PAGE_ROWS == 5_000


@pytest.mark.parametrize(
    "token",
    ["x", "urn:todo:sync:", "urn:todo:sync:99999999", "urn:todo:sync:-1", "urn:todo:sync:1.99999999999999999999"],
)
async def test_a_token_that_is_none_is_refused_by_name(phone: CalendarApp, token: str) -> None:
    answer = await phone.call("REPORT", phone.inbox, sync_body(token))
    assert answer.status_code == 403
    assert b"valid-sync-token" in answer.content


async def test_a_sync_with_nothing_new_is_one_lookup(phone: CalendarApp) -> None:
    await put_many(phone, 2)
    token = (await phone.sync(phone.inbox)).token
    with listening() as statements:
        assert (await phone.sync(phone.inbox, token)).found == {}
    assert len(statements) == 1, statements


async def test_conditions(phone: CalendarApp, app: FastAPI) -> None:
    (path,) = await put_many(phone, 1)
    tag = (await phone.call("GET", path)).headers["etag"]
    assert (await phone.call("GET", path, If_None_Match=tag)).status_code == 304
    assert (await phone.put(path, "SUMMARY:x", If_None_Match="*")).status_code == 412
    assert (await phone.put(f"{phone.inbox}new.ics", "SUMMARY:x", If_Match='"1"')).status_code == 412
    for wrong in ('"999"', "7", '"abc"', 'W/"999"'):
        assert (await phone.put(path, "SUMMARY:x", If_Match=wrong)).status_code == 412
        assert (await phone.call("DELETE", path, If_Match=wrong)).status_code == 412
    assert (await phone.put(path, "SUMMARY:x", If_Match=f'"999", {tag}')).status_code == 204
    tag = (await phone.call("GET", path)).headers["etag"]
    assert (await phone.call("DELETE", path, If_Match=f"W/{tag}")).status_code == 204
    assert (await phone.call("DELETE", path)).status_code == 404


async def test_head_has_the_headers_of_get(phone: CalendarApp) -> None:
    (path,) = await put_many(phone, 1)
    get, head = await phone.call("GET", path), await phone.call("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == get.headers["etag"]
    assert isinstance(get, httpx.Response)
