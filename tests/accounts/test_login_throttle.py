"""Guessing passwords: counted before the response, with growing delays, and never locking the owner out for long."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.services.accounts import login_throttle
from app.services.accounts.login_throttle import (
    FREE_PER_ACCOUNT,
    FREE_PER_ADDRESS,
    FREE_PER_PAIR,
    LONGEST_WAIT,
    attempt_keys,
)
from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor
from tests.support import assert_problem

pytestmark = pytest.mark.slow

From = Callable[[str], httpx.AsyncClient]
PASS = "update login_attempts set blocked_until = now()"


async def guess(visitor: Visitor) -> httpx.Response:
    return await visitor.login(password="a wrong guess")


async def block(visitor: Visitor) -> httpx.Response:
    """Sends guesses until one is refused by the throttle."""
    for _ in range(FREE_PER_PAIR):
        assert_problem(await guess(visitor), 401, "login_failed")
    answer = await guess(visitor)
    assert_problem(answer, 429, "too_many_attempts")
    return answer


async def test_login_delays_grow_up_to_a_minute(ann: Visitor, sql: Any) -> None:
    waits = [int((await block(ann)).headers["retry-after"])]
    for _ in range(8):
        await sql.execute(PASS)
        assert_problem(await guess(ann), 401)
        waits.append(int((await guess(ann)).headers["retry-after"]))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert LONGEST_WAIT == 60


async def test_the_right_password_is_refused_while_blocked(ann: Visitor, sql: Any) -> None:
    await block(ann)
    assert_problem(await ann.login(), 429)
    await sql.execute(PASS)
    assert (await ann.login()).status_code == 200
    assert_problem(await guess(ann), 401)  # and the count starts again


async def test_a_refused_attempt_does_not_prolong_the_delay(ann: Visitor, sql: Any) -> None:
    await block(ann)
    before = await sql.fetch("select * from login_attempts order by 1, 2")
    for _ in range(5):
        assert_problem(await guess(ann), 429)
    assert await sql.fetch("select * from login_attempts order by 1, 2") == before


async def test_guesses_from_another_address_do_not_lock_out_the_owner(ann: Visitor, from_address: From) -> None:
    async with from_address("203.0.113.1") as http:
        await block(Visitor(http, ann.email))
        assert (await ann.login()).status_code == 200
        assert_problem(await guess(Visitor(http, ann.email)), 429)


async def test_guesses_from_many_addresses_do_not_lock_out_the_owner_at_a_known_address(
    ann: Visitor, from_address: From, sql: Any
) -> None:
    waits = []
    for number in range(FREE_PER_ACCOUNT + 5):
        async with from_address(f"203.0.113.{number}") as http:
            answer = await guess(Visitor(http, ann.email))
        if answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            await sql.execute(PASS)
    assert len(waits) >= 2
    assert max(waits) <= 60
    await sql.execute("update login_attempts set blocked_until = now() + interval '50 seconds' where address = ''")
    async with from_address("198.51.100.7") as new:
        assert_problem(await Visitor(new, ann.email).login(), 429)
    assert (await ann.login()).status_code == 200  # from an address where they have logged in before


async def test_an_owner_at_a_new_address_waits_once_while_others_rotate_addresses(
    ann: Visitor, from_address: From, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second replaces the minute: other addresses take every turn of the account's counter, and the owner still logs
    in."""
    wait = 1.0
    monkeypatch.setattr(login_throttle, "LONGEST_WAIT", wait)
    codes: Counter[int] = Counter()
    held = "update login_attempts set blocked_until = now() + interval '50 seconds' where address = '' and account > ''"

    async def rotate() -> None:
        for number in range(10_000):
            async with from_address(f"203.0.{number // 250}.{number % 250}") as http:
                codes[(await guess(Visitor(http, ann.email))).status_code] += 1
            await sql.execute(held)

    attack = asyncio.create_task(rotate())
    while not codes[429]:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    async with from_address("198.51.100.7") as new:
        owner = Visitor(new, ann.email)
        first = await owner.login()
        refused_at = time.monotonic()
        assert_problem(first, 429, "too_many_attempts")
        assert int(first.headers["retry-after"]) == wait
        while (answer := await owner.login()).status_code == 429:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        took = time.monotonic() - refused_at
    attack.cancel()
    assert answer.status_code == 200
    assert wait * 0.9 <= took < wait + 1


