"""Mail by SMTP, or into the log where there is no server for it."""

import asyncio
import logging
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from app.config import Settings
from app.errors import MailUnavailable

log = logging.getLogger(__name__)

TIMEOUT = 20.0
LOCAL = {"localhost", "127.0.0.1", "::1"}


class Mailer:
    """Sends after the answer: how long a mail takes must not tell whether there was one to send."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sending: set[asyncio.Task[None]] = set()

    def check(self) -> None:
        """Raises MailUnavailable where mails would go nowhere."""
        if self._settings.smtp_url is None and not self._settings.logs_mail:
            raise MailUnavailable

    def post(self, to: str, subject: str, text: str) -> None:
        """Send soon. A failure is logged, without the text."""
        if self._settings.smtp_url is None:
            if self._settings.logs_mail:  # for development: the one line of the log that may hold a token
                log.warning("mail not sent, SMTP_URL is empty", extra={"to": to, "subject": subject, "text": text})
            return
        task = asyncio.create_task(self._send(to, subject, text))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def aclose(self) -> None:
        """Give what is being sent a little time."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=5)

    async def _send(self, to: str, subject: str, text: str) -> None:
        import aiosmtplib  # 1 MB of memory, for who has a mail server

        assert self._settings.smtp_url is not None
        server = urlsplit(self._settings.smtp_url.get_secret_value())
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._settings.mail_from, to, subject
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
        message.set_content(text)
        # A password never crosses a network in the clear, whatever the server offers.
        must_encrypt = bool(server.username) and server.hostname not in LOCAL
        try:
            await aiosmtplib.send(
                message,
                hostname=server.hostname,
                port=server.port,
                username=unquote(server.username) if server.username else None,
                password=unquote(server.password) if server.password else None,
                use_tls=server.scheme == "smtps",
                start_tls=False if server.scheme == "smtps" else (True if must_encrypt else None),
                timeout=TIMEOUT,
            )
        except Exception as error:  # whatever went wrong, the operator should read it and the user cannot help it
            log.error("mail could not be sent: %s", type(error).__name__)
