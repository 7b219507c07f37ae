"""An account with a second factor asks for it: at every way to log in, and before what would give it away."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.services.accounts.login_throttle import FREE_PER_ACCOUNT, FREE_PER_PAIR, attempt_keys
from app.services.accounts.second_factors import FACTOR_PURPOSE
from tests.accounts.conftest import Start
from tests.accounts.factors import FACTORS, Authenticator, begin_totp, challenge_of, long_after, with_totp
from tests.accounts.mail_server import MailServer, token_in
from tests.accounts.support import PASSWORD, Visitor, settled
from tests.oauth.support import APP, make_grant
from tests.support import assert_problem, make_token

From = Callable[[str], httpx.AsyncClient]
PASS = "update login_attempts set blocked_until = now()"
NEW_PASSWORD = "another battery horse"
# What would give away the account, with bodies that would do it.
DANGEROUS: list[tuple[str, str, Any]] = [
    ("PUT", "/api/auth/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}),
    ("PATCH", "/api/auth/me", {"email": "new@example.com", "current_password": PASSWORD}),
    ("DELETE", "/api/auth/me", {"password": PASSWORD}),
    ("POST", "/api/auth/tokens", {"name": "script"}),
    ("POST", "/api/auth/oidc/default/link", None),
    ("DELETE", "/api/auth/links/x", None),
    ("POST", f"{FACTORS}/totp", {"password": PASSWORD}),
    ("POST", f"{FACTORS}/totp/confirm", {"code": "000000"}),
    ("DELETE", f"{FACTORS}/totp", None),
    ("POST", f"{FACTORS}/recovery-codes", None),
]
CHANGES_OF_FACTORS = [dangerous for dangerous in DANGEROUS if dangerous[1].startswith(FACTORS)]
CHANGES_OF_FACTORS.append(("POST", f"{FACTORS}/proof", {"code": "000000"}))


async def prove(visitor: Visitor, code: str, token: str | None = None) -> httpx.Response:
    return await visitor.call("POST", f"{FACTORS}/proof", {"code": code}, token=token)


async def finish(client: httpx.AsyncClient, challenge: str, code: str) -> httpx.Response:
    return await client.post("/api/auth/login/factor", json={"challenge": challenge, "code": code})


async def test_a_wrong_password_gets_the_answer_of_an_unknown_email(ann: Visitor, sql: Any) -> None:
    await with_totp(ann, sql)
    wrong = assert_problem(await ann.login(password="a wrong guess"), 401, "login_failed")
    unknown = assert_problem(await Visitor(ann.client, "nobody@example.com").login(), 401, "login_failed")
    del wrong["request_id"], unknown["request_id"]
    assert wrong == unknown


@pytest.mark.parametrize(("method", "path", "body"), DANGEROUS, ids=lambda value: str(value)[:40])
async def test_a_dangerous_change_needs_a_recent_factor(
    ann: Visitor, sql: Any, method: str, path: str, body: Any
) -> None:
    _, codes = await with_totp(ann, sql)
    await long_after(sql, ann)
    refused = assert_problem(await ann.call(method, path, body), 403, "second_factor_required")
    assert refused["second_factor"] == {"challenge": None, "methods": ["totp", "recovery_code"]}
    assert (await prove(ann, codes[0])).status_code == 204
    done = await ann.call(method, path, body)
    assert done.status_code < 300 or done.json()["code"] in {
        "not_found", "link_not_found", "totp_active", "totp_not_begun",
    }, done.text  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"), [DANGEROUS[0], DANGEROUS[2], DANGEROUS[3]], ids=lambda value: str(value)[:40]
)
async def test_a_change_that_began_before_the_factor_is_refused(
    ann: Visitor, sql: Any, method: str, path: str, body: Any
) -> None:
    """An intruder can let the service wait half a minute for a body."""
    intruder = await ann.another_device()
    answer = await intruder.call_late(method, path, body, lambda: with_totp(ann, sql))
    assert_problem(answer, 401, "session_ended")
    assert await ann.is_in()
    assert (await ann.get("/api/auth/tokens")).json() == []


async def test_a_session_that_ended_turns_no_factor_on(ann: Visitor) -> None:
    intruder = await ann.another_device()
    body = {"code": Authenticator((await begin_totp(intruder))["secret"]).code()}
    path = f"{FACTORS}/totp/confirm"
    answer = await intruder.call_late("POST", path, body, lambda: ann.call("DELETE", "/api/auth/sessions"))
    assert_problem(answer, 401, "session_ended")
    assert await ann.is_in()
    assert (await ann.get(FACTORS)).json()["totp"] is None


async def test_a_refused_change_has_no_effect(ann: Visitor, sql: Any) -> None:
    app, _ = await with_totp(ann, sql)
    await long_after(sql, ann)
    for method, path, body in DANGEROUS:
        assert_problem(await ann.call(method, path, body), 403, "second_factor_required")
    assert (await ann.get("/api/auth/me")).json()["email"] == ann.email
    assert (await finish(ann.client, await challenge_of(ann), app.code())).status_code == 200
    assert not await sql.fetch("select from api_tokens where user_id = $1", ann.id)


async def test_other_changes_need_no_factor(ann: Visitor, sql: Any) -> None:
    await with_totp(ann, sql)
    phone = (await ann.login()).json()["second_factor"]["challenge"]
    await long_after(sql, ann)
    assert phone
    for method, path, body in (
        ("PATCH", "/api/auth/me", {"name": "Ann B."}),
        ("GET", "/api/auth/me/export", None),
        ("GET", "/api/auth/tokens", None),
        ("DELETE", "/api/auth/sessions", None),
        ("POST", "/api/me/tasks", {"title": "x"}),
    ):
        assert (await ann.call(method, path, body)).status_code < 300, path


@pytest.mark.parametrize(("method", "path", "body"), DANGEROUS, ids=lambda value: str(value)[:40])
async def test_without_a_factor_none_is_asked_for(ann: Visitor, method: str, path: str, body: Any) -> None:
    answer = await ann.call(method, path, body)
    assert answer.status_code < 300 or answer.json()["code"] != "second_factor_required"


async def test_a_proof_is_of_one_session_and_lasts_ten_minutes(ann: Visitor, sql: Any) -> None:
    _, codes = await with_totp(ann, sql)
    phone = Visitor(ann.client, ann.email)
    phone.take(await finish(ann.client, await challenge_of(ann), codes[0]))
    await long_after(sql, ann)
    assert (await prove(ann, codes[1])).status_code == 204
    await ann.api_token()
    assert_problem(await phone.call("POST", "/api/auth/tokens", {"name": "x"}), 403, "second_factor_required")
    ann.take(await ann.refresh())  # the session stays the same
    await ann.api_token()
    age = "update sessions set second_factor_at = second_factor_at - interval '10 minutes' where user_id = $1"
    await sql.execute(age, ann.id)
    assert_problem(await ann.call("POST", "/api/auth/tokens", {"name": "x"}), 403, "second_factor_required")


async def test_a_login_with_the_factor_has_proved_it(ann: Visitor, sql: Any) -> None:
    _, codes = await with_totp(ann, sql)
    phone = Visitor(ann.client, ann.email)
    phone.take(await finish(ann.client, await challenge_of(ann), codes[0]))
    await phone.api_token()
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    phone.take(await phone.call("PUT", "/api/auth/password", change))
    await phone.api_token()  # the session that takes its place has proved it too


async def test_a_reset_by_mail_keeps_the_factor(mailing: httpx.AsyncClient, post: MailServer, sql: Any) -> None:
    eve = await Visitor(mailing).register()
    app, _ = await with_totp(eve, sql)
    await post.next()
    waiting = await challenge_of(eve)
    await mailing.post("/api/auth/password/forgot", json={"email": eve.email})
    await settled(mailing)
    reset = {"token": token_in(await post.next()), "new_password": NEW_PASSWORD}
    assert (await mailing.post("/api/auth/password/reset", json=reset)).status_code == 204
    assert_problem(await finish(mailing, waiting, app.code()), 401, "login_challenge_invalid")
    eve.password = NEW_PASSWORD
    assert (await finish(mailing, await challenge_of(eve), app.code())).status_code == 200


async def test_a_new_password_ends_logins_that_wait(ann: Visitor, sql: Any) -> None:
    app, _ = await with_totp(ann, sql)
    waiting = await challenge_of(ann)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    ann.take(await ann.call("PUT", "/api/auth/password", change))
    assert_problem(await finish(ann.client, waiting, app.code()), 401, "login_challenge_invalid")


async def test_a_disabled_account_cannot_finish_a_login(ann: Visitor, sql: Any) -> None:
    app, _ = await with_totp(ann, sql)
    waiting = await challenge_of(ann)
    await sql.execute("update accounts set disabled_at = now() where user_id = $1", ann.id)
    assert_problem(await finish(ann.client, waiting, app.code()), 404, "account_not_found")
    assert_problem(await ann.login(), 403, "account_disabled")


@pytest.mark.parametrize(("method", "path", "body"), CHANGES_OF_FACTORS, ids=lambda value: str(value)[:40])
async def test_only_a_login_changes_factors(ann: Visitor, sql: Any, method: str, path: str, body: Any) -> None:
    script = (await ann.api_token(scope="write"))["token"]
    app = await make_grant(ann, sql, APP._replace(resource="http://test"))
    for token in (script, make_token(ann.id), app):
        assert_problem(await ann.call(method, path, body, token=token), 403, "login_required")
    await with_totp(ann, sql)
    for token in (script, make_token(ann.id), app):
        assert_problem(await ann.call(method, path, body, token=token), 403, "login_required")


async def test_the_token_of_another_issuer_makes_no_api_token_for_such_an_account(ann: Visitor, sql: Any) -> None:
    """It proves no factor, and would give access that outlasts it."""
    await with_totp(ann, sql)
    answer = await ann.call("POST", "/api/auth/tokens", {"name": "x"}, token=make_token(ann.id))
    assert_problem(answer, 403, "second_factor_required")


async def test_a_challenge_is_no_other_token_and_no_other_token_a_challenge(ann: Visitor, sql: Any) -> None:
    app, codes = await with_totp(ann, sql)
    challenge = await challenge_of(ann)
    assert not await ann.is_in(challenge)
    assert_problem(await ann.refresh(challenge), 401, "refresh_token_invalid")
    reset = {"token": challenge, "new_password": NEW_PASSWORD}
    assert_problem(await ann.client.post("/api/auth/password/reset", json=reset), 422, "reset_token_invalid")
    script = (await ann.api_token())["token"]
    for token in (ann.access, ann.refresh_token, script, "x", challenge + "x", codes[0]):
        assert_problem(await finish(ann.client, token, app.code()), 401, "login_challenge_invalid")
    assert (await finish(ann.client, challenge, app.code())).status_code == 200


async def test_a_challenge_opens_the_account_whose_password_was_right(ann: Visitor, sql: Any) -> None:
    """A challenge that was planted in another's browser is worth nothing there, nor is another's code here."""
    eve = await Visitor(ann.client).register()
    _, codes_of_ann = await with_totp(ann, sql)
    _, codes_of_eve = await with_totp(eve, sql)
    assert_problem(await finish(ann.client, await challenge_of(ann), codes_of_eve[0]), 403, "second_factor_wrong")
    pair = eve.take(await finish(ann.client, await challenge_of(eve), codes_of_eve[0]))
    assert pair["user"]["email"] == eve.email
    assert codes_of_ann


async def test_a_challenge_lasts_five_minutes(ann: Visitor, sql: Any) -> None:
    app, _ = await with_totp(ann, sql)
    challenge = await challenge_of(ann)
    life = "select extract(epoch from expires_at - created_at)::int from login_challenges where user_id = $1"
    assert abs(await sql.fetchval(life, ann.id) - 300) <= 1
    await sql.execute("update login_challenges set expires_at = now() where user_id = $1", ann.id)
    assert_problem(await finish(ann.client, challenge, app.code()), 401, "login_challenge_invalid")
    await challenge_of(ann)
    assert await sql.fetchval("select count(*) from login_challenges where user_id = $1", ann.id) == 1


async def guess(client: httpx.AsyncClient, visitor: Visitor) -> httpx.Response:
    """Guesses with a challenge of its own each time, as someone who knows the password can."""
    return await finish(client, await challenge_of(Visitor(client, visitor.email)), "000000")


async def test_wrong_codes_are_throttled_whatever_the_challenge(ann: Visitor, sql: Any, start: Start) -> None:
    app, _ = await with_totp(ann, sql)
    processes = [ann.client, await start()]
    for number in range(FREE_PER_PAIR):
        assert_problem(await guess(processes[number % 2], ann), 403, "second_factor_wrong")
    answer = await guess(ann.client, ann)
    assert_problem(answer, 429, "too_many_attempts")
    assert answer.headers["retry-after"] == "1"
    waiting = await challenge_of(ann)  # passwords are counted apart
    assert_problem(await finish(ann.client, waiting, app.code()), 429, "too_many_attempts")
    assert_problem(await prove(ann, app.code()), 429, "too_many_attempts")
    await sql.execute(PASS)
    assert (await finish(ann.client, waiting, app.code())).status_code == 200
    for _ in range(FREE_PER_PAIR):  # and the count starts again
        assert_problem(await guess(ann.client, ann), 403, "second_factor_wrong")


async def test_concurrent_guesses_are_counted_before_they_are_checked(ann: Visitor, sql: Any) -> None:
    await with_totp(ann, sql)
    challenge = await challenge_of(ann)
    answers = await asyncio.gather(*(finish(ann.client, challenge, "000000") for _ in range(FREE_PER_PAIR + 10)))
    codes = [answer.json()["code"] for answer in answers]
    assert codes.count("second_factor_wrong") == FREE_PER_PAIR
    assert codes.count("too_many_attempts") == 10


async def test_guesses_from_many_addresses_are_bounded_and_lock_nobody_out(
    ann: Visitor, sql: Any, from_address: From
) -> None:
    app, codes = await with_totp(ann, sql)
    refused = 0
    for number in range(FREE_PER_ACCOUNT + 5):
        async with from_address(f"203.0.113.{number}") as http:
            refused += (await guess(http, ann)).status_code == 429
    assert refused >= 4
    assert (await prove(ann, app.code())).status_code == 204  # from where a factor was proved before
    eve = await Visitor(ann.client).register()
    await with_totp(eve, sql)
    async with from_address("203.0.113.250") as http:  # another account from a new address
        assert (await guess(http, eve)).status_code == 403
    assert codes


async def test_turns_of_addresses_are_for_codes_that_cannot_be_guessed(
    ann: Visitor, sql: Any, from_address: From
) -> None:
    app, codes = await with_totp(ann, sql)
    counter = attempt_keys(ann.id, "", purpose=FACTOR_PURPOSE).account
    held = "update login_attempts set failures = 99, blocked_until = now() + interval '50 seconds' where account = $1"
    assert await sql.execute(held + " and address = ''", counter) == "UPDATE 1"
    turns = "update login_attempts set blocked_until = now() where failures = 0"
    async with from_address("198.51.100.7") as http:
        challenge = await challenge_of(Visitor(http, ann.email))
        for code in (codes[0], app.code(), f" {app.code()[:3]}-{app.code()[3:]}"):
            assert_problem(await finish(http, challenge, code), 429, "too_many_attempts")
            await sql.execute(turns)
        assert (await finish(http, challenge, codes[0])).status_code == 200


async def test_a_proof_for_an_account_without_a_factor_is_404(ann: Visitor) -> None:
    assert_problem(await prove(ann, "000000"), 404, "factor_not_found")


async def test_the_body_of_a_proof_is_checked(ann: Visitor) -> None:
    for body in ({}, {"code": ""}, {"code": "1" * 65}, {"code": 287082}, {"code": "1", "challenge": 7}):
        assert_problem(await ann.client.post("/api/auth/login/factor", json=body), 422)
    assert_problem(await ann.client.post("/api/auth/login/factor", json={"code": "000000"}), 401)
    hostile = {"challenge": "\ud800", "code": "\ud800"}
    answer = await ann.client.post(
        "/api/auth/login/factor", content=str(hostile).replace("'", '"'), headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
