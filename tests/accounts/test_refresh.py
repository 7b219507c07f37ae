"""Refresh tokens: each is used once, and reuse of a copy ends the session."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from app.services.accounts import refresh
from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor
from tests.support import assert_problem

AGE = (
    "update refresh_tokens set used_at = used_at - make_interval(secs => $2) where user_id = $1 and used_at is not null"
)


async def test_a_refresh_rotates_the_pair(ann: Visitor) -> None:
    before = (ann.access, ann.refresh_token)
    pair = ann.take(await ann.refresh())
    assert (ann.access, ann.refresh_token) != before
    assert pair["refresh_token"] != before[1]
    assert await ann.is_in()
    assert await ann.is_in(before[0])  # of the same session, and not expired
    assert len((await ann.get("/api/auth/sessions")).json()) == 1


async def test_the_database_never_contains_a_token(ann: Visitor, sql: Any) -> None:
    ann.take(await ann.refresh())
    token = await ann.api_token()
    dump = ""
    for table in ("sessions", "refresh_tokens", "api_tokens", "accounts"):
        dump += str(
            [tuple(row) for row in await sql.fetch(f"select t::text from {table} t where user_id = $1", ann.id)]
        )
    for secret in (ann.access, ann.refresh_token, token["token"], PASSWORD):
        assert secret not in dump
        assert secret.rpartition("_")[2] not in dump


async def test_one_of_50_concurrent_refreshes_succeeds(ann: Visitor) -> None:
    answers = await asyncio.gather(*(ann.refresh() for _ in range(50)))
    (winner,) = (answer for answer in answers if answer.status_code == 200)
    for answer in answers:
        if answer is not winner:
            assert_problem(answer, 409, "refresh_in_progress")
            assert answer.headers["retry-after"] == "1"
    # The race logs no client out, and a retry returns the successor that the winner received.
    await asyncio.sleep(1)
    again = await asyncio.gather(*(ann.refresh() for _ in range(5)))
    assert {answer.json()["refresh_token"] for answer in again} == {winner.json()["refresh_token"]}
    ann.take(winner)
    ann.take(await ann.refresh())
    assert await ann.is_in()


async def test_one_of_concurrent_refreshes_in_two_processes_succeeds(ann: Visitor, start: Start) -> None:
    other = Visitor(await start())
    other.refresh_token = ann.refresh_token
    answers = await asyncio.gather(*(visitor.refresh() for visitor in (ann, other) * 10))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19


async def test_a_refresh_can_be_repeated_for_10_seconds_after_a_lost_response(ann: Visitor, sql: Any) -> None:
    first = ann.refresh_token
    lost = (await ann.refresh()).json()
    at_once = await ann.refresh(first)
    assert at_once.json()["refresh_token"] == lost["refresh_token"]
    await sql.execute(AGE, ann.id, 9)
    again = await ann.refresh(first)
    assert again.status_code == 200
    assert again.json()["refresh_token"] == lost["refresh_token"]
    ann.take(again)
    ann.take(await ann.refresh())
    assert await ann.is_in()


async def test_reuse_after_the_grace_period_ends_the_session(
    ann: Visitor, sql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    phone = await ann.another_device()
    stolen = ann.refresh_token
    ann.take(await ann.refresh())
    await sql.execute(AGE, ann.id, 11)
    with caplog.at_level(logging.WARNING, "app.security"):
        assert_problem(await ann.refresh(stolen), 401, "refresh_token_invalid")
    (record,) = [record for record in caplog.records if record.message == "refresh_token_reused"]
    assert record.__dict__["user_id"] == ann.id
    assert stolen not in caplog.text
    assert_problem(await ann.refresh(), 401, "refresh_token_invalid")
    assert not await ann.is_in()
    assert await phone.is_in()  # another session
    phone.take(await phone.refresh())


async def test_reuse_of_a_token_two_generations_old_ends_the_session_at_once(ann: Visitor) -> None:
    grandparent = ann.refresh_token
    ann.take(await ann.refresh())
    ann.take(await ann.refresh())
    assert_problem(await ann.refresh(grandparent), 401)
    assert_problem(await ann.refresh(), 401)


@pytest.mark.parametrize("column", ["idle_ends_at", "ends_at", "ended_at"])
async def test_an_ended_session_cannot_be_refreshed(ann: Visitor, sql: Any, column: str) -> None:
    await sql.execute(f"update sessions set {column} = now() - interval '1 second' where user_id = $1", ann.id)
    assert_problem(await ann.refresh(), 401, "refresh_token_invalid")
    assert await sql.fetchval("select used_at from refresh_tokens where user_id = $1", ann.id) is None


async def test_a_session_idles_7_days_and_lasts_30(ann: Visitor, sql: Any) -> None:
    read = "select extract(day from idle_ends_at - created_at), extract(day from ends_at - created_at) from sessions"
    assert tuple(await sql.fetchrow(f"{read} where user_id = $1", ann.id)) == (7, 30)
    await sql.execute("update sessions set created_at = created_at - interval '3 days' where user_id = $1", ann.id)
    ann.take(await ann.refresh())
    assert tuple(await sql.fetchrow(f"{read} where user_id = $1", ann.id)) == (10, 33)


@pytest.mark.parametrize("token", ["x", "todo_rt_" + "x" * 43, "é", "a.b.c"])
async def test_an_unknown_refresh_token_is_refused(client: httpx.AsyncClient, ann: Visitor, token: str) -> None:
    assert_problem(await ann.refresh(token), 401, "refresh_token_invalid")
    assert_problem(await ann.refresh(ann.access), 401, "refresh_token_invalid")


async def test_a_missing_refresh_token_is_refused(client: httpx.AsyncClient) -> None:
    for body in (None, {}, {"refresh_token": None}):
        assert_problem(await client.post("/api/auth/refresh", json=body), 401, "refresh_token_missing")
    assert_problem(await client.post("/api/auth/refresh"), 401, "refresh_token_missing")


async def test_old_refresh_tokens_are_deleted(ann: Visitor, sql: Any) -> None:
    count = "select count(*) from refresh_tokens where user_id = $1"
    for _ in range(3):
        ann.take(await ann.refresh())
    assert await sql.fetchval(count, ann.id) == 4
    await sql.execute(AGE, ann.id, 8 * 86_400)
    ann.take(await ann.refresh())
    assert await sql.fetchval(count, ann.id) == 2
    await sql.execute("update sessions set ended_at = now() - interval '31 days' where user_id = $1", ann.id)
    ann.take(await ann.login())
    assert await sql.fetchval(count, ann.id) == 1


async def test_the_grace_period_is_ten_seconds() -> None:
    assert refresh.REPEAT_GRACE.total_seconds() == 10


# ---- in a cookie

COOKIE_REQUEST = {"X-Refresh-Cookie": "true"}


async def in_cookie(start: Start, **changes: Any) -> Visitor:
    http = await start(refresh_cookie=True, **{"cors_origins": ["https://app.example"], **changes})
    visitor = Visitor(http)
    body = {"email": visitor.email, "password": PASSWORD}
    answer = await http.post("/api/auth/register", json=body, headers={"Origin": "https://app.example"})
    assert visitor.take(answer, 201)["refresh_token"] is None
    return visitor


async def test_the_refresh_cookie_has_protective_attributes(start: Start) -> None:
    http = await start(refresh_cookie=True, base_url="https://test")
    answer = await http.post("/api/auth/register", json={"email": Visitor(http).email, "password": PASSWORD})
    parts = answer.headers["set-cookie"].split("; ")
    assert parts[0].startswith("todo_refresh=todo_rt_")
    assert {"HttpOnly", "Max-Age=604800", "Path=/api/auth", "SameSite=strict", "Secure"} == set(parts[1:])


@pytest.mark.parametrize(("base_url", "secure"), [("http://localhost:8000", False), ("http://test", True)])
async def test_the_refresh_cookie_is_secure_except_on_localhost(start: Start, base_url: str, secure: bool) -> None:
    http = await start(refresh_cookie=True, base_url=base_url)
    answer = await http.post("/api/auth/register", json={"email": Visitor(http).email, "password": PASSWORD})
    assert ("Secure" in answer.headers["set-cookie"]) == secure


async def test_the_refresh_cookie_refreshes_and_logs_out(start: Start) -> None:
    visitor = await in_cookie(start, base_url="http://localhost")
    origin = {"Origin": "https://app.example"}
    before = visitor.client.cookies["todo_refresh"]
    pair = visitor.take(await visitor.client.post("/api/auth/refresh", headers=origin))
    assert pair["refresh_token"] is None
    assert visitor.client.cookies["todo_refresh"] != before
    assert (await visitor.client.post("/api/auth/logout", headers=origin)).status_code == 204
    assert "todo_refresh" not in visitor.client.cookies
    assert not await visitor.is_in()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", None, "https://app.example.evil", "http://app.example"]
)
async def test_another_site_cannot_use_the_refresh_cookie(start: Start, origin: str | None) -> None:
    visitor = await in_cookie(start, base_url="http://localhost")
    headers = {} if origin is None else {"Origin": origin}
    before = visitor.client.cookies["todo_refresh"]
    assert_problem(await visitor.client.post("/api/auth/refresh", headers=headers), 403, "origin_refused")
    assert_problem(await visitor.client.post("/api/auth/logout", headers=headers), 403, "origin_refused")
    assert visitor.client.cookies["todo_refresh"] == before


async def test_pages_of_the_service_can_use_the_refresh_cookie(start: Start) -> None:
    visitor = await in_cookie(start, base_url="http://localhost:8000")
    own = {"Origin": "http://localhost:8000"}
    assert (await visitor.client.post("/api/auth/refresh", headers=own)).status_code == 200


async def asked_for(start: Start, **changes: Any) -> Visitor:
    http = await start(base_url="https://test", **changes)
    visitor = Visitor(http)
    body = {"email": visitor.email, "password": PASSWORD}
    assert (
        visitor.take(await http.post("/api/auth/register", json=body, headers=COOKIE_REQUEST), 201)["refresh_token"]
        is None
    )
    return visitor


async def test_a_page_of_the_service_can_request_the_cookie_without_the_setting(start: Start) -> None:
    visitor = await asked_for(start)
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://test"}
    # It came in the cookie and is returned in it, also without a request for it: a script must never receive it.
    pair = visitor.take(await visitor.client.post("/api/auth/refresh", headers=headers))
    assert pair["refresh_token"] is None
    assert (await visitor.client.post("/api/auth/logout", headers=headers)).status_code == 204
    assert "todo_refresh" not in visitor.client.cookies


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost:3000"}, {"Origin": "https://app.example"}, {"Sec-Fetch-Site": "same-site"},
     {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}],
)  # fmt: skip
async def test_no_other_page_can_use_a_requested_cookie(start: Start, headers: dict[str, str]) -> None:
    visitor = await asked_for(start, cors_origins=["https://app.example"])
    assert_problem(
        await visitor.client.post("/api/auth/refresh", headers=headers | COOKIE_REQUEST), 403, "origin_refused"
    )


async def test_sec_fetch_site_identifies_own_pages_behind_a_proxy(start: Start) -> None:
    visitor = await asked_for(start)
    headers = {"Host": "inside:8000", "Origin": "https://todo.example", "Sec-Fetch-Site": "same-origin"}
    visitor.take(await visitor.client.post("/api/auth/refresh", headers=headers | COOKIE_REQUEST))


async def test_another_origin_cannot_request_the_cookie(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    headers["Access-Control-Request-Headers"] = "content-type, x-refresh-cookie"
    assert_problem(await client.options("/api/auth/login", headers=headers), 400, "cors_refused")


async def test_the_refresh_token_is_in_the_body_unless_a_cookie_is_requested(ann: Visitor) -> None:
    assert "set-cookie" not in (await ann.login()).headers


@pytest.mark.parametrize("origin", ["http://[", "https://[::1", "http://localhost:x", "//", "null", "\x7f"])
async def test_an_invalid_origin_is_refused(start: Start, origin: str) -> None:
    visitor = await in_cookie(start, base_url="http://localhost")
    answer = await visitor.client.post("/api/auth/refresh", headers={"Origin": origin})
    assert_problem(answer, 403, "origin_refused")


@pytest.mark.parametrize(
    ("public_url", "origins", "origin", "status"),
    [
        ("https://Todo.example/base", [], "https://todo.example", 200),
        ("https://todo.example", [], "http://localhost:3000", 403),
        ("https://todo.example", [], "https://todo.example.evil.test", 403),
        ("https://todo.example", ["https://app.example"], "https://app.example", 200),
        ("https://todo.example", ["https://app.example"], "https://todo.example", 200),
        ("", [], "http://localhost:3000", 200),
        ("", ["https://app.example"], "http://localhost:3000", 403),
    ],
)
async def test_the_public_url_is_an_allowed_origin(
    start: Start, public_url: str, origins: list[str], origin: str, status: int
) -> None:
    visitor = await in_cookie(start, public_url=public_url, cors_origins=origins, base_url="http://localhost")
    # Secure, so the client does not send it itself
    cookie = {"Cookie": f"todo_refresh={visitor.client.cookies['todo_refresh']}"}
    answer = await visitor.client.post("/api/auth/refresh", headers={"Origin": origin, **cookie})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("public_url", "headers", "peer", "secure"),
    [
        ("", {}, "127.0.0.1", False),
        ("", {}, "::ffff:127.0.0.1", False),
        ("http://localhost", {}, "::1", False),
        ("", {}, "192.0.2.1", True),
        ("", {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1", True),
        ("", {"X-Forwarded-Host": "todo.example"}, "127.0.0.1", True),
        ("https://todo.example", {}, "127.0.0.1", True),
    ],
)
async def test_the_cookie_is_secure_unless_client_and_service_share_a_machine(
    start: Start, public_url: str, headers: dict[str, str], peer: str, secure: bool
) -> None:
    http = await start(refresh_cookie=True, public_url=public_url)
    transport = httpx.ASGITransport(http._transport.app, client=(peer, 50_000))  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as browser:
        body = {"email": Visitor(browser).email, "password": PASSWORD}
        answer = await browser.post("/api/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    assert ("Secure" in answer.headers["set-cookie"]) == secure


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic eDp5", "Bearer a.b.c", "ended"])
async def test_logging_out_by_cookie_ignores_the_access_token(start: Start, header: str) -> None:
    visitor = await in_cookie(start, base_url="http://localhost")
    token = visitor.client.cookies["todo_refresh"]
    if header == "ended":
        spare = await Visitor(visitor.client, visitor.email).another_device()
        assert (await spare.call("POST", "/api/auth/logout")).status_code == 204
        header = f"Bearer {spare.access}"
    given = {"Authorization": header, "Origin": "https://app.example", "Cookie": f"todo_refresh={token}"}
    answer = await visitor.client.post("/api/auth/logout", headers=given)
    assert answer.status_code == 204, answer.text
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert not await visitor.is_in()


async def test_logging_out_by_body_ignores_the_access_token(ann: Visitor) -> None:
    wrong = {"Authorization": "Bearer nonsense"}
    assert_problem(await ann.client.post("/api/auth/logout", headers=wrong), 401, "token_invalid")
    assert await ann.is_in()
    body = {"refresh_token": ann.refresh_token}
    assert (await ann.client.post("/api/auth/logout", headers=wrong, json=body)).status_code == 204
    assert not await ann.is_in()
