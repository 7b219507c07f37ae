"""Ended logins are refused: at once in the process that ended them, within 5 seconds in all others."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fastapi import FastAPI

from app.auth.claims import Identity
from app.services.accounts import revocation
from app.services.accounts.revocation import RevocationCache
from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor
from tests.support import assert_problem

PROMISE = 5.0


async def log_out(ann: Visitor, phone: Visitor) -> None:
    assert (await phone.call("POST", "/api/auth/logout")).status_code == 204


async def log_out_by_refresh_token(ann: Visitor, phone: Visitor) -> None:
    answer = await phone.client.post("/api/auth/logout", json={"refresh_token": phone.refresh_token})
    assert answer.status_code == 204


async def end_session(ann: Visitor, phone: Visitor) -> None:
    (found,) = [s for s in (await ann.get("/api/auth/sessions")).json() if not s["current"]]
    assert (await ann.call("DELETE", f"/api/auth/sessions/{found['id']}")).status_code == 204
    assert_problem(await ann.call("DELETE", f"/api/auth/sessions/{found['id']}"), 404, "session_not_found")


async def end_other_sessions(ann: Visitor, phone: Visitor) -> None:
    assert (await ann.call("DELETE", "/api/auth/sessions")).status_code == 204
    assert [s["current"] for s in (await ann.get("/api/auth/sessions")).json()] == [True]


async def change_password(ann: Visitor, phone: Visitor) -> None:
    body = {"current_password": PASSWORD, "new_password": "another battery"}
    old = ann.access
    ann.take(await ann.call("PUT", "/api/auth/password", body))
    assert not await ann.is_in(old)
    assert (await ann.login()).status_code == 401
    ann.password = "another battery"
    assert (await ann.login()).status_code == 200


async def delete_account(ann: Visitor, phone: Visitor) -> None:
    assert (await ann.call("DELETE", "/api/auth/me", {"password": PASSWORD})).status_code == 204


WAYS = [log_out, log_out_by_refresh_token, end_session, end_other_sessions, change_password, delete_account]


@pytest.mark.parametrize("end", WAYS)
async def test_a_revoked_login_is_refused_at_once_in_the_same_process(
    ann: Visitor, end: Callable[..., Awaitable[None]]
) -> None:
    phone = await ann.another_device()
    assert await phone.is_in()
    await end(ann, phone)
    assert_problem(await phone.get("/api/me/tasks"), 401, "session_ended")
    assert_problem(await phone.refresh(), 401, "refresh_token_invalid")
    assert await ann.is_in() == (end is not delete_account)


async def refused_after(visitor: Visitor, token: str | None = None) -> float:
    """Returns the seconds until the token is refused; meanwhile it is used all the time, as by a busy client."""
    started = time.monotonic()
    while await visitor.is_in(token):
        assert time.monotonic() - started < PROMISE
        await anyio.sleep(0.05)
    return time.monotonic() - started


@pytest.mark.slow
async def test_a_revoked_login_is_refused_within_5_seconds_in_every_process(ann: Visitor, start: Start) -> None:
    """All ways of revocation in one test, so that the suite waits once."""
    elsewhere = await start()
    victims: list[tuple[Visitor, str | None]] = []
    for end in WAYS:
        person = await Visitor(ann.client).register()
        phone = await person.another_device()
        script = (await person.api_token())["token"]
        phone.client = elsewhere
        assert await phone.is_in()
        assert await phone.is_in(script)
        await end(person, phone)
        victims.append((phone, None))
        if end is delete_account:
            victims.append((phone, script))
    token = await ann.api_token()
    reader = Visitor(elsewhere)
    assert await reader.is_in(token["token"])
    assert (await ann.call("DELETE", f"/api/auth/tokens/{token['id']}")).status_code == 204
    victims.append((reader, token["token"]))
    took = [0.0] * len(victims)
    async with anyio.create_task_group() as group:
        for number, (visitor, value) in enumerate(victims):

            async def wait(number: int = number, visitor: Visitor = visitor, value: str | None = value) -> None:
                took[number] = await refused_after(visitor, value)

            group.start_soon(wait)
    assert max(took) < PROMISE


async def test_tokens_of_a_disabled_account_are_refused(ann: Visitor, sql: Any, start: Start) -> None:
    script = (await ann.api_token())["token"]
    await sql.execute("update accounts set disabled_at = now() where user_id = $1", ann.id)
    fresh = Visitor(await start())
    assert not await fresh.is_in(ann.access)
    assert not await fresh.is_in(script)


async def test_a_cached_revocation_check_costs_no_query(
    ann: Visitor, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (await ann.api_token())["token"]
    asked = 0
    whole = app.state.database.auth_transaction

    def counted() -> Any:
        nonlocal asked
        asked += 1
        return whole()

    monkeypatch.setattr(app.state.database, "auth_transaction", counted)
    for _ in range(20):
        assert await ann.is_in()
        assert await ann.is_in(script)
    assert asked <= 4


async def test_one_caller_renews_an_entry_while_the_others_use_it() -> None:
    now = 0.0
    guard = RevocationCache(None, clock=lambda: now)  # type: ignore[arg-type]
    identity = Identity("ann", 2**40, "sid")
    guard._remember(("ann", "sid"), identity, now)
    assert guard.is_fresh(identity)
    now = revocation.RENEWAL_AGE
    assert [guard.is_fresh(identity) for _ in range(3)] == [False, True, True]
    now = revocation.REVOCATION_BOUND
    assert not guard.is_fresh(identity)
    assert revocation.REVOCATION_BOUND < PROMISE
    guard._remember(("ann", "sid"), identity, now)
    guard.forget("ann")
    assert not guard.is_fresh(identity)


async def test_the_revocation_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "REVOCATION_ENTRIES", 3)
    guard = RevocationCache(None)  # type: ignore[arg-type]
    for number in range(10):
        guard._remember(("ann", number), Identity("ann", 2**40, str(number)), time.monotonic())
    assert len(guard._seen) == 3


async def test_still_valid_covers_sessions_api_tokens_and_other_issuers(ann: Visitor, app: FastAPI) -> None:
    guard: RevocationCache = app.state.auth.revocations
    token = await ann.api_token()
    login: Identity = await app.state.verifier.verify(ann.access)
    script = await guard.verify_api_token(token["token"])
    assert (script.client, script.scope, script.subject) == ("script", "read", ann.id)
    front_end = Identity("somebody", int(time.time()) + 60)
    for identity in (login, script, front_end):
        assert await guard.still_valid(identity)
    await ann.call("DELETE", f"/api/auth/tokens/{token['id']}")
    await ann.call("POST", "/api/auth/logout")
    assert not await guard.still_valid(login)
    assert not await guard.still_valid(script)
    assert not await guard.still_valid(front_end._replace(expires_at=int(time.time())))


async def test_an_access_token_expires_and_is_refreshed(start: Start) -> None:
    visitor = await Visitor(await start(access_ttl=1)).register()
    assert await visitor.is_in()
    await anyio.sleep(1.1)
    assert_problem(await visitor.get("/api/me/tasks"), 401, "token_expired")
    visitor.take(await visitor.refresh())
    assert await visitor.is_in()


async def test_logging_out_requires_a_token(ann: Visitor) -> None:
    assert_problem(await ann.client.post("/api/auth/logout"), 401, "refresh_token_missing")
    unknown = {"refresh_token": "todo_rt_unknown"}
    assert (await ann.client.post("/api/auth/logout", json=unknown)).status_code == 204
    assert await ann.is_in()


async def test_a_session_of_another_user_cannot_be_ended(ann: Visitor) -> None:
    bob = await Visitor(ann.client).register()
    (session,) = (await bob.get("/api/auth/sessions")).json()
    assert_problem(await ann.call("DELETE", f"/api/auth/sessions/{session['id']}"), 404, "session_not_found")
    await ann.call("DELETE", "/api/auth/sessions")
    assert await bob.is_in()
