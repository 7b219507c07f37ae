"""Registration, login, and the user's own account."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher

from app.auth.passwords import load_common_passwords
from app.errors import Contention
from app.services.accounts.login_throttle import FREE_PER_ADDRESS, FREE_PER_PAIR
from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor
from tests.support import SECRET, assert_problem


async def test_registering_logs_in(client: httpx.AsyncClient) -> None:
    visitor = Visitor(client)
    body = {"email": visitor.email, "password": PASSWORD, "name": "Ann", "timezone": "Europe/Berlin"}
    answer = await client.post("/api/auth/register", json=body)
    pair = visitor.take(answer, 201)
    assert pair["user"] == {
        "id": visitor.id,
        "email": visitor.email,
        "name": "Ann",
        "timezone": "Europe/Berlin",
        "pending_email": None,
        "email_confirmed_at": None,
        "created_at": pair["user"]["created_at"],
    }
    assert pair["user"]["created_at"].endswith("Z")
    assert (pair["token_type"], pair["expires_in"], len(visitor.id)) == ("bearer", 900, 32)
    assert answer.headers["cache-control"] == "no-store"
    created = await visitor.call("POST", f"/api/{visitor.id}/tasks", {"title": "mine", "due_date": "2026-07-01T09:00"})
    assert created.json()["due_date"] == "2026-07-01T07:00:00Z"  # in the user's time zone
    assert (await visitor.get("/api/auth/me")).json() == pair["user"]


async def test_an_access_token_conforms_to_rfc_9068(ann: Visitor) -> None:
    assert jwt.get_unverified_header(ann.access) == {"alg": "HS256", "typ": "at+jwt"}
    claims = jwt.decode(ann.access, SECRET, ["HS256"], audience="urn:todo", issuer="urn:todo")
    assert claims.keys() == {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (ann.id, 900)


@pytest.mark.parametrize("name", ["login", "signin"])
async def test_a_user_logs_in(ann: Visitor, name: str) -> None:
    body = {"email": ann.email.upper(), "password": PASSWORD}
    pair = ann.take(await ann.client.post(f"/api/auth/{name}", json=body))
    assert pair["user"]["email"] == ann.email
    assert await ann.is_in()


async def test_signup_is_an_alias_of_register(client: httpx.AsyncClient) -> None:
    visitor = Visitor(client)
    visitor.take(await client.post("/api/auth/signup", json={"email": visitor.email, "password": PASSWORD}), 201)
    assert await visitor.is_in()


@pytest.mark.parametrize(
    ("first", "second"),
    [("{}@example.com", "{}@EXAMPLE.com"), ("STRASSE{}@x.test", "straße{}@x.test"), ("É{}@x.test", "e\u0301{}@x.test")],
)
async def test_an_email_is_taken_in_every_spelling(client: httpx.AsyncClient, first: str, second: str) -> None:
    mark = Visitor(client).email[:12]
    await Visitor(client, first.format(mark)).register()
    body = {"email": second.format(mark.upper()), "password": PASSWORD}
    assert_problem(await client.post("/api/auth/register", json=body), 409, "email_taken")


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "nobody"}, {"email": "a@b@c"}, {"email": "a b@x.test"}, {"email": "\0@x.test"}, {"email": 5},
        {"email": "x" * 250 + "@x.test"}, {"email": "\ud800@x.test"}, {"password": "1234567"}, {"password": "x" * 129},
        {"password": None}, {"password": 12345678}, {"timezone": "Mars/Base"}, {"timezone": "../etc/passwd"},
        {"name": "x" * 101}, {"name": "a\0"}, {"admin": True}, {"id": "x"},
    ],
)  # fmt: skip
async def test_an_invalid_registration_is_refused(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    body = {"email": Visitor(client).email, "password": PASSWORD, **fields}
    answer = await client.post(
        "/api/auth/register", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    problem = assert_problem(answer, 422, "validation_error")
    assert PASSWORD not in answer.text
    assert problem["errors"][0]["loc"][:2] == ["body", *fields]


async def test_the_list_of_common_passwords_is_complete() -> None:
    assert len(load_common_passwords()) == 10_000
    assert sum(len(password) >= 8 for password in load_common_passwords()) == 3_395


@pytest.mark.parametrize("password", ["password", "12345678", "PASSWORD", "iloveyou", "\uff50assword", "qwertyuiop"])
async def test_common_passwords_are_refused(client: httpx.AsyncClient, password: str) -> None:
    body = {"email": Visitor(client).email, "password": password}
    assert_problem(await client.post("/api/auth/register", json=body), 422, "weak_password")


@pytest.mark.parametrize(
    "password", ["        ", "aaaaaaab", "x" * 128, "пароль-пароль", "e\u0301" * 10, "tab\tand\0nul"]
)
async def test_any_other_password_is_accepted(client: httpx.AsyncClient, password: str) -> None:
    visitor = Visitor(client)
    visitor.password = password
    await visitor.register()
    assert (await visitor.login()).status_code == 200
    assert (await visitor.login(password=password.replace("e\u0301", "é"))).status_code == 200
    assert (await visitor.login(password=password[:-1] or "x")).status_code == 401


async def test_the_hash_is_argon2id_and_is_renewed_with_new_parameters(ann: Visitor, sql: Any) -> None:
    find = "select password_hash from accounts where user_id = $1"
    assert (await sql.fetchval(find, ann.id)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    weak = Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await sql.execute("update accounts set password_hash = $2 where user_id = $1", ann.id, weak)
    assert (await ann.login(password="wrong")).status_code == 401
    assert await sql.fetchval(find, ann.id) == weak
    assert (await ann.login()).status_code == 200
    assert (await sql.fetchval(find, ann.id)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_unknown_email_and_wrong_password_have_the_same_response(ann: Visitor) -> None:
    wrong = await ann.login(password="not this one")
    unknown = await ann.login(email=Visitor(ann.client).email)
    first, second = assert_problem(wrong, 401, "login_failed"), assert_problem(unknown, 401, "login_failed")
    assert first | {"request_id": ""} == second | {"request_id": ""}
    assert wrong.headers.keys() == unknown.headers.keys()


@pytest.mark.slow
async def test_unknown_email_and_wrong_password_take_the_same_time(ann: Visitor, sql: Any) -> None:
    """Compares medians of interleaved attempts: the load of the machine affects both alike."""
    differences: list[float] = []
    for _ in range(3):  # a difference caused by the machine does not recur
        times: dict[str, list[float]] = {ann.email: [], Visitor(ann.client).email: []}
        for number in range(100):
            if number % 8 == 0:
                await sql.execute("delete from login_attempts")
            for email in sorted(times, reverse=number % 2 == 0):
                started = time.perf_counter()
                assert (await ann.login(email=email, password="not this one")).status_code == 401
                times[email].append(time.perf_counter() - started)
        known, unknown = (statistics.median(found) for found in times.values())
        differences.append(abs(known / unknown - 1))
        if differences[-1] < 0.10:
            return
    pytest.fail(f"they differ by {differences}")


async def test_a_new_time_zone_names_the_revision_of_the_reminders_that_it_shifts(ann: Visitor) -> None:
    path = "/api/auth/me"
    assert "x-revision" not in (await ann.call("PATCH", path, {"timezone": "Asia/Tokyo"})).headers
    task = {"title": "x", "due_date": "2090-01-01", "reminders": ["-P1D"]}
    assert (await ann.call("POST", "/api/me/tasks", task)).headers["x-revision"] == "1"
    assert (await ann.call("PATCH", path, {"timezone": "Europe/Berlin"})).headers["x-revision"] == "2"
    assert "x-revision" not in (await ann.call("PATCH", path, {"name": "Ann B."})).headers


async def test_an_account_is_changed(ann: Visitor, client: httpx.AsyncClient) -> None:
    changed = await ann.call("PATCH", "/api/auth/me", {"name": "Ann B.", "timezone": "Asia/Tokyo"})
    assert changed.json() == (await ann.get("/api/auth/me")).json()
    assert (changed.json()["name"], changed.json()["timezone"]) == ("Ann B.", "Asia/Tokyo")
    new = Visitor(client).email
    move = {"email": new, "current_password": PASSWORD, "timezone": "Asia/Seoul"}
    moved = (await ann.call("PATCH", "/api/auth/me", move)).json()
    assert (moved["email"], moved["timezone"]) == (new, "Asia/Seoul")
    assert (await ann.login()).status_code == 401
    ann.email = new
    assert (await ann.login()).status_code == 200
    other = await Visitor(client).register()
    move["email"] = other.email.upper()
    assert_problem(await ann.call("PATCH", "/api/auth/me", move), 409, "email_taken")
    for body in (
        {},
        {"current_password": PASSWORD},
        {"email": new},
        {"timezone": None},
        {"email": "x"},
        {"id": "x"},
        {"password": "y" * 9},
    ):
        assert_problem(await ann.call("PATCH", "/api/auth/me", body), 422)


async def test_changing_the_email_requires_the_password(ann: Visitor, client: httpx.AsyncClient) -> None:
    move = {"email": Visitor(client).email, "current_password": "a wrong guess"}
    for _ in range(FREE_PER_PAIR):
        assert_problem(await ann.call("PATCH", "/api/auth/me", move), 403, "wrong_password")
    assert_problem(await ann.call("PATCH", "/api/auth/me", move | {"current_password": PASSWORD}), 429)
    assert (await ann.get("/api/auth/me")).json()["email"] == ann.email
    assert (await ann.call("PATCH", "/api/auth/me", {"name": "Ann B."})).status_code == 200


async def test_registrations_are_throttled_before_hashing(
    client: httpx.AsyncClient, app: FastAPI, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Visitor(client).register()
    await sql.execute("update login_attempts set failures = $1 where account = ''", FREE_PER_ADDRESS)
    await Visitor(client).register()

    async def never(*_: Any) -> str:
        raise AssertionError("hashed")

    monkeypatch.setattr(app.state.auth.hasher, "hash", never)
    answer = await client.post("/api/auth/register", json={"email": Visitor(client).email, "password": PASSWORD})
    assert_problem(answer, 429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) >= 1


async def test_concurrent_registrations_succeed(client: httpx.AsyncClient) -> None:
    found = await asyncio.gather(*(Visitor(client).register() for _ in range(20)))
    assert len({visitor.id for visitor in found}) == 20


async def test_a_user_of_another_issuer_has_no_account(alice: Any) -> None:
    assert_problem(await alice.get("/api/auth/me"), 404, "account_not_found")
    assert_problem(await alice.get("/api/auth/sessions"), 403, "login_required")
    assert_problem(await alice.patch("/api/auth/me", {"name": "x"}), 403, "login_required")


async def test_registration_can_be_closed(start: Start) -> None:
    client = await start(registration="closed")
    body = {"email": Visitor(client).email, "password": PASSWORD}
    assert_problem(await client.post("/api/auth/register", json=body), 403, "registration_closed")


async def test_a_disabled_account_cannot_log_in(ann: Visitor, sql: Any) -> None:
    await sql.execute("update accounts set disabled_at = now() where user_id = $1", ann.id)
    assert_problem(await ann.login(), 403, "account_disabled")
    assert_problem(await ann.login(password="wrong"), 401, "login_failed")
    assert_problem(await ann.refresh(), 401, "refresh_token_invalid")


async def test_accounts_are_unavailable_without_a_signing_key(start: Start) -> None:
    client = await start(jwt_secret=None, better_auth_url="http://127.0.0.1:1")
    body = {"email": Visitor(client).email, "password": PASSWORD}
    assert_problem(await client.post("/api/auth/register", json=body), 503, "accounts_unavailable")


async def test_a_login_stores_ip_address_and_user_agent(
    ann: Visitor, from_address: Callable[[str], httpx.AsyncClient]
) -> None:
    async with from_address("203.0.113.9") as elsewhere:
        elsewhere.headers["User-Agent"] = "Phone \x1b[31m" + "x" * 400
        phone = await ann.another_device(elsewhere)
        found = (await phone.get("/api/auth/sessions")).json()
    assert [session["current"] for session in found] == [True, False]
    assert found[0]["address"] == "203.0.113.9"
    assert found[0]["user_agent"] == ("Phone [31m" + "x" * 400)[:300]


async def test_contention_during_a_login_is_503(ann: Visitor, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def contended(*_: Any) -> None:
        raise Contention(retry_after=1)

    monkeypatch.setattr(app.state.auth.hasher, "verify", contended)
    assert_problem(await ann.login(), 503, "contention")


async def test_a_new_time_zone_moves_reminders(ann: Visitor) -> None:
    body = {"title": "a", "due_date": "2090-07-01", "reminders": ["PT9H"]}
    task = (await ann.call("POST", f"/api/{ann.id}/tasks", body)).json()
    assert (task["remind_at"], task["version"]) == ("2090-07-01T09:00:00Z", 1)
    await ann.call("PATCH", "/api/auth/me", {"timezone": "Asia/Tokyo"})
    task = (await ann.get(f"/api/{ann.id}/tasks/{task['id']}")).json()
    assert (task["remind_at"], task["version"]) == ("2090-07-01T00:00:00Z", 2)
