"""A grant is no login: what the tokens of an app open, and what they never do."""

import time
from typing import Any

import httpx
import jwt
import pytest

from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor
from tests.api.test_routes import ACCOUNT, PRIVATE, concrete
from tests.oauth.support import APP, app_of, call_mcp, make_grant
from tests.support import SECRET, assert_problem

SERVICE = APP._replace(resource="http://test")
MCP = APP._replace(resource="http://localhost/mcp")
OPEN_TO_APPS = {("GET", "/api/auth/me")}


async def test_a_grant_for_the_service_opens_what_its_scope_says(ann: Visitor, sql: Any) -> None:
    token = await make_grant(ann, sql, SERVICE)
    made = await ann.call("POST", "/api/me/tasks", {"title": "by an app"}, token=token)
    assert made.status_code == 201
    (entry,) = (await ann.get(f"/api/me/tasks/{made.json()['id']}/history")).json()
    assert entry["through"] == "app:Example App"
    reading = await make_grant(ann, sql, SERVICE._replace(scope="read"))
    assert_problem(await ann.call("POST", "/api/me/tasks", {"title": "x"}, token=reading), 403, "insufficient_scope")
    assert len((await ann.get("/api/me/tasks", token=reading)).json()) == 1


@pytest.mark.parametrize(("method", "path"), [route for route in ACCOUNT if route not in OPEN_TO_APPS])
async def test_an_app_cannot_manage_the_account(ann: Visitor, sql: Any, method: str, path: str) -> None:
    answer = await ann.call(method, concrete(path, "me", 1), {}, token=await make_grant(ann, sql, SERVICE))
    assert_problem(answer, 403, "login_required")
    assert await ann.is_in()


@pytest.mark.parametrize(("method", "path"), PRIVATE + ACCOUNT)
async def test_a_grant_for_another_resource_opens_no_route(ann: Visitor, sql: Any, method: str, path: str) -> None:
    for resource in ("http://test/mcp", "http://test/", "http://test/api", "https://test", "http://test.evil.example"):
        token = await make_grant(ann, sql, APP._replace(resource=resource))
        answer = await ann.call(method, concrete(path, "me", 1), {}, token=token)
        assert_problem(answer, 401, "token_invalid")


async def test_a_prefix_that_is_sent_does_not_widen_a_grant(start: Start, sql: Any) -> None:
    """With /mcp as the prefix, the URL of the whole service would be the resource of a part of it."""
    http = await start(base_url="http://localhost", forwarded_allow_ips="*")
    visitor = await Visitor(http).register()
    token = await make_grant(visitor, sql, MCP)
    for prefix in ("/mcp", "mcp/", "/x"):
        headers = {"X-Forwarded-Prefix": prefix}
        assert_problem(await visitor.get("/api/me/tasks", token=token, headers=headers), 401, "token_invalid")
        metadata = await http.get("/.well-known/oauth-authorization-server", headers=headers)
        assert metadata.status_code == 404
    assert (await call_mcp(visitor, token, Host="localhost")).status_code == 200


async def test_mcp_takes_grants_for_itself_and_for_the_service(ann: Visitor, sql: Any) -> None:
    for resource, status in (("http://localhost/mcp", 200), ("http://localhost", 200), ("http://localhost/api", 401)):
        token = await make_grant(ann, sql, APP._replace(resource=resource))
        assert (await call_mcp(ann, token, Host="localhost")).status_code == status, resource


async def test_a_token_of_another_issuer_for_mcp_opens_nothing_else(start: Start) -> None:
    http = await start(public_url="https://todo.example", base_url="https://todo.example")
    claims = {"sub": "bob", "aud": "https://todo.example/mcp", "exp": int(time.time()) + 60, "scope": "read"}
    visitor = Visitor(http)
    visitor.access = jwt.encode(claims, SECRET, "HS256")
    assert_problem(await visitor.get("/api/me/tasks"), 401, "token_invalid")
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert (await call_mcp(visitor, visitor.access, message, Host="todo.example")).status_code == 200
    message |= {"method": "tools/call", "params": {"name": "add_task", "arguments": {"title": "x"}}}
    refused = await call_mcp(visitor, visitor.access, message, Host="todo.example")
    assert_problem(refused, 403, "insufficient_scope")


async def test_lists_of_sessions_show_no_grant_and_do_not_end_it(ann: Visitor, sql: Any) -> None:
    token = await make_grant(ann, sql, SERVICE)
    (own,) = (await ann.get("/api/auth/sessions")).json()
    assert own["current"]
    grant = await sql.fetchval("select id from sessions where user_id = $1 and client_id is not null", ann.id)
    assert_problem(await ann.call("DELETE", f"/api/auth/sessions/{grant}"), 404, "session_not_found")
    assert (await ann.call("DELETE", "/api/auth/sessions")).status_code == 204
    assert await ann.is_in(token)
    assert [each["id"] for each in (await ann.get("/api/auth/me/export")).json()["sessions"]] == [own["id"]]


async def test_logging_out_with_the_token_of_an_app_is_refused(ann: Visitor, sql: Any) -> None:
    token = await make_grant(ann, sql, SERVICE)
    assert_problem(await ann.call("POST", "/api/auth/logout", token=token), 403, "login_required")
    assert await ann.is_in(token)
    assert await ann.is_in()


@pytest.mark.parametrize("how", ["password", "disabled"])
async def test_grants_end_with_what_ends_every_session(ann: Visitor, sql: Any, how: str) -> None:
    token = await make_grant(ann, sql, SERVICE)
    assert await ann.is_in(token)
    if how == "password":
        changed = {"current_password": PASSWORD, "new_password": "another battery"}
        ann.take(await ann.call("PUT", "/api/auth/password", changed))
    else:
        await sql.execute("update accounts set disabled_at = now() where user_id = $1", ann.id)
        app_of(ann).state.auth.revocations.forget(ann.id)
    assert not await ann.is_in(token)


async def test_the_addresses_of_apps_are_not_known_to_the_login_throttle(ann: Visitor, sql: Any) -> None:
    """Else a client that shares a server with an app could guess passwords of its users without being slowed down."""
    await sql.execute("delete from sessions where user_id = $1", ann.id)
    await make_grant(ann, sql)
    await sql.execute("update sessions set address = '127.0.0.1' where user_id = $1", ann.id)
    await ann.login(password="wrong")
    counted = "select count(*) from login_attempts where account <> '' and address = ''"
    assert await sql.fetchval(counted) == 1  # the counter of all IP addresses, from which known ones are exempt


async def test_the_use_of_a_grant_is_recorded(ann: Visitor, sql: Any) -> None:
    token = await make_grant(ann, sql, SERVICE)
    await sql.execute("update sessions set last_used_at = now() - interval '2 minutes' where user_id = $1", ann.id)
    assert await ann.is_in(token)
    recent = "select client_id is not null from sessions where user_id = $1 and last_used_at > now() - interval '5 s'"
    assert [row[0] for row in await sql.fetch(recent, ann.id)] == [True]


async def test_a_grant_is_refused_in_every_process(ann: Visitor, sql: Any, start: Start) -> None:
    other: httpx.AsyncClient = await start()
    token = await make_grant(ann, sql, SERVICE)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await other.get("/api/me/tasks", headers=headers)).status_code == 200
    await sql.execute("update sessions set ended_at = now() where user_id = $1", ann.id)
    app_of(ann).state.auth.revocations.forget(ann.id)
    assert not await ann.is_in(token)
    transport: Any = other._transport
    transport.app.state.auth.revocations._seen.clear()
    assert_problem(await other.get("/api/me/tasks", headers=headers), 401, "session_ended")
