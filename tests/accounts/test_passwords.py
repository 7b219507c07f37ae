"""Changing a password, and resetting a forgotten one by mail, over a real SMTP server."""

import asyncio
import logging
import re
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from app.auth import passwords
from app.auth.passwords import PasswordHasher
from app.errors import Unavailable
from app.services.accounts import login
from app.services.accounts.login_throttle import FREE_PER_ADDRESS
from app.services.accounts.operators import disable_user
from tests.accounts.conftest import Start
from tests.accounts.mail_server import MailServer, text_of, token_in
from tests.accounts.support import PASSWORD, Visitor, settled
from tests.support import assert_problem


async def reset(http: httpx.AsyncClient, token: str, new: str = "another battery") -> httpx.Response:
    return await http.post("/api/auth/password/reset", json={"token": token, "new_password": new})


async def forgot(http: httpx.AsyncClient, email: str) -> httpx.Response:
    answer = await http.post("/api/auth/password/forgot", json={"email": email})
    await settled(http)
    return answer


async def test_a_forgotten_password_is_reset_by_mail(mailing: httpx.AsyncClient, post: MailServer) -> None:
    ann = await Visitor(mailing).register()
    assert (await forgot(mailing, ann.email.upper())).status_code == 202
    mail = await post.next()
    assert (mail["To"], mail["From"], mail["Auto-Submitted"]) == (ann.email, "todo@x.test", "auto-generated")
    token = token_in(mail)
    assert f"https://app.example/reset?x=1&token={token}" in text_of(mail)
    assert_problem(await reset(mailing, token, "password"), 422, "weak_password")
    assert (await reset(mailing, token)).status_code == 204
    assert "changed" in (await post.next())["Subject"]
    assert not await ann.is_in()
    assert (await ann.login()).status_code == 401
    assert (await ann.login(password="another battery")).status_code == 200
    assert_problem(await reset(mailing, token), 422, "reset_token_invalid")


async def test_a_reset_request_does_not_reveal_whether_the_account_exists(
    mailing: httpx.AsyncClient, post: MailServer
) -> None:
    ann = await Visitor(mailing).register()
    known, unknown = await forgot(mailing, ann.email), await forgot(mailing, Visitor(mailing).email)
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert (await post.next())["To"] == ann.email
    assert post.mails.empty()


