"""Reminders by mail: to the confirmed address of the account only, and what the mail server says."""

import asyncio
from collections.abc import AsyncIterator
from email.header import decode_header, make_header
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP
from fastapi import FastAPI

from app.config import Settings
from app.main import create_app
from tests.accounts.mail_server import MailServer, text_of
from tests.accounts.support import Visitor
from tests.channels.reminding import make_channel, remind, settled
from tests.support import Person
from tests.workers import make_worker


class Refusing(MailServer):
    """Refuses the first mails, naming the recipient as mail servers do."""

    refusals = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            self.refusals -= 1
            return f"451 <{envelope.rcpt_tos[0]}> try again later"
        return await super().handle_DATA(server, session, envelope)


@pytest.fixture
async def post() -> AsyncIterator[Refusing]:
    found = Refusing()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(found, loop=loop, enable_SMTPUTF8=True), "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
async def mailing(settings: Settings, post: Refusing) -> AsyncIterator[FastAPI]:
    changes = {
        "smtp_url": f"smtp://127.0.0.1:{post.port}", "mail_from": "Todo <todo@mail.example.com>",
        "public_url": "https://todo.example.com", "reset_url": "https://x",
    }  # fmt: skip
    application = create_app(Settings(_env_file=None, **(settings.model_dump() | changes)))
    async with application.router.lifespan_context(application):
        yield application


class Mailed(Person):
    """A user with an account, and its token."""

    email = ""

    @classmethod
    async def register(cls, app: FastAPI) -> "Mailed":
        visitor = await Visitor(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        ).register()
        person = cls(visitor.client, visitor.id)
        person.email = visitor.email
        person.headers = {"Authorization": f"Bearer {visitor.access}"}
        return person


async def confirm(sql: Any, person: Person) -> None:
    await sql.execute("update accounts set email_confirmed_at = now() where user_id = $1", person.subject)


async def test_a_reminder_comes_by_mail(mailing: FastAPI, post: Refusing, sql: Any) -> None:
    anna = await Mailed.register(mailing)
    await confirm(sql, anna)
    channel = await make_channel(anna, kind="mail")
    task = await remind(sql, anna, "Zażółć\u2028gęślą " + "x" * 150, description="how", ago=3600)
    async with make_worker(mailing):
        (told,) = await settled(anna, channel)
        mail = await post.next()
    assert (told["outcome"], told["status"], told["error"]) == ("delivered", None, None)
    assert (mail["To"], mail["From"]) == (anna.email, "Todo <todo@mail.example.com>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@mail.example.com>")
    assert str(make_header(decode_header(mail["Subject"]))) == task["title"].replace("\u2028", " ")
    text = text_of(mail).replace("\r\n", "\n")
    assert text.startswith("Late: this reminder was for ")
    assert text.rstrip().endswith(f"how\n\nhttps://todo.example.com/app/#/all?task={task['id']}")


async def test_a_refused_mail_is_sent_again_with_its_id(mailing: FastAPI, post: Refusing, sql: Any) -> None:
    post.refusals = 1
    anna = await Mailed.register(mailing)
    await confirm(sql, anna)
    channel = await make_channel(anna, kind="mail")
    await remind(sql, anna)
    async with make_worker(mailing):
        (told,) = await settled(anna, channel)
    assert (told["outcome"], told["attempts"]) == ("delivered", 2)
    assert post.mails.qsize() == 1


@pytest.mark.parametrize("state", ["unconfirmed", "disabled", "refused"])
async def test_mail_that_cannot_be_sent_says_why(mailing: FastAPI, post: Refusing, sql: Any, state: str) -> None:
    """No one but who reads mail at the address gets any."""
    anna: Person = await Mailed.register(mailing)
    await make_channel(anna, kind="mail")
    await remind(sql, anna)
    expected = "The account has no confirmed e-mail address: choose a new password by mail to confirm it."
    if state != "unconfirmed":
        await confirm(sql, anna)
    if state == "disabled":
        await sql.execute("update accounts set disabled_at = now() where user_id = $1", anna.subject)
    if state == "refused":
        post.refusals, expected = 1000, "SMTPDataError: (451, '<<address>> try again later')"
    async with make_worker(mailing):
        for _ in range(400):
            row = await sql.fetchrow("select outcome, error from deliveries where user_id = $1", anna.subject)
            if row and row["outcome"]:
                break
            await asyncio.sleep(0.02)
    assert tuple(row) == ("failed", expected)
    assert post.mails.empty()


async def test_a_mail_server_that_cannot_be_reached_is_named_to_the_operator_only(
    settings: Settings, sql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"smtp_url": "smtp://127.0.0.1:9", "reset_url": "https://x"}
    application = create_app(Settings(_env_file=None, **(settings.model_dump() | changes)))
    async with application.router.lifespan_context(application):
        anna = await Mailed.register(application)
        await confirm(sql, anna)
        channel = await make_channel(anna, kind="mail")
        told = (await anna.post(f"/channels/{channel['id']}/test")).json()
    assert told["error"] == "The mail server does not work: the operator's log says why."
    assert "cannot send mail: ConnectionRefusedError" in caplog.text


async def test_without_a_mail_server_the_channel_says_so(anna: Person, service: FastAPI, sql: Any) -> None:
    channel = await make_channel(anna, kind="mail")
    await remind(sql, anna)
    async with make_worker(service):
        (told,) = await settled(anna, channel)
    assert (told["outcome"], told["error"]) == ("failed", "The operator has set no mail server (SMTP_URL).")


async def test_mail_is_offered_to_a_confirmed_address(mailing: FastAPI, post: Refusing, sql: Any) -> None:
    anna = await Mailed.register(mailing)
    channel = await make_channel(anna, kind="mail")

    async def offered() -> Any:
        return next(each for each in (await anna.get("/channels/kinds")).json() if each["kind"] == "mail")

    reason = "The account has no confirmed e-mail address: choose a new password by mail to confirm it."
    assert await offered() == {"kind": "mail", "available": False, "reason": reason, "public_key": None}
    assert (await anna.post(f"/channels/{channel['id']}/test")).json()["error"] == reason
    await confirm(sql, anna)
    assert await offered() == {"kind": "mail", "available": True, "reason": None, "public_key": None}
    assert (await anna.post(f"/channels/{channel['id']}/test")).json()["outcome"] == "delivered"
    assert (await post.next())["Subject"] == "A test of your reminders"


async def test_a_digest_comes_by_mail(mailing: FastAPI, post: Refusing, sql: Any) -> None:
    anna = await Mailed.register(mailing)
    await confirm(sql, anna)
    channel = await make_channel(anna, kind="mail", digest_time="08:00")
    await anna.add("Pay the rent", due_date="2020-05-01")
    await sql.execute("update channels set next_digest_at = now() where id = $1", channel["id"])
    async with make_worker(mailing):
        (told,) = await settled(anna, channel)
        mail = await post.next()
    assert (told["kind"], told["outcome"]) == ("digest", "delivered")
    assert mail["Subject"].endswith(": 1 overdue")
    text = text_of(mail).replace("\r\n", "\n").rstrip()
    assert text == "Overdue (1)\n- Pay the rent (Fri 1 May 2020)\n\nhttps://todo.example.com/app/#/today"
