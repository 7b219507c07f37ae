"""A real SMTP server on loopback, and what tests read in its mails."""

import asyncio
import re
from email import message_from_bytes
from email.message import Message
from typing import Any


class MailServer:
    """A mail server on this machine, which keeps the mails it receives."""

    def __init__(self) -> None:
        self.mails: asyncio.Queue[Message] = asyncio.Queue()
        self.port = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await self.mails.put(message_from_bytes(envelope.content))
        return "250 OK"

    async def next(self) -> Message:
        return await asyncio.wait_for(self.mails.get(), 5)


def text_of(mail: Message) -> str:
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode()


def token_in(mail: Message, kind: str = "reset") -> str:
    (found,) = re.findall(rf"todo_{kind}_[\w-]{{43}}", text_of(mail))
    token: str = found
    return token