async def test_a_turn_allows_one_guess(ann: Visitor, from_address: From, sql: Any) -> None:
    await guess(ann)
    await sql.execute(
        "insert into login_attempts select account, '', 99, true, now() + interval '50 seconds', now()"
        " from login_attempts where account > ''"
    )
    turns = "update login_attempts set blocked_until = now() where failures = 0"
    async with from_address("198.51.100.7") as http:
        stranger = Visitor(http, ann.email)
        assert_problem(await guess(stranger), 429)
        assert_problem(await guess(stranger), 429)  # not before its time
        await sql.execute(turns)
        answers = await asyncio.gather(*(guess(stranger) for _ in range(10)))
        assert Counter(answer.status_code for answer in answers) == {401: 1, 429: 9}
        await sql.execute(turns)
        assert_problem(await guess(stranger), 429)  # it has a failed attempt of its own now
        await sql.execute("update login_attempts set last_at = now() - interval '16 minutes' where failures = 1")
        assert_problem(await guess(stranger), 401)
        await sql.execute("update login_attempts set last_at = now() - interval '16 minutes' where failures = 1")
        await sql.execute("update login_attempts set blocked_until = now() - interval '16 minutes' where failures = 0")
        assert_problem(await guess(stranger), 429)  # and turns are not kept for addresses that do not return


async def test_a_mapped_ipv6_address_counts_as_its_ipv4_address(ann: Visitor, from_address: From) -> None:
    async with from_address("::ffff:203.0.113.9") as http:
        phone = await ann.another_device(http)
        found = (await phone.get("/api/auth/sessions")).json()
    assert [session["address"] for session in found if session["current"]] == ["203.0.113.9"]


async def test_an_address_that_tries_many_accounts_is_throttled(client: httpx.AsyncClient, sql: Any) -> None:
    keys = attempt_keys("somebody@example.com", "127.0.0.1")
    for _ in range(FREE_PER_ADDRESS - 1):
        await sql.execute(
            "insert into login_attempts values ('', $1, 1, true, now(), now()) on conflict (account, address)"
            " do update set failures = login_attempts.failures + 1",
            keys.address,
        )
    assert_problem(await guess(Visitor(client)), 401)
    assert_problem(await guess(Visitor(client)), 429)


async def test_concurrent_guesses_are_counted_before_they_are_checked(ann: Visitor, start: Start) -> None:
    """Two processes, 60 concurrent guesses: no more are checked than if they came one after the other."""
    other = Visitor(await start(), ann.email)
    answers = await asyncio.gather(*(guess(visitor) for visitor in (ann, other) * 30))
    codes = Counter(answer.status_code for answer in answers)
    assert codes == {401: FREE_PER_PAIR, 429: 60 - FREE_PER_PAIR}


async def test_concurrent_logins_with_the_right_password_are_not_throttled(ann: Visitor) -> None:
    answers = await asyncio.gather(*(ann.login() for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_failure_is_counted_when_the_request_fails(
    ann: Visitor, app: FastAPI, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(app.state.auth.hasher, "verify", broken)
    assert_problem(await guess(ann), 500)
    assert await sql.fetchval("select max(failures) from login_attempts") == 1


async def test_guesses_of_a_logged_in_user_are_throttled(ann: Visitor) -> None:
    body = {"current_password": "a wrong guess", "new_password": "another battery"}
    for _ in range(FREE_PER_PAIR):
        assert_problem(await ann.call("PUT", "/api/auth/password", body), 403, "wrong_password")
    assert_problem(await ann.call("PUT", "/api/auth/password", body), 429)
    assert_problem(await ann.call("DELETE", "/api/auth/me", {"password": PASSWORD}), 429)
    assert await ann.is_in()


async def test_guesses_at_an_unknown_account_are_throttled(client: httpx.AsyncClient) -> None:
    await block(Visitor(client))


async def test_old_failures_do_not_count(ann: Visitor, sql: Any) -> None:
    await block(ann)
    await sql.execute(
        "update login_attempts set last_at = now() - interval '16 minutes', blocked_until = now() - interval '1 minute'"
    )
    await block(ann)
    await sql.execute("update login_attempts set last_at = now() - interval '25 hours', blocked_until = now()")
    await guess(Visitor(ann.client))
    assert await sql.fetchval("select count(*) from login_attempts where last_at < now() - interval '1 day'") == 0


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.1", "203.0.113.1", True),
        ("::ffff:203.0.113.1", "::ffff:203.0.113.2", False),
        ("testclient", "testclient", True),
        ("", "", True),
    ],
)
async def test_addresses_of_one_ipv6_network_share_a_key(first: str, second: str, same: bool) -> None:
    assert (attempt_keys("a", first).address == attempt_keys("a", second).address) == same
    assert login_throttle.attempt_keys("a", first) != login_throttle.attempt_keys("a", first, purpose="mail")
