"""Calendar apps behind a proxy that serves the service below a path, and users with any name."""

from urllib.parse import quote

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from tests.dav.apps import CalendarApp, Multistatus, new_uid, propfind, todo, xmlns
from tests.support import Person, make_token


async def app_of(http: httpx.AsyncClient, prefix: str, subject: str) -> CalendarApp:
    headers = {"Authorization": f"Bearer {make_token(subject)}"}
    made = await http.post(f"{prefix}/api/auth/tokens", json={"name": "x", "scope": "write"}, headers=headers)
    app = CalendarApp(http, subject, made.json()["token"])
    app.home = f"{prefix}/dav/{quote(subject, safe='')}/"
    app.inbox = f"{app.home}inbox/"
    return app


@pytest.mark.parametrize("prefix", ["/todo", "/dav", ""])
@pytest.mark.parametrize("name", ["alice", "a/b", "名前 😀", "auth0|1;v=2", "%2F"])
async def test_an_app_follows_what_it_is_given(settings: Settings, prefix: str, name: str) -> None:
    change = {"public_url": f"http://todo.example{prefix}", "pool_size": 2}
    app = create_app(settings.model_copy(update=change))
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://todo.example")
    async with app.router.lifespan_context(app), http:
        phone = await app_of(http, prefix, f"{name}-{new_uid()}")
        for where in ("/.well-known/caldav", f"{prefix}/.well-known/caldav"):
            answer = await http.request("PROPFIND", where)
            assert answer.headers["location"] == f"{prefix}/dav/"
        root = Multistatus(await phone.call("PROPFIND", f"{prefix}/dav/", propfind("D:current-user-principal")))
        (own,) = root.found.values()
        principal = own.text("D:current-user-principal")
        assert principal == phone.home
        found = await phone.find(principal, "C:calendar-home-set", depth=0)
        (own,) = found.found.values()
        assert own.text("C:calendar-home-set") == phone.home
        lists = await phone.find(phone.home, "D:resourcetype", depth=1)
        assert len(lists.found) == 2
        assert (await phone.call("PUT", f"{phone.inbox}a@b.ics", todo("u", "SUMMARY:x"))).status_code == 201
        members = await phone.find(phone.inbox, "D:getetag", depth=1)
        hrefs = [each.href for each in members.found.values() if each.href.endswith(".ics")]
        assert hrefs == [f"{phone.inbox}a@b.ics"]
        for href in (hrefs[0], f"http://todo.example{hrefs[0]}", hrefs[0].replace("@", "%40")):
            inner = f"<D:prop><D:getetag/></D:prop><D:href>{href}</D:href>"
            body = f"<C:calendar-multiget {xmlns()}>{inner}</C:calendar-multiget>"
            got = Multistatus(await phone.call("REPORT", phone.inbox, body))
            assert [(each.href, each.status) for each in got.found.values()] == [(href, 0)]
        moved = await phone.call("MOVE", hrefs[0], Destination=f"http://todo.example{phone.inbox}c.ics")
        assert moved.status_code == 201
        assert "SUMMARY:x" in await phone.get(f"{phone.inbox}c.ics")


async def test_a_path_without_its_last_slash_is_given_back_with_it(phone: CalendarApp, alice: Person) -> None:
    for path in (phone.home, phone.inbox):
        found = await phone.find(path.rstrip("/"), "D:resourcetype", depth=0)
        assert [*found.found] == [path]
