"""Attacks on the authorization server (RFC 9700): forged, replayed and redirected requests."""

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.accounts.conftest import Start
from tests.accounts.support import Visitor
from tests.oauth.flow import CALLBACK, Agent, Browser, agent_at, query_of
from tests.oauth.test_flow import BASE, assert_refused


@pytest.fixture
async def http(start: Start) -> httpx.AsyncClient:
    return await start(public_url=BASE, base_url=BASE)


@pytest.fixture
async def eve(http: httpx.AsyncClient) -> Visitor:
    return await Visitor(http).register(name="Eve")


@pytest.fixture
async def agent(http: httpx.AsyncClient) -> Agent:
    return await agent_at(http, BASE)


def assert_page(answer: httpx.Response, status: int) -> None:
    """Asserts that the browser stays here."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "location" not in answer.headers
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://agent.example/callback/", "https://agent.example/callback?x=1", "https://agent.example/callback/../x",
        "https://agent.example/Callback", "https://agent.example.evil.example/callback", "https://evil.example/callback",
        "https://agent.example@evil.example/callback", "https://agent.example/callback#x", "https://AGENT.example/callback",
        "https://agent.example:8443/callback", "http://agent.example/callback", "//agent.example/callback", "/callback",
        "https://agent.example/callback\r\nX: y", "https://agent.example\\@evil.example/callback",
        "javascript:alert(1)", "http://localhost/callback", "https://agent.example/callback%00", "data:text/html,x",
        " ",
        "x" * 3_000,
    ],
)  # fmt: skip
async def test_a_redirect_uri_must_be_the_registered_one(agent: Agent, uri: str) -> None:
    for changes in ({}, {"scope": "admin"}, {"response_type": "token"}):  # nor is an error sent there
        assert_page(await agent.client.get(agent.authorize_url(redirect_uri=uri, **changes)), 400)


@pytest.mark.parametrize(
    ("registered", "asked", "good"),
    [
        ("http://127.0.0.1/", "http://127.0.0.1:50123/", True),
        ("http://127.0.0.1/", "http://127.0.0.1:50123", True),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:1/", True),
        ("http://localhost/callback", "http://localhost:5678/callback", True),
        ("http://[::1]/callback", "http://[::1]:5678/callback", True),
        ("http://localhost/callback", "http://127.0.0.1:5678/callback", False),
        ("http://localhost/callback", "http://localhost:5678/other", False),
        ("http://localhost/callback", "http://localhost:5678/callback?x=1", False),
        ("http://localhost/callback", "http://localhost.evil.example/callback", False),
        ("http://localhost/callback", "http://user@localhost/callback", False),
        ("http://localhost/callback", "https://localhost:5678/callback", False),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback", True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/other", False),
    ],
)
async def test_on_the_own_machine_any_port_is_the_same(agent: Agent, registered: str, asked: str, good: bool) -> None:
    await agent.register(registered)
    answer = await agent.client.get(agent.authorize_url(redirect_uri=asked))
    assert answer.status_code == (200 if good else 400)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "read admin"}, "invalid_scope"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"resource": f"{BASE}/mcp/x"}, "invalid_target"),
        ({"resource": f"{BASE}.evil.example/mcp"}, "invalid_target"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "invalid_request"),
        ({"request_uri": "https://evil.example/"}, "invalid_request"),
    ],
)
async def test_a_bad_request_is_reported_to_the_app_by_a_link(
    agent: Agent, changes: dict[str, str | None], error: str
) -> None:
    """Not by a redirect: anyone can register an app, and a link to this service must lead nowhere else by itself."""
    for method in ("GET", "POST"):
        answer = await agent.client.request(method, agent.authorize_url(**changes))
        assert_page(answer, 400)
        (link,) = re.findall(r'href="([^"]+)"', answer.text)
        url = html.unescape(link)
        assert url.startswith(f"{CALLBACK}?")
        found = parse_qs(urlsplit(url).query)
        assert (found["error"], found["iss"], found["state"]) == ([error], [BASE], ["a state & more"])


async def test_a_parameter_that_stands_twice_is_refused(agent: Agent) -> None:
    for name in ("redirect_uri", "client_id", "state", "code_challenge"):
        assert_page(await agent.client.get(f"{agent.authorize_url()}&{name}=x"), 400)
    assert (await agent.client.get(f"{agent.authorize_url()}&unknown=x")).status_code == 200


async def test_the_query_of_a_redirect_uri_is_kept(eve: Visitor, agent: Agent) -> None:
    agent.callback = "https://agent.example/callback?connector=7"
    await agent.register()
    browser = Browser(agent.client)
    await browser.open(agent.authorize_url())
    await browser.log_in(eve)
    answer = await browser.answer()
    assert answer.headers["location"].startswith(f"{agent.callback}&code=")
    assert query_of(answer)["connector"] == "7"


async def test_a_forged_consent_is_refused(eve: Visitor, agent: Agent, sql: Any) -> None:
    """Without the page's token, with that of another browser or another request, and from another site."""
    victim, stranger = Browser(agent.client), Browser(agent.client)
    await victim.open(agent.authorize_url())
    await victim.log_in(eve)
    await stranger.open(agent.authorize_url())
    form = {"action": "allow", "scope": "write", "access_token": eve.access}
    foreign = stranger.page
    for token in ("", "x", foreign.partition('name="forgery_token" value="')[2].partition('"')[0]):
        answer = await agent.client.post(
            victim.url, data={**form, "forgery_token": token}, headers=victim._headers(Origin=BASE)
        )
        assert_page(answer, 403)
    good = victim.page
    for origin in ("https://evil.example", "null"):
        victim.page = good
        assert_page(await victim.send(origin=origin, **form), 403)
    victim.page = good
    other = Agent(agent.client, BASE)
    other.metadata, other.client_id = agent.metadata, agent.client_id
    victim.url = other.authorize_url()  # the same page, another challenge
    assert_page(await victim.send(**form), 403)
    assert await sql.fetchval("select count(*) from oauth_codes where user_id = $1", eve.id) == 0