async def test_a_reset_token_lasts_an_hour_and_works_once(
    mailing: httpx.AsyncClient, post: MailServer, sql: Any
) -> None:
    ann = await Visitor(mailing).register()
    await forgot(mailing, ann.email)
    await forgot(mailing, ann.email)
    first, second = token_in(await post.next()), token_in(await post.next())
    await sql.execute("update password_resets set expires_at = now() where user_id = $1", ann.id)
    assert_problem(await reset(mailing, first), 422, "reset_token_invalid")
    await sql.execute("update password_resets set expires_at = now() + interval '1 hour' where user_id = $1", ann.id)
    answers = await asyncio.gather(*(reset(mailing, second, f"battery {n} horse") for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204] + [422] * 4
    assert_problem(await reset(mailing, first), 422)  # a new password invalidates reset tokens mailed before


async def test_reset_mails_are_limited_per_address(mailing: httpx.AsyncClient, post: MailServer) -> None:
    codes = [(await forgot(mailing, "somebody@x.test")).status_code for _ in range(12)]
    assert codes == [202] * 10 + [429] * 2


async def test_mails_are_logged_when_configured(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    http = await start(mail_to_log="on")
    ann = await Visitor(http).register()
    with caplog.at_level(logging.WARNING, "app.net.mail"):
        assert (await forgot(http, ann.email)).status_code == 202
    (record,) = [record for record in caplog.records if record.name == "app.net.mail"]
    (token,) = re.findall(r"todo_reset_[\w-]{43}", record.__dict__["text"])
    assert (await reset(http, token)).status_code == 204


async def test_a_reset_is_503_without_a_mail_server(ann: Visitor) -> None:
    assert_problem(await forgot(ann.client, ann.email), 503, "mail_unavailable")


async def test_an_unreachable_mail_server_is_logged_and_not_reported_to_the_caller(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    http = await start(smtp_url="smtp://me:secret%40@127.0.0.1:1")
    ann = await Visitor(http).register()
    assert (await forgot(http, ann.email)).status_code == 202
    for _ in range(100):
        if "cannot send mail" in caplog.text:
            break
        await asyncio.sleep(0.05)
    assert "cannot send mail" in caplog.text
    assert "todo_reset_" not in caplog.text
    assert "secret" not in caplog.text


async def test_registration_by_mail_does_not_reveal_whether_the_email_is_taken(
    start: Start, post: MailServer, client: httpx.AsyncClient
) -> None:
    http = await start(registration="mail", smtp_url=f"smtp://127.0.0.1:{post.port}")
    new, taken = Visitor(http), await Visitor(client).register()
    answers = [
        await http.post("/api/auth/register", json={"email": email, "password": "my own battery"})
        for email in (new.email, taken.email.upper())
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    for visitor in (new, taken):  # nor does a login attempt
        assert_problem(await visitor.login(password="my own battery"), 401, "login_failed")
    mails = {mail["To"]: mail for mail in [await post.next(), await post.next()]}
    assert "already" in mails[taken.email.upper().replace("@EXAMPLE.COM", "@example.com")]["Subject"]
    assert (await reset(http, token_in(mails[new.email]), "my own battery")).status_code == 204
    assert (await new.login(password="my own battery")).status_code == 200


async def test_a_password_is_changed(ann: Visitor) -> None:
    change = {"current_password": PASSWORD, "new_password": "another battery"}
    assert_problem(
        await ann.call("PUT", "/api/auth/password", change | {"current_password": "no"}), 403, "wrong_password"
    )
    assert_problem(await ann.call("PUT", "/api/auth/password", change | {"new_password": "password1"}), 422)
    script = (await ann.api_token())["token"]
    ann.take(await ann.call("PUT", "/api/auth/password", change))
    assert await ann.is_in()
    assert await ann.is_in(script)  # it does not depend on the password, so it stays valid
    assert len((await ann.get("/api/auth/sessions")).json()) == 1


async def race(old: Visitor, write: Awaitable[httpx.Response], others: list[httpx.AsyncClient]) -> httpx.Response:
    """Sends logins with the old password before, during and after the password is written; none may remain valid."""
    logins = [asyncio.create_task(old.another_device(http)) for http in others * 6]
    written = await write
    found = await asyncio.gather(*logins, return_exceptions=True)
    survivors = [other for other in found if isinstance(other, Visitor) and (await other.refresh()).status_code == 200]
    assert survivors == []
    return written


async def slow_to_verify(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays logins of an application between the verification of the password and the start of their session."""
    hasher = http._transport.app.state.auth.hasher  # type: ignore[attr-defined]
    verify = hasher.verify

    async def held_up(*given: Any) -> Any:
        found = await verify(*given)
        await asyncio.sleep(0.4)
        return found

    monkeypatch.setattr(hasher, "verify", held_up)


class ManyProcesses:
    """Gives each login a queue of its own, as if it had reached another process."""

    def setdefault(self, key: str, lock: asyncio.Lock) -> asyncio.Lock:
        return lock


async def slow_to_hash(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays hashing, so that the logins read the old hash before the new one is written."""
    hasher = http._transport.app.state.auth.hasher  # type: ignore[attr-defined]
    hashing = hasher.hash

    async def held_up(*given: Any) -> Any:
        found = await hashing(*given)
        await asyncio.sleep(0.25)
        return found

    monkeypatch.setattr(hasher, "hash", held_up)


@pytest.mark.parametrize("way", ["change", "reset", "disable"])
async def test_a_concurrent_login_with_the_old_password_is_ended(
    start: Start, sql: Any, monkeypatch: pytest.MonkeyPatch, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    http = await start(mail_to_log="on")
    others = [await start(), await start()]
    for other in others:
        await slow_to_verify(other, monkeypatch)
    await slow_to_hash(http, monkeypatch)
    monkeypatch.setattr(login, "_queues", ManyProcesses())
    ann = await Visitor(http).register()
    change = {"current_password": PASSWORD, "new_password": "another battery"}
    if way == "change":
        answer = await race(ann, ann.call("PUT", "/api/auth/password", change), others)
        assert answer.status_code == 200
    elif way == "reset":
        await forgot(http, ann.email)
        (token,) = re.findall(r"todo_reset_[\w-]{43}", "".join(str(vars(record)) for record in caplog.records))
        assert (await race(ann, reset(http, token), others)).status_code == 204
    else:
        database = http._transport.app.state.database  # type: ignore[attr-defined]

        async def disable() -> httpx.Response:
            await asyncio.sleep(0.2)
            await disable_user(database, ann.email, undo=False)
            return httpx.Response(204)

        await race(ann, disable(), others)
        alive = "select count(*) from sessions where user_id = $1 and ended_at is null"
        assert await sql.fetchval(alive, ann.id) == 0


async def test_concurrent_logins_succeed_while_the_hash_is_renewed(ann: Visitor, start: Start, sql: Any) -> None:
    others = [Visitor(await start(), ann.email) for _ in range(3)]
    weak = Argon2Hasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await sql.execute("update accounts set password_hash = $2 where user_id = $1", ann.id, weak)
    answers = await asyncio.gather(*(visitor.login() for visitor in (ann, *others) * 3))
    assert {answer.status_code for answer in answers} == {200}


async def test_one_of_two_concurrent_password_changes_succeeds(ann: Visitor, start: Start) -> None:
    there = await ann.another_device(await start())
    change = {"current_password": PASSWORD, "new_password": "another battery"}
    answers = await asyncio.gather(*(visitor.call("PUT", "/api/auth/password", change) for visitor in (ann, there)))
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403])


async def test_a_new_email_invalidates_reset_tokens_mailed_to_the_old_one(
    mailing: httpx.AsyncClient, post: MailServer
) -> None:
    ann = await Visitor(mailing).register()
    await forgot(mailing, ann.email)
    token = token_in(await post.next())
    move = {"email": Visitor(mailing).email, "current_password": PASSWORD}
    assert (await ann.call("PATCH", "/api/auth/me", move)).status_code == 200
    assert_problem(await reset(mailing, token), 422, "reset_token_invalid")


async def test_an_unknown_reset_token_is_refused_before_hashing(
    ann: Visitor, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> str:
        raise AssertionError("hashed")

    monkeypatch.setattr(PasswordHasher, "hash", never)
    assert_problem(await reset(ann.client, "todo_reset_unknown"), 422, "reset_token_invalid")
    await sql.execute("update login_attempts set failures = $1 where account = ''", FREE_PER_ADDRESS)
    assert_problem(await reset(ann.client, "todo_reset_unknown"), 422)
    answer = await reset(ann.client, "todo_reset_unknown")
    assert_problem(answer, 429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_weak_password_error_names_its_field(ann: Visitor) -> None:
    change = {"current_password": PASSWORD, "new_password": "password"}
    for answer in (await ann.call("PUT", "/api/auth/password", change), await reset(ann.client, "x", "password")):
        assert assert_problem(answer, 422, "weak_password")["errors"][0]["loc"] == ["body", "new_password"]


async def test_expired_reset_tokens_are_deleted(mailing: httpx.AsyncClient, post: MailServer, sql: Any) -> None:
    ann = await Visitor(mailing).register()
    await forgot(mailing, ann.email)
    await sql.execute("update password_resets set expires_at = now() where user_id = $1", ann.id)
    await forgot(mailing, ann.email)
    assert await sql.fetchval("select count(*) from password_resets where user_id = $1", ann.id) == 1


async def test_hashing_does_not_block_the_event_loop() -> None:
    hasher = PasswordHasher(threads=1)
    work = asyncio.gather(*(hasher.hash(PASSWORD) for _ in range(5)))
    ticks = 0
    while not work.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks >= 10
    assert len(set(await work)) == 5
    hasher.close()


async def test_hashing_is_unavailable_when_too_many_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 2)
    hasher = PasswordHasher(threads=1)
    results = await asyncio.gather(*(hasher.hash(PASSWORD) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [str, str, Unavailable, Unavailable]
    hasher.close()


async def test_no_password_matches_the_placeholder_hash() -> None:
    hasher = PasswordHasher(threads=1)
    assert await hasher.verify(PASSWORD, None) == (False, None)
    assert await hasher.verify("", None) == (False, None)
    hasher.close()
