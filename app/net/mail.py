"""Mail by SMTP, or into the log where there is no mail server."""

import asyncio
import logging
import re
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

from app.config import Settings
from app.errors import MailUnavailable
from app.net.addresses import LOCAL_HOSTS
from app.net.connecting import connect_socket

log = logging.getLogger(__name__)

SMTP_TIMEOUT = 20.0
MAIL_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")
MAIL_ERROR_MAX = 300  # characters of a mail server's message


class Mailer:
    """Sends mail after the response: the duration of a request must not reveal whether an account exists."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sending: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """Raises MailUnavailable when mail can be neither sent nor logged."""
        if self._settings.smtp_url is None and not self._settings.logs_mail:
            raise MailUnavailable

    def post(self, to: str, subject: str, text: str) -> None:
        """Starts to send a mail. A failure is logged, without the text."""
        if self._settings.smtp_url is None:
            if self._settings.logs_mail:  # for development: the one line of the log that may hold a token
                log.warning("mail not sent, SMTP_URL is empty", extra={"to": to, "subject": subject, "text": text})
            return
        task = asyncio.create_task(self._send(to, subject, text))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def aclose(self) -> None:
        """Waits up to 5 seconds for mails that are being sent."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=5)

    async def _send(self, to: str, subject: str, text: str) -> None:
        try:
            await send_mail(self._settings, to, subject, text)
        except Exception as error:  # the operator can act on any failure, the user cannot
            log.error("cannot send mail: %s", describe_mail_error(error))


async def send_mail(settings: Settings, to: str, subject: str, text: str, *, message_id: str = "") -> None:
    """Sends a mail. Raises any error of the library or the server."""
    import aiosmtplib  # 1 MB of memory, which a service without a mail server does not need

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.mail_from, to, " ".join(subject.split())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
    if message_id:
        message["Message-ID"] = message_id
    message.set_content(text)
    await aiosmtplib.send(message, **await _connect(settings), timeout=SMTP_TIMEOUT)


async def _connect(settings: Settings) -> dict[str, Any]:
    """Connects to the mail server; returns the options of aiosmtplib that continue from there."""
    assert settings.smtp_url is not None
    server = urlsplit(settings.smtp_url.get_secret_value())
    # A password is never sent over a network unencrypted, whatever the server offers.
    must_encrypt = bool(server.username) and server.hostname not in LOCAL_HOSTS
    port = server.port or (465 if server.scheme == "smtps" else 587 if must_encrypt else 25)
    return {
        "hostname": server.hostname,
        "sock": await connect_socket(server.hostname or "localhost", port),
        "username": unquote(server.username) if server.username else None,
        "password": unquote(server.password) if server.password else None,
        "use_tls": server.scheme == "smtps",
        "start_tls": False if server.scheme == "smtps" else (True if must_encrypt else None),
    }


async def check_mail_server(settings: Settings) -> None:
    """Connects to the mail server and logs in, without sending. Raises any error of the library or the server."""
    import aiosmtplib

    client = aiosmtplib.SMTP(**await _connect(settings), timeout=SMTP_TIMEOUT)
    try:
        await client.connect()
        await client.quit()
    finally:
        client.close()


def is_refused_mail(error: BaseException) -> bool:
    """Returns whether the mail server refused one mail, not this service or its login."""
    import aiosmtplib

    refusals = (aiosmtplib.SMTPDataError, aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPRecipientsRefused)
    return isinstance(error, refusals)


def describe_mail_error(error: BaseException) -> str:
    """Returns the kind of the error and what the mail server says, without e-mail addresses."""
    said = MAIL_ADDRESS.sub("<address>", " ".join(str(error).split()))[:MAIL_ERROR_MAX]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
