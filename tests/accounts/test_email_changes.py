"""Changing an account's e-mail: at once, or with REGISTRATION=mail after the new address has confirmed it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.accounts.conftest import Start
from tests.accounts.factors import with_totp
from tests.accounts.mail_server import MailServer, text_of, token_in
from tests.accounts.support import PASSWORD, Visitor, settled
from tests.support import assert_problem

ME = "/api/auth/me"


@pytest.fixture
async def by_mail(start: Start, post: MailServer) -> httpx.AsyncClient:
    return await start(
        registration="mail", smtp_url=f"smtp://127.0.0.1:{post.port}", confirm_url="https://app.example/confirm"
    )


@pytest.fixture
async def bob(client: httpx.AsyncClient, by_mail: httpx.AsyncClient) -> Visitor:
    """Has an account of a time when no mail was needed."""
    visitor = await Visitor(client).register(name="Bob")
    visitor.client = by_mail
    return visitor


async def move(visitor: Visitor, email: str, **fields: Any) -> httpx.Response:
    return await visitor.call("PATCH", ME, {"email": email, "current_password": PASSWORD, **fields})


async def confirm(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/api/auth/email/confirm", json={"token": token})


async def test_a_new_email_replaces_the_old_one_when_its_mailbox_confirms_it(bob: Visitor, post: MailServer) -> None:
    old, new = bob.email, Visitor(bob.client).email
    moved = (await move(bob, new, name="Robert")).json()
    assert (moved["email"], moved["pending_email"], moved["name"]) == (old, new, "Robert")
    assert (await bob.get(ME)).json() == moved
    mail = await post.next()
    assert mail["To"] == new
    token = token_in(mail, "email")
    assert f"https://app.example/confirm?token={token}" in text_of(mail)
    assert "If it was not you, do not confirm it" in text_of(mail)  # else the sender gets this e-mail
    bob.email = new
    assert_problem(await bob.login(), 401, "login_failed")
    before = datetime.now(UTC)
    assert (await confirm(bob.client, token)).status_code == 204
    after = (await bob.get(ME)).json()
    assert (after["email"], after["pending_email"]) == (new, None)
    assert before <= datetime.fromisoformat(after["email_confirmed_at"]) <= datetime.now(UTC)
    assert (await bob.login()).json()["user"] == after
    notice = await post.next()
    assert (notice["To"], new in text_of(notice)) == (old, True)
    assert_problem(await confirm(bob.client, token), 422, "email_token_invalid")


async def test_turning_on_a_second_factor_drops_a_change(bob: Visitor, post: MailServer, sql: Any) -> None:
    """The session that asked for it may be of an intruder, and has proved no factor."""
    await move(bob, Visitor(bob.client).email)
    token = token_in(await post.next(), "email")
    await with_totp(bob, sql)
    assert (await bob.get(ME)).json()["pending_email"] is None
    assert_problem(await confirm(bob.client, token), 422, "email_token_invalid")


async def test_a_taken_email_cannot_be_told_from_a_free_one(
    bob: Visitor, post: MailServer, client: httpx.AsyncClient
) -> None:
    taken = await Visitor(client).register()
    seen = []
    for email in (Visitor(client).email, taken.email.upper(), taken.email):
        moved = await move(bob, email)
        assert moved.status_code == 200
        mail = await post.next()
        again = (await bob.get(ME)).json()
        seen.append(
            [{name: value for name, value in each.items() if name != "pending_email"} for each in (moved.json(), again)]
        )
        assert again["pending_email"].casefold() == email.casefold()
        assert ("already" in mail["Subject"], "todo_email_" in text_of(mail)) == (
            (True, False) if email.casefold() == taken.email else (False, True)
        )
    assert seen[0] == seen[1] == seen[2]
    assert post.mails.empty()
    assert (await taken.login()).status_code == 200
    assert (await bob.login()).status_code == 200


async def test_an_email_taken_before_it_is_confirmed_is_409(
    bob: Visitor, post: MailServer, client: httpx.AsyncClient
) -> None:
    other = Visitor(client)
    await move(bob, other.email)
    token = token_in(await post.next(), "email")
    await other.register()
    assert_problem(await confirm(bob.client, token), 409, "email_taken")
    assert (await bob.login()).status_code == 200


async def test_only_the_latest_change_can_be_confirmed_and_only_for_a_day(
    bob: Visitor, post: MailServer, sql: Any
) -> None:
    first, second = Visitor(bob.client).email, Visitor(bob.client).email
    tokens = []
    for email in (first, second):
        await move(bob, email)
        tokens.append(token_in(await post.next(), "email"))
    assert_problem(await confirm(bob.client, tokens[0]), 422, "email_token_invalid")
    await sql.execute("update email_changes set expires_at = now() where user_id = $1", bob.id)
    assert_problem(await confirm(bob.client, tokens[1]), 422, "email_token_invalid")
    assert (await bob.get(ME)).json()["pending_email"] is None
    await sql.execute("update email_changes set expires_at = now() + interval '1 day' where user_id = $1", bob.id)
    answers = await asyncio.gather(*(confirm(bob.client, tokens[1]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [204] + [422] * 4


@pytest.mark.parametrize("end", ["the old e-mail", "a new password", "a reset", "a disabled account"])
async def test_a_change_that_waits_is_dropped(bob: Visitor, post: MailServer, end: str, sql: Any) -> None:
    await move(bob, Visitor(bob.client).email)
    token = token_in(await post.next(), "email")
    if end == "the old e-mail":
        assert (await move(bob, bob.email.title())).json()["pending_email"] is None
    elif end == "a new password":
        change = {"current_password": PASSWORD, "new_password": "another battery"}
        assert (await bob.call("PUT", "/api/auth/password", change)).status_code == 200
    elif end == "a reset":
        await bob.client.post("/api/auth/password/forgot", json={"email": bob.email})
        await settled(bob.client)
        reset = {"token": token_in(await post.next()), "new_password": "another battery"}
        assert (await bob.client.post("/api/auth/password/reset", json=reset)).status_code == 204
    else:
        await sql.execute("update accounts set disabled_at = now() where user_id = $1", bob.id)
    assert_problem(await confirm(bob.client, token), 422, "email_token_invalid")


async def test_a_reset_confirms_the_email_and_a_change_at_once_does_not(
    mailing: httpx.AsyncClient, post: MailServer
) -> None:
    ann = await Visitor(mailing).register()
    assert (await ann.get(ME)).json()["email_confirmed_at"] is None
    await mailing.post("/api/auth/password/forgot", json={"email": ann.email})
    token = token_in(await post.next())
    await mailing.post("/api/auth/password/reset", json={"token": token, "new_password": PASSWORD})
    ann.take(await ann.login())
    confirmed = (await ann.get(ME)).json()["email_confirmed_at"]
    assert confirmed is not None
    assert (await move(ann, ann.email.title())).json()["email_confirmed_at"] == confirmed
    moved = (await move(ann, Visitor(mailing).email)).json()
    assert (moved["email_confirmed_at"], moved["pending_email"]) == (None, None)


async def test_registering_by_mail_confirms_the_email(by_mail: httpx.AsyncClient, post: MailServer) -> None:
    new = Visitor(by_mail)
    await by_mail.post("/api/auth/register", json={"email": new.email, "password": PASSWORD})
    token = token_in(await post.next())
    await by_mail.post("/api/auth/password/reset", json={"token": token, "new_password": PASSWORD})
    new.take(await new.login())
    assert (await new.get(ME)).json()["email_confirmed_at"] is not None


async def test_a_time_zone_and_its_reminders_change_together_or_not_at_all(ann: Visitor, sql: Any) -> None:
    task = {"title": "Day", "due_date": "2090-01-01", "reminders": ["-PT1H"]}
    before = (await ann.call("POST", "/api/me/tasks", task)).json()
    taken = await Visitor(ann.client).register()
    move = {"timezone": "Asia/Tokyo", "name": "A", "email": taken.email, "current_password": PASSWORD}
    assert_problem(await ann.call("PATCH", ME, move), 409, "email_taken")
    profile = (await ann.get(ME)).json()
    assert (profile["timezone"], profile["name"]) == ("UTC", "Ann")
    task_url = f"/api/me/tasks/{before['id']}"
    assert (await ann.get(task_url)).json() == before
    await sql.execute(
        """create function fail_for_test() returns trigger language plpgsql as $$ begin
           if new.name = 'crash' then raise 'crash'; end if;
           return new; end $$""",
    )
    await sql.execute("create trigger fail before update on accounts for each row execute function fail_for_test()")
    try:
        answer = await ann.call("PATCH", ME, {"timezone": "Asia/Tokyo", "name": "crash"})
        assert answer.status_code >= 500
    finally:
        await sql.execute("drop trigger fail on accounts")
        await sql.execute("drop function fail_for_test")
    assert (await ann.get(ME)).json()["timezone"] == "UTC"
    assert (await ann.get(task_url)).json() == before
    assert (await ann.call("PATCH", ME, {"timezone": "Asia/Tokyo"})).json()["timezone"] == "Asia/Tokyo"
    assert (await ann.get(task_url)).json()["remind_at"] != before["remind_at"]
