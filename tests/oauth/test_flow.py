"""Connecting an app, as agents do it: from a 401 of ``/mcp`` to a token."""

import asyncio
import html
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor
from tests.oauth.flow import CALLBACK, Agent, Browser, agent_at, challenge_of, query_of
from tests.support import assert_problem

BASE = "https://todo.example"
AGE = (
    "update refresh_tokens set used_at = used_at - make_interval(secs => $2) where user_id = $1 and used_at is not null"
)


@pytest.fixture
async def http(start: Start) -> httpx.AsyncClient:
    return await start(public_url=BASE, base_url=BASE)


@pytest.fixture
async def eve(http: httpx.AsyncClient) -> Visitor:
    return await Visitor(http).register(name="Eve")


@pytest.fixture
async def agent(http: httpx.AsyncClient) -> Agent:
    return await agent_at(http, BASE)


def assert_refused(answer: httpx.Response, error: str, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"] == error, body
    assert body.keys() == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"


async def test_an_app_connects_and_works(eve: Visitor, agent: Agent) -> None:
    pair = await agent.connect(eve)
    assert pair.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (pair["token_type"], pair["expires_in"], pair["scope"]) == ("Bearer", 86_400, "read write")
    made = await agent.call(pair["access_token"], "tools/call", name="add_task", arguments={"title": "by an agent"})
    assert not made.json()["result"]["isError"]
    (task,) = (await eve.get("/api/me/tasks")).json()
    (entry,) = (await eve.get(f"/api/me/tasks/{task['id']}/history")).json()
    assert entry["through"] == "mcp:Agent"
    assert_problem(await eve.get("/api/me/tasks", token=pair["access_token"]), 401, "token_invalid")
    again = (await agent.refresh(pair["refresh_token"])).json()
    assert (await agent.call(again["access_token"])).status_code == 200
    assert_problem(await eve.refresh(again["refresh_token"]), 401, "refresh_token_invalid")
    assert_refused(await agent.refresh(eve.refresh_token), "invalid_grant")
    assert await eve.is_in()


async def test_the_issuer_is_the_same_everywhere(start: Start, ann: Visitor) -> None:
    """Letter by letter, whatever the prefix and however PUBLIC_URL is written."""
    for url, base in (
        ("https://todo.example", "https://todo.example"),
        ("HTTPS://Todo.Example:443/", "https://todo.example"),
        ("https://todo.example/sub/path", "https://todo.example/sub/path"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
    ):
        client = await start(public_url=url, base_url=base)
        agent = Agent(client, base)
        assert (await agent.discover())["issuer"] == base
        for name in ("authorization", "token", "registration", "revocation"):
            assert agent.metadata[f"{name}_endpoint"].startswith(f"{base}/oauth/")
        await agent.register()
        assert (await agent.connect(ann))["access_token"]


@pytest.mark.parametrize(
    ("changes", "host", "there"),
    [
        ({}, "http://localhost:8000", True),
        ({}, "http://127.0.0.1:8000", True),
        ({}, "http://192.168.1.7:8000", False),
        ({}, "https://192.168.1.7", False),
        ({"public_url": "http://192.168.1.7:8000"}, "http://192.168.1.7:8000", False),
        ({"public_url": "https://todo.example", "oauth": "off"}, "https://todo.example", False),
        ({"public_url": "https://todo.example", "jwks_url": "https://id.example/jwks", "jwt_issuer": "https://id.example"},
         "https://todo.example", False),
    ],
)  # fmt: skip
async def test_apps_connect_by_https_or_on_the_own_machine(
    start: Start, changes: dict[str, Any], host: str, there: bool
) -> None:
    client = await start(**changes, base_url=host)
    metadata = await client.get("/.well-known/oauth-authorization-server")
    resource = (await client.get("/.well-known/oauth-protected-resource/mcp")).json()
    if there:
        assert metadata.json()["issuer"] == host
        assert resource["authorization_servers"] == [host]
        return
    assert metadata.status_code == 404
    assert host not in resource.get("authorization_servers", [])
    for method, path in (("GET", "authorize"), ("POST", "token"), ("POST", "revoke"), ("POST", "register")):
        assert (await client.request(method, f"/oauth/{path}", json={})).status_code == 404


async def test_the_host_of_a_request_is_not_believed(start: Start) -> None:
    client = await start(public_url=BASE, base_url="https://evil.example")
    assert (await client.get("/.well-known/oauth-authorization-server")).json()["issuer"] == BASE
    for host in ("http://evil.example", "http://localhost.evil.example", "http://localhost@evil.example"):
        other = await start(base_url=host)
        assert (await other.get("/.well-known/oauth-authorization-server")).status_code == 404


async def test_a_user_may_allow_less_than_was_asked(eve: Visitor, agent: Agent) -> None:
    pair = await agent.connect(eve, "read")
    assert pair["scope"] == "read"
    refused = await agent.call(pair["access_token"], "tools/call", name="add_task", arguments={"title": "x"})
    assert_problem(refused, 403, "insufficient_scope")
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", resource_metadata="https://todo.example/')
    assert challenge.endswith('scope="read write"')
    assert (await agent.call(pair["access_token"], "tools/call", name="list_tasks", arguments={})).status_code == 200
    assert_refused(await agent.refresh(pair["refresh_token"], scope="read write"), "invalid_scope")
    # and cannot allow more
    assert (await agent.connect(eve, "write", scope="read"))["scope"] == "read"
    less = await agent.refresh((await agent.connect(eve))["refresh_token"], scope="read")
    assert less.json()["scope"] == "read"


async def test_a_grant_for_the_whole_service_also_opens_the_api(eve: Visitor, agent: Agent) -> None:
    pair = await agent.connect(eve, resource=f"{BASE}/")
    assert await eve.is_in(pair["access_token"])
    assert (await agent.call(pair["access_token"])).status_code == 200
    assert_problem(await eve.get("/api/auth/sessions", token=pair["access_token"]), 403, "login_required")


async def test_without_a_resource_a_grant_is_for_agents_only(eve: Visitor, agent: Agent) -> None:
    pair = await agent.connect(eve, resource=None)
    assert (await agent.call(pair["access_token"])).status_code == 200
    assert not await eve.is_in(pair["access_token"])


async def test_a_code_is_exchanged_once_and_a_second_use_revokes_the_first(eve: Visitor, agent: Agent) -> None:
    code = await agent.ask(eve)
    pair = (await agent.exchange(code)).json()
    assert (await agent.call(pair["access_token"])).status_code == 200
    assert_refused(await agent.exchange(code), "invalid_grant")
    assert (await agent.call(pair["access_token"])).status_code == 401
    assert_refused(await agent.refresh(pair["refresh_token"]), "invalid_grant")


async def test_of_concurrent_exchanges_none_keeps_access(eve: Visitor, agent: Agent) -> None:
    code = await agent.ask(eve)
    answers = await asyncio.gather(*(agent.exchange(code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    (pair,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert_refused(await agent.refresh(pair["refresh_token"]), "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        ({"code": "todo_code_x"}, "invalid_grant", 400),
        ({"code": None}, "invalid_request", 400),
        ({"code_verifier": "x" * 43}, "invalid_grant", 400),
        ({"code_verifier": ""}, "invalid_request", 400),
        ({"code_verifier": None}, "invalid_request", 400),
        ({"client_id": "todo_app_other"}, "invalid_grant", 400),
        ({"client_id": None}, "invalid_request", 400),
        ({"redirect_uri": "https://agent.example/other"}, "invalid_grant", 400),
        ({"resource": "https://todo.example"}, "invalid_target", 400),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type", 400),
        ({"grant_type": None}, "invalid_request", 400),
    ],
)
async def test_a_wrong_exchange_is_refused_and_the_code_stays_good(
    eve: Visitor, agent: Agent, changes: dict[str, str | None], error: str, status: int
) -> None:
    code = await agent.ask(eve)
    sent = {"grant_type": "authorization_code", "code": code, "code_verifier": agent.verifier} | changes
    assert_refused(await agent.token(**sent), error, status)
    assert (await agent.exchange(code)).status_code == 200


async def test_a_code_is_good_for_five_minutes(eve: Visitor, agent: Agent, sql: Any) -> None:
    code = await agent.ask(eve)
    life = "select extract(epoch from expires_at - created_at)::int from oauth_codes where user_id = $1"
    assert await sql.fetchval(life, eve.id) in {299, 300}
    await sql.execute("update oauth_codes set expires_at = now() where user_id = $1", eve.id)
    assert_refused(await agent.exchange(code), "invalid_grant")


async def test_a_refresh_can_be_repeated_from_anywhere_for_30_seconds(eve: Visitor, agent: Agent, sql: Any) -> None:
    first = (await agent.connect(eve))["refresh_token"]
    answers = await asyncio.gather(*(agent.refresh(first) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    (second,) = {answer.json()["refresh_token"] for answer in answers}
    third = (await agent.refresh(second)).json()["refresh_token"]
    assert (await agent.refresh(first)).json()["refresh_token"] == second  # a machine that is late
    await sql.execute(AGE, eve.id, 20)
    assert (await agent.refresh(first)).json()["refresh_token"] == second
    await sql.execute(AGE, eve.id, 15)
    pair = (await agent.refresh(third)).json()
    assert_refused(await agent.refresh(first), "invalid_grant")
    for token in (pair["refresh_token"], third):
        assert_refused(await agent.refresh(token), "invalid_grant")
    assert (await agent.call(pair["access_token"])).status_code == 401
    assert await eve.is_in()


async def test_two_processes_share_codes_and_refreshes(start: Start, eve: Visitor, agent: Agent) -> None:
    other = Agent(await start(public_url=BASE, base_url=BASE), BASE)
    other.metadata, other.client_id, other.verifier = agent.metadata, agent.client_id, agent.verifier
    pair = (await other.exchange(await agent.ask(eve))).json()
    answers = await asyncio.gather(*(each.refresh(pair["refresh_token"]) for each in (agent, other) * 3))
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert (await other.call(pair["access_token"])).status_code == 200


async def test_a_refresh_token_belongs_to_its_client_and_resource(eve: Visitor, agent: Agent) -> None:
    token = (await agent.connect(eve))["refresh_token"]
    assert_refused(await agent.refresh(token, client_id="todo_app_other"), "invalid_grant")
    assert_refused(await agent.refresh(token, client_id=None), "invalid_request")
    assert_refused(await agent.refresh(token, resource=BASE), "invalid_target")
    assert_refused(await agent.refresh("todo_rt_unknown"), "invalid_grant")
    assert_refused(await agent.token(grant_type="refresh_token"), "invalid_request")
    assert (await agent.refresh(token, resource=f"{BASE}/mcp")).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_an_app_can_revoke_its_access(eve: Visitor, agent: Agent, kind: str) -> None:
    pair = await agent.connect(eve)
    url = agent.metadata["revocation_endpoint"]
    for token in ("unknown", "a.b.c", eve.access, eve.refresh_token, (await eve.api_token())["token"]):
        assert (await agent.client.post(url, data={"token": token})).status_code == 200
    assert await eve.is_in()
    mine = {"token": pair[kind]}
    assert_refused(await agent.client.post(url, data={**mine, "client_id": "todo_app_other"}), "invalid_grant")
    assert_refused(await agent.client.post(url, data={"x": "y"}), "invalid_request")
    assert (await agent.call(pair["access_token"])).status_code == 200
    assert (await agent.client.post(url, data={**mine, "client_id": agent.client_id})).status_code == 200
    assert (await agent.call(pair["access_token"])).status_code == 401
    assert_refused(await agent.refresh(pair["refresh_token"]), "invalid_grant")


async def test_a_new_password_ends_codes_and_grants(eve: Visitor, agent: Agent) -> None:
    pair, code = await agent.connect(eve), await agent.ask(eve)
    changed = {"current_password": PASSWORD, "new_password": "another battery"}
    eve.take(await eve.call("PUT", "/api/auth/password", changed))
    assert_refused(await agent.exchange(code), "invalid_grant")
    assert_refused(await agent.refresh(pair["refresh_token"]), "invalid_grant")
    assert (await agent.call(pair["access_token"])).status_code == 401


async def test_the_token_endpoint_reads_small_forms_only(agent: Agent) -> None:
    url = agent.metadata["token_endpoint"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for content, headers, status in (
        (b'{"grant_type": "x"}', {"Content-Type": "application/json"}, 415),
        (b"grant_type=refresh_token", {}, 415),
        (b"grant_type=refresh_token&" + b"x" * 9_000, form, 413),
        (b"grant_type=refresh_token&grant_type=refresh_token", form, 400),
        (b"grant_type=refresh_token&client_id=x&refresh_token=%00", form, 400),
        (b"grant_type=%ff", form, 400),
        (b"\xff\xff", form, 400),
        (b"&".join(b"a%d=1" % number for number in range(60)), form, 400),
    ):
        assert_refused(await agent.client.post(url, content=content, headers=headers), "invalid_request", status)
    secret = await agent.client.post(url, data={"grant_type": "refresh_token"}, auth=("x", "y"))
    assert_refused(secret, "invalid_client", 401)
    assert secret.headers["www-authenticate"].startswith("Basic ")
    assert (await agent.client.get(url)).status_code == 405


async def test_a_cross_origin_app_reads_what_is_for_every_app(agent: Agent) -> None:
    """Inspectors run in a page, and preflight the metadata with a header of MCP."""
    origin = {"Origin": "https://inspector.example"}
    asked = {**origin, "Access-Control-Request-Headers": "mcp-protocol-version"}
    for method, path in (
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("POST", "/oauth/token"),
        ("POST", "/oauth/register"),
        ("POST", "/oauth/revoke"),
    ):
        preflight = await agent.client.options(path, headers={**asked, "Access-Control-Request-Method": method})
        assert preflight.status_code == 200, path
        answer = await agent.client.request(method, path, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    page = await agent.client.get(agent.authorize_url(), headers=origin)
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://chatgpt.com", 200), ("https://claude.ai", 200), ("https://claude.com", 200),
        ("https://vscode.dev", 200), ("https://chatgpt.com.evil.example", 403), ("https://evil.example", 403),
        ("null", 403),
    ],
)  # fmt: skip
async def test_agents_may_send_their_origin(eve: Visitor, agent: Agent, origin: str, status: int) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    refused = await agent.client.post(f"{BASE}/mcp", json=message, headers={"Origin": origin})
    assert refused.status_code == (401 if status == 200 else status)
    headers = {"Authorization": f"Bearer {(await agent.connect(eve))['access_token']}", "Origin": origin}
    headers["Accept"] = "application/json, text/event-stream"
    answer = await agent.client.post(f"{BASE}/mcp", json=message, headers=headers)
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["access-control-allow-origin"] == origin
        assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]


async def test_metadata_are_never_rate_limited(start: Start) -> None:
    client = await start(public_url=BASE, base_url=BASE, rate_limit_anonymous_per_minute=2)
    for _ in range(5):
        for name in ("oauth-authorization-server", "oauth-protected-resource", "oauth-protected-resource/mcp"):
            assert (await client.get(f"/.well-known/{name}")).status_code == 200


async def test_refused_exchanges_count_against_their_address(start: Start) -> None:
    client = await start(public_url=BASE, base_url=BASE, rate_limit_anonymous_per_minute=3)
    wrong = {"grant_type": "refresh_token", "client_id": "x", "refresh_token": "todo_rt_x"}
    answers = [await client.post("/oauth/token", data=wrong) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 429, 429]
    assert answers[-1].json()["error"] == "temporarily_unavailable"
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_the_consent_page_says_who_what_and_how_long(eve: Visitor, agent: Agent) -> None:
    await agent.register(client_name='<b>Evil</b> "&\u202e name')
    browser = Browser(agent.client)
    page = await browser.open(agent.authorize_url())
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action" not in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "same-origin"
    await browser.log_in(eve)
    for said in ("&lt;b&gt;Evil&lt;/b&gt; &quot;&amp; name", eve.email, "agent.example", "30 days", "read and change"):
        assert said in browser.page, said
    assert "<b>" not in browser.page
    assert "\u202e" not in browser.page
    assert not re.search(r'(src|href)="', browser.page)
    assert "just started" not in browser.page
    agent.callback = "http://127.0.0.1:5000/callback"
    await agent.register()
    await browser.open(agent.authorize_url())
    await browser.log_in(eve)
    assert "a program on this computer" in browser.page
    assert "just started" in browser.page
    assert "webhooks" not in browser.page
    await browser.open(agent.authorize_url(resource=BASE))
    await browser.log_in(eve)
    assert "webhooks and calendar feeds that it makes stay" in browser.page


async def test_the_forms_pass_no_fragment_on(eve: Visitor, agent: Agent) -> None:
    """Without an action of its own a form is sent with its page's, and a browser keeps it over the redirect."""
    browser = Browser(agent.client)
    for page in (await browser.open(agent.authorize_url()), await browser.log_in(eve)):
        actions = re.findall(r"<form ([^>]*)>", page.text)
        assert actions
        for attributes in actions:
            named = re.search(r'action="([^"]*)"', attributes)
            assert named
            assert html.unescape(named[1]) == f"?{urlsplit(browser.url).query}"


async def test_refusing_is_said_to_the_app(eve: Visitor, agent: Agent) -> None:
    browser = Browser(agent.client)
    await browser.open(agent.authorize_url())
    await browser.log_in(eve)
    answered = query_of(await browser.answer("deny"))
    assert answered["error"] == "access_denied"
    assert answered["iss"] == BASE
    assert "code" not in answered
    assert len((await eve.get("/api/auth/sessions")).json()) == 1  # the login for the answer has ended


async def test_the_login_of_the_web_client_is_enough(eve: Visitor, agent: Agent) -> None:
    browser = Browser(agent.client)
    await browser.open(agent.authorize_url())
    page = await browser.send(action="session", access_token=eve.access)
    assert eve.email in page.text
    assert query_of(await browser.answer())["code"]
    assert await eve.is_in()


async def test_only_a_login_can_connect_an_app(eve: Visitor, agent: Agent) -> None:
    pair = await agent.connect(eve, resource=BASE)
    tokens = (pair["access_token"], (await eve.api_token(scope="write"))["token"], "nonsense", "")
    browser = Browser(agent.client)
    for token in tokens:
        for action in ("session", "allow"):
            await browser.open(agent.authorize_url())
            page = await browser.send(action=action, access_token=token, scope="write")
            assert page.status_code == 200
            assert 'name="password"' in page.text


async def test_an_ended_login_allows_nothing(eve: Visitor, agent: Agent, sql: Any) -> None:
    browser = Browser(agent.client)
    await browser.open(agent.authorize_url())
    await browser.log_in(eve)
    await sql.execute("update sessions set ended_at = now() where user_id = $1", eve.id)
    assert 'name="password"' in (await browser.answer()).text
    assert challenge_of(agent.verifier) in browser.url
    assert CALLBACK not in browser.page