async def test_the_cookie_of_the_page_is_no_login(eve: Visitor, agent: Agent) -> None:
    """A planted or stolen one shows nothing of what its browser did (session fixation)."""
    victim, thief = Browser(agent.client), Browser(agent.client)
    await thief.open(agent.authorize_url())
    victim.cookies = dict(thief.cookies)
    await victim.open(agent.authorize_url())
    assert victim.cookies == thief.cookies
    await victim.log_in(eve)
    page = await thief.open(agent.authorize_url())
    assert 'name="password"' in page.text
    assert eve.email not in page.text
    answered = await thief.send(action="allow", scope="write")
    assert 'name="password"' in answered.text


async def test_tokens_in_a_url_open_nothing(eve: Visitor, agent: Agent) -> None:
    """URLs are logged, kept in histories and sent as referrers (RFC 6750, 5.3)."""
    pair = await agent.connect(eve, resource=BASE)
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for query in (f"access_token={pair['access_token']}", f"token={pair['access_token']}"):
        assert (await agent.client.post(f"{BASE}/mcp?{query}", json=message)).status_code == 401
        assert (await agent.client.get(f"{BASE}/api/me/tasks?{query}")).status_code == 401
    url, query = agent.metadata["token_endpoint"], f"grant_type=refresh_token&refresh_token={pair['refresh_token']}"
    answer = await agent.client.post(f"{url}?{query}&client_id={agent.client_id}", data={"x": "y"})
    assert_refused(answer, "invalid_request")
    assert (await agent.client.get(f"{url}?{query}")).status_code == 405
    assert (await agent.refresh(pair["refresh_token"])).status_code == 200


async def test_a_login_on_the_page_has_the_limits_of_every_login(eve: Visitor, agent: Agent) -> None:
    browser = Browser(agent.client)
    await browser.open(agent.authorize_url())
    for _ in range(10):
        answer = await browser.log_in(eve, "wrong")
        assert answer.status_code == 401
    unknown = Browser(agent.client)
    await unknown.open(agent.authorize_url())
    nobody = Visitor(agent.client)
    same = await unknown.log_in(nobody, "wrong")
    assert same.status_code == 401
    assert "one is incorrect" in same.text
    blocked = await browser.log_in(eve)
    assert blocked.status_code == 429
    assert int(blocked.headers["retry-after"]) > 0
    assert (await eve.login()).status_code == 429


