"""Every route of calendar apps without a login, as another user, with a token that only reads, and by its bodies."""

from base64 import b64encode
from xml.etree import ElementTree

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from tests.api.test_routes import CALDAV
from tests.dav.apps import CalendarApp, new_app, new_uid, propfind, query, todo
from tests.support import SECRET, Person, make_token

READS = {"OPTIONS", "GET", "PROPFIND", "REPORT"}
WITH_LOGIN = [(method, path) for method, path in CALDAV if path.startswith("/dav") and method != "OPTIONS"]
BODIES = {"PROPFIND": propfind("D:getetag"), "REPORT": query("D:getetag")}
BODIES |= {"PUT": todo("x", "SUMMARY:x"), "PROPPATCH": "", "MKCOL": "", "MKCALENDAR": ""}


def concrete(path: str, owner: str) -> str:
    return path.format(user_id=owner, collection="inbox", name="x.ics")


def assert_refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert ElementTree.fromstring(answer.content).tag == "{DAV:}error"


def test_the_routes_are_known() -> None:
    assert {path for _, path in WITH_LOGIN} == {
        "/dav",
        "/dav/{user_id}",
        "/dav/{user_id}/{collection}",
        "/dav/{user_id}/{collection}/{name}",
    }
    assert not [path for _, path in CALDAV if not path.startswith("/dav") and path != "/.well-known/caldav"]


@pytest.mark.parametrize(("method", "path"), WITH_LOGIN)
async def test_nobody_is_asked_for_a_password(alice: Person, method: str, path: str) -> None:
    answer = await alice.client.request(method, concrete(path, alice.subject), content=BODIES.get(method, ""))
    assert_refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(("method", "path"), [route for route in WITH_LOGIN if "{" in route[1]])
async def test_another_users_path_is_403(phone: CalendarApp, bob: Person, method: str, path: str) -> None:
    await phone.put(f"{phone.inbox}x.ics", "SUMMARY:mine")
    stranger = await new_app(bob)
    answer = await stranger.call(method, concrete(path, phone.owner), BODIES.get(method, ""))
    assert_refused(answer, 403)
    assert "SUMMARY:mine" in await phone.get(f"{phone.inbox}x.ics")


@pytest.mark.parametrize(("method", "path"), [route for route in WITH_LOGIN if route[0] not in READS])
async def test_a_token_that_reads_writes_nothing(alice: Person, method: str, path: str) -> None:
    reader = await new_app(alice, "read")
    answer = await reader.call(method, concrete(path, alice.subject), BODIES.get(method, ""))
    assert_refused(answer, 403)
    assert b"need-privileges" in answer.content


async def test_a_token_that_reads_sees_that_it_may_not_write(alice: Person) -> None:
    reader = await new_app(alice, "read")
    found = await reader.find(reader.inbox, "D:current-user-privilege-set")
    (props,) = found[reader.inbox].props.values()
    assert {each.tag for privilege in props for each in privilege} == {
        "{DAV:}read",
        "{DAV:}read-current-user-privilege-set",
    }
    assert (await reader.list(reader.inbox)).found == {}


@pytest.mark.parametrize(
    "credentials",
    [
        "anybody:password",
        "anybody:todo_pat_" + "x" * 38,
        "todo_pat_x",
        "",
        "\0:\0",
        "a:" + "x" * 5_000,
    ],
)
async def test_a_wrong_password_is_401(alice: Person, credentials: str) -> None:
    for header in (f"Basic {b64encode(credentials.encode()).decode()}", f"Basic {credentials}", "Basic", "Digest x=y"):
        headers = {b"Authorization": header.encode().replace(b"\0", b"%")}
        answer = await alice.client.request("PROPFIND", "/dav/", headers=headers)
        assert_refused(answer, 401)


async def test_the_password_of_an_account_or_a_session_is_none(client: httpx.AsyncClient) -> None:
    account = {"email": f"{new_uid()}@example.com", "password": "correct horse battery"}
    made = (await client.post("/api/auth/register", json=account)).json()
    for password in (account["password"], made["access_token"], make_token("alice")):
        basic = b64encode(f"{account['email']}:{password}".encode()).decode()
        answer = await client.request("PROPFIND", "/dav/", headers={"Authorization": f"Basic {basic}"})
        assert_refused(answer, 401)


async def test_a_revoked_token_is_401(alice: Person, phone: CalendarApp) -> None:
    assert (await phone.call("PROPFIND", phone.home)).status_code == 207
    tokens = (await alice.call("GET", "/api/auth/tokens")).json()
    await alice.call("DELETE", f"/api/auth/tokens/{tokens[0]['id']}")
    assert_refused(await phone.call("PROPFIND", phone.home), 401)


@pytest.mark.parametrize("method", ["GET", "PROPFIND", "OPTIONS", "PUT", "REPORT"])
async def test_the_well_known_path_leads_to_the_root(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/.well-known/caldav")
    assert (answer.status_code, answer.headers["location"]) == (301, "/dav/")


async def test_options_say_what_there_is_without_a_login(client: httpx.AsyncClient, phone: CalendarApp) -> None:
    for path in ("/dav/", phone.home, phone.inbox, f"{phone.inbox}x.ics"):
        answer = await client.options(path)
        assert answer.status_code == 200
        assert "calendar-access" in answer.headers["dav"]
        assert "PROPFIND" in answer.headers["allow"]


async def test_it_can_be_switched_off(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"caldav": False}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        headers = {"Authorization": f"Bearer {make_token('alice', secret=SECRET)}"}
        for path in ("/dav/", "/.well-known/caldav"):
            assert (await http.request("PROPFIND", path, headers=headers)).status_code == 404


async def test_me_is_the_users_own_path(phone: CalendarApp) -> None:
    found = await phone.find("/dav/me/", "D:displayname", "C:calendar-home-set", depth=1)
    assert found["/dav/me/"].text("C:calendar-home-set") == "/dav/me/"
    assert found["/dav/me/inbox/"].text("D:displayname") == "Inbox"


async def test_requests_of_apps_have_a_quota_of_their_own(settings: Settings) -> None:
    limits = {"rate_limit_per_minute": 3, "rate_limit_caldav_per_minute": 5, "pool_size": 2}
    app = create_app(settings.model_copy(update=limits))
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    async with app.router.lifespan_context(app), http:
        phone = await new_app(Person(http, f"user-{new_uid()}"))
        answers = [await phone.call("PROPFIND", phone.home) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [207] * 5 + [429]
    assert answers[0].headers["ratelimit-policy"].startswith('"caldav"')
    assert_refused(answers[5], 429)
    assert int(answers[5].headers["retry-after"]) > 0
