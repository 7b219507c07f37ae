"""API tokens: their scope, their limits, and how they end."""

import re
from typing import Any

import pytest

from app.auth.opaque_tokens import is_api_token, new_api_token
from tests.accounts.support import Visitor
from tests.api.test_routes import ACCOUNT, PRIVATE, concrete
from tests.support import Person, assert_problem

UNSAFE = [route for route in PRIVATE + ACCOUNT if route[0] not in ("GET", "HEAD", "OPTIONS")]


async def test_an_api_token_is_shown_once_and_works(ann: Visitor) -> None:
    made = await ann.api_token(name="backup", scope="write")
    assert made.keys() == {"id", "name", "scope", "hint", "created_at", "expires_at", "last_used_at", "token"}
    assert re.fullmatch(r"todo_pat_[0-9A-Za-z]{38}", made["token"])
    assert made["hint"] == made["token"][:13]
    created = await ann.call("POST", f"/api/{ann.id}/tasks", {"title": "by script"}, token=made["token"])
    assert created.status_code == 201
    (listed,) = (await ann.get("/api/auth/tokens")).json()
    assert listed == {k: v for k, v in made.items() if k != "token"} | {"last_used_at": listed["last_used_at"]}
    assert listed["last_used_at"]
    assert made["token"] not in (await ann.get("/api/auth/me/export")).text


@pytest.mark.parametrize(("method", "path"), UNSAFE)
async def test_a_read_token_cannot_write_on_any_route(ann: Visitor, method: str, path: str) -> None:
    token = (await ann.api_token(scope="read"))["token"]
    task = (await ann.call("POST", "/api/me/tasks", {"title": "x"})).json()
    answer = await ann.call(method, concrete(path, "me", task["id"]), {"title": "y"}, token=token)
    assert_problem(answer, 403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert (await ann.get("/api/me/tasks", token=token)).json() == [task]


@pytest.mark.parametrize(("method", "path"), [route for route in ACCOUNT if route != ("GET", "/api/auth/me")])
async def test_an_api_token_cannot_manage_the_account(ann: Visitor, method: str, path: str) -> None:
    token = (await ann.api_token(scope="write"))["token"]
    answer = await ann.call(method, concrete(path, "me", 1), {}, token=token)
    assert_problem(answer, 403, "login_required")


async def test_an_api_token_belongs_to_its_user(ann: Visitor, alice: Person) -> None:
    token = (await ann.api_token())["token"]
    assert (await ann.get("/api/auth/me", token=token)).json()["id"] == ann.id
    assert_problem(await ann.get(f"/api/{alice.subject}/tasks", token=token), 403, "forbidden")


async def test_an_api_token_expires(ann: Visitor, sql: Any) -> None:
    token = (await ann.api_token(expires_at="2199-01-01T00:00:00Z"))["token"]
    assert await ann.is_in(token)
    await sql.execute("update api_tokens set expires_at = now() where user_id = $1", ann.id)
    other = Visitor(ann.client)
    ann.client._transport.app.state.auth.revocations.forget(ann.id)  # type: ignore[attr-defined]
    assert not await other.is_in(token)


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "2199-01-01"}, {"expires_at": "2199-01-01T00:00"},
        {"expires_at": 5}, {"scope": "admin"}, {"name": " "}, {"name": None}, {"name": "x" * 101},
        {"token": "todo_pat_mine"},
    ],
)  # fmt: skip
async def test_an_invalid_api_token_request_is_refused(ann: Visitor, fields: dict[str, Any]) -> None:
    assert_problem(await ann.call("POST", "/api/auth/tokens", {"name": "x", **fields}), 422, "validation_error")


async def test_a_user_of_another_issuer_can_have_api_tokens(alice: Person) -> None:
    made = (await alice.post("/api/auth/tokens", {"name": "agent", "scope": "write"})).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    created = await alice.client.post("/api/me/tasks", json={"title": "x"}, headers=headers)
    assert created.json()["user_id"] == alice.subject
    assert (await alice.delete(f"/api/auth/tokens/{made['id']}")).status_code == 204
    assert_problem(await alice.client.get("/api/me/tasks", headers=headers), 401, "token_invalid")
    assert (await alice.get("/api/auth/tokens")).json() == []


async def test_an_api_token_of_another_user_cannot_be_revoked(ann: Visitor) -> None:
    bob = await Visitor(ann.client).register()
    token = await bob.api_token()
    for token_id in (token["id"], "0", "x", "+1"):
        assert_problem(await ann.call("DELETE", f"/api/auth/tokens/{token_id}"), 404)
    assert await bob.is_in(token["token"])
    assert (await ann.get("/api/auth/tokens")).json() == []


async def test_a_mistyped_api_token_fails_its_checksum() -> None:
    token = new_api_token()
    assert is_api_token(token)
    for wrong in (
        token[:-1],
        token + "x",
        token[:20] + ("a" if token[20] != "a" else "b") + token[21:],
        "todo_pat_",
        "",
    ):
        assert not is_api_token(wrong)


@pytest.mark.parametrize("token", ["todo_pat_", "todo_pat_x", "todo_pat_" + "a" * 38, "todo_pat_\xe9"])
async def test_an_unknown_api_token_is_refused(ann: Visitor, token: str) -> None:
    answer = await ann.client.get("/api/me/tasks", headers={b"Authorization": f"Bearer {token}".encode("latin-1")})
    assert_problem(answer, 401, "token_invalid")
    assert_problem(await ann.get("/api/me/tasks", token=new_api_token()), 401, "token_invalid")


async def test_an_idempotency_key_does_not_store_a_new_api_token(ann: Visitor, sql: Any) -> None:
    sent = {"Idempotency-Key": "the same"}
    made = [await ann.call("POST", "/api/auth/tokens", {"name": "x"}, headers=sent) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["token"] != made[1].json()["token"]
    assert await sql.fetchval("select count(*) from idempotency_keys where user_id = $1", ann.id) == 0