async def test_a_disabled_account_cannot_connect(eve: Visitor, agent: Agent, sql: Any) -> None:
    browser = Browser(agent.client)
    code = await agent.ask(eve)
    await sql.execute("update accounts set disabled_at = now() where user_id = $1", eve.id)
    assert_refused(await agent.exchange(code), "invalid_grant")
    await browser.open(agent.authorize_url())
    assert (await browser.log_in(eve)).status_code == 403


@pytest.mark.parametrize(
    "uri",
    [
        "http://agent.example/callback", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x",
        "blob:https://x/y", "ftp://x/y", "about:blank", "https://", "https:///x", "https://user@agent.example/",
        "https://agent.example/#x", "//agent.example/", "callback", "", "https://agent.example/a b",
        "https://agent.example/\r\nX: y", "https://ägent.example/", "https://agent.example\\.evil.example/",
        "JavaScript:x",
        "https://agent.example:port/", "http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "x" * 3_000,
        "https://%65vil.example/", "https://agent.example%2f.evil.example/", "ms-msdt:/id", "search-ms:query", "ssh://x",
        "view-source:https://x", "intent://x#Intent;end", 7, None, ["https://agent.example/"],
    ],
)  # fmt: skip
async def test_an_unsafe_redirect_uri_cannot_be_registered(agent: Agent, uri: Any) -> None:
    body = {"client_name": "x", "redirect_uris": ["https://agent.example/callback", uri]}
    assert_refused(await agent.client.post("/oauth/register", json=body), "invalid_redirect_uri")


async def test_registrations_become_public_clients(agent: Agent) -> None:
    """Cursor registers three redirects at once; whatever asks for a secret gets none."""
    redirects = ["cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost:8787/callback", CALLBACK]
    made = await agent.register(*redirects, token_endpoint_auth_method="client_secret_basic", logo_uri="https://x/y")
    assert made["redirect_uris"] == redirects
    assert made["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in made
    for body, error in (
        ([], "invalid_client_metadata"),
        ({}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK] * 21}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "response_types": ["token"]}, "invalid_client_metadata"),
    ):
        assert_refused(await agent.client.post("/oauth/register", json=body), error)


async def test_registration_can_be_switched_off(start: Start) -> None:
    client = await start(public_url=BASE, base_url=BASE, oauth_registration=False)
    assert "registration_endpoint" not in (await client.get("/.well-known/oauth-authorization-server")).json()
    answer = await client.post("/oauth/register", json={"redirect_uris": [CALLBACK]})
    assert_refused(answer, "client_registration_closed", 403)


async def test_registrations_are_throttled_and_bounded(agent: Agent, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [await agent.client.post("/oauth/register", json={"redirect_uris": [CALLBACK]}) for _ in range(101)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["error"] == "temporarily_unavailable"
    await sql.execute("delete from login_attempts")
    await sql.execute(
        "update oauth_clients set created_at = now() - interval '31 days' where client_id <> $1", agent.client_id
    )
    for _ in range(9):  # each deletes 100 at most, and other tests have registered apps also
        await agent.register()
    old = "select count(*) from oauth_clients where used_at is null and created_at < now() - interval '30 days'"
    assert await sql.fetchval(old) == 0


async def test_refreshes_count_for_the_user(start: Start, eve: Visitor, agent: Agent) -> None:
    """Each stores a token, and one that is repeated costs as much."""
    strict = Agent(await start(public_url=BASE, base_url=BASE, rate_limit_per_minute=2), BASE)
    strict.metadata, strict.client_id = agent.metadata, agent.client_id
    token = (await strict.connect(eve))["refresh_token"]
    second = (await strict.refresh(token)).json()["refresh_token"]
    assert (await strict.refresh(second)).status_code == 200
    busy = await strict.refresh(second)
    assert_refused(busy, "temporarily_unavailable", 429)
    assert int(busy.headers["retry-after"]) > 0
    assert (await strict.refresh("todo_rt_unknown")).status_code == 400
    assert (await agent.refresh(second)).status_code == 200


async def test_an_unknown_client_is_shown_to_the_user(agent: Agent) -> None:
    for client_id in ("", "x", "todo_app_unknown", "https://agent.example", "http://agent.example/x", "x" * 600):
        assert_page(await agent.client.get(agent.authorize_url(client_id=client_id)), 401)
