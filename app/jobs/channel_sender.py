"""Sending one notification to one channel, by the way of its kind."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from app.auth.vapid_keys import load_vapid_key, vapid_subject
from app.config import Settings
from app.db.database import Database
from app.domain.notifications import Notification, apprise_message, gotify_message, ntfy_message, push_message
from app.errors import TooManyTests
from app.json_codec import encode
from app.models.channels import ChannelKind, KindRow
from app.net.mail import describe_mail_error, is_refused_mail, send_mail
from app.net.outbound import OutboundClient, Outcome
from app.net.outbound_policy import OutboundPolicy
from app.net.web_push import authorize_push, encode_base64url, encrypt_message, origin_of, point_of
from app.services.accounts.profile import find_confirmed_email
from app.services.channels.channel_fields import KIND_FIELDS, NO_SECRETS, SECRET_FIELDS
from app.services.channels.outbox import ChannelAddress
from app.services.channels.outcomes import Attempt

log = logging.getLogger(__name__)

TESTS_PER_USER = 4  # at once
MAIL_SECONDS = 20.0  # seconds for one mail: shorter than the lease of a delivery
PUSH_TTL = 24 * 3600  # seconds that a push service keeps a message for a browser that is not running
NO_MAIL_SERVER = "The operator has set no mail server (SMTP_URL)."
MAIL_SERVER_FAILED = "The mail server does not work: the operator's log says why."
NO_CONFIRMED_EMAIL = "The account has no confirmed e-mail address: choose a new password by mail to confirm it."
NO_PUSH_KEY = "The operator has set no key for Web Push (VAPID_PRIVATE_KEY)."
# Another attempt with the same message would fail as well.
FINAL_STATUSES = frozenset({400, 405, 406, 411, 413, 414, 415, 422, 431})
GONE_STATUSES = {ChannelKind.WEBPUSH: frozenset({404, 410})}
APPRISE_ERRORS = {
    204: "The Apprise server has nothing configured under this URL: nothing was sent.",
    424: "Apprise could not reach all of the services.",
}
SUBSCRIPTION_ENDED = "The browser's subscription has ended: its push service responded with {status}."


class Request(NamedTuple):
    """A POST of one message."""

    url: str
    body: bytes
    headers: dict[str, str]


class ChannelSender:
    """Use as an async context manager. Raises ValueError or OSError for a key that cannot be used."""

    def __init__(self, database: Database, settings: Settings, policy: OutboundPolicy | None = None) -> None:
        self._database, self._settings = database, settings
        self.client = OutboundClient(policy or OutboundPolicy.from_settings(settings))
        self._push_key = load_vapid_key(settings)
        self._contact = vapid_subject(settings)
        self._tests: Counter[str] = Counter()  # that run, by owner

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, error, trace)

    @property
    def push_public_key(self) -> str | None:
        """Returns what browsers subscribe with (``applicationServerKey``)."""
        return None if self._push_key is None else encode_base64url(point_of(self._push_key.public_key()))

    def page_url(self, page: str) -> str:
        """Returns the URL of a page of the web client; empty without PUBLIC_URL or the web client."""
        base = self._settings.public_base
        return f"{base}/app/#/{page}" if base and self._settings.web_client else ""

    @contextmanager
    def admit_test(self, owner: str) -> Iterator[None]:
        """Counts a test of ``owner``: the places for calls are shared with what is due. Raises TooManyTests."""
        if self._tests[owner] >= TESTS_PER_USER:
            raise TooManyTests(retry_after=5)
        self._tests[owner] += 1
        try:
            yield
        finally:
            self._tests[owner] -= 1
            self._tests += Counter()  # drops the zeros

    async def send(self, owner: str, address: ChannelAddress, notification: Notification) -> Attempt:
        """Makes one attempt. Returns every failure of the other side instead of raising."""
        if missing := self._find_missing(address):
            return Attempt(delivered=False, status=None, error=missing, latency_ms=0, receiver_failed=True)
        if address.kind == ChannelKind.MAIL:
            return await self._send_mail(owner, notification)
        request = self._request(address, notification)
        outcome = await self.client.post(request.url, request.body, request.headers)
        return judge_outcome(ChannelKind(address.kind), outcome)

    async def describe_kinds(self, owner: str) -> list[KindRow]:
        """Returns each kind of channel, and what is missing before it can be used."""
        missing: dict[ChannelKind, str | None] = {kind: self._find_unset(kind) for kind in ChannelKind}
        if missing[ChannelKind.MAIL] is None and await self._find_email(owner) is None:
            missing[ChannelKind.MAIL] = NO_CONFIRMED_EMAIL
        public = {ChannelKind.WEBPUSH: self.push_public_key}
        return [KindRow(kind.value, reason is None, reason, public.get(kind)) for kind, reason in missing.items()]

    def _find_missing(self, address: ChannelAddress) -> str | None:
        """Returns why nothing can be sent to a channel."""
        kind = ChannelKind(address.kind)
        if any(name not in address.secrets for name in KIND_FIELDS[kind].needed & set(SECRET_FIELDS)):
            return NO_SECRETS
        return self._find_unset(kind)

    def _find_unset(self, kind: ChannelKind) -> str | None:
        """Returns what the operator has not set, without which no channel of the kind works."""
        if kind is ChannelKind.WEBPUSH and self._push_key is None:
            return NO_PUSH_KEY
        return NO_MAIL_SERVER if kind is ChannelKind.MAIL and self._settings.smtp_url is None else None

    async def _find_email(self, owner: str) -> str | None:
        async with self._database.auth_transaction() as session:
            return await find_confirmed_email(session, owner)

    def _request(self, address: ChannelAddress, notification: Notification) -> Request:
        # The id is in a header everywhere, so that also a proxy in front of a receiver can drop doubles.
        headers = {"Content-Type": "application/json", "User-Agent": "todo", "Idempotency-Key": notification.id}
        url, secrets = address.url or "", address.secrets
        token = secrets.get("token")
        match address.kind:
            case ChannelKind.NTFY:
                if token:
                    headers["Authorization"] = f"Bearer {token}"
                headers["X-Sequence-ID"] = notification.id
                return Request(url, encode(ntfy_message(notification, address.topic or "")), headers)
            case ChannelKind.GOTIFY:
                headers["X-Gotify-Key"] = token or ""
                return Request(f"{url}/message", encode(gotify_message(notification)), headers)
            case ChannelKind.APPRISE:
                return Request(url, encode(apprise_message(notification, secrets.get("urls", []))), headers)
            case _:
                return self._push_request(secrets["subscription"], notification)

    def _push_request(self, subscription: Any, notification: Notification) -> Request:
        assert self._push_key is not None
        endpoint = subscription["endpoint"]
        headers = {
            "Authorization": authorize_push(self._push_key, origin_of(endpoint), self._contact),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(PUSH_TTL),
            "Topic": notification.topic,  # of two that wait for the browser, the push service keeps the second
            "Urgency": "high" if notification.kind != "digest" else "normal",
        }
        body = encrypt_message(encode(push_message(notification)), subscription["keys"])
        return Request(endpoint, body, headers)

    async def _send_mail(self, owner: str, notification: Notification) -> Attempt:
        started = time.perf_counter()
        error = await self._try_mail(owner, notification)
        latency = round((time.perf_counter() - started) * 1000)
        return Attempt(delivered=not error, status=None, error=error, latency_ms=latency, receiver_failed=bool(error))

    async def _try_mail(self, owner: str, notification: Notification) -> str | None:
        """Returns why the mail was not sent."""
        email = await self._find_email(owner)
        if email is None:
            return NO_CONFIRMED_EMAIL
        domain = self._settings.mail_from.rpartition("@")[2].strip("<> ") or "localhost"
        text = f"{notification.text}\n\n{notification.url}" if notification.url else notification.text
        try:
            async with asyncio.timeout(MAIL_SECONDS):
                await send_mail(
                    self._settings,
                    email,
                    notification.title,
                    text,
                    message_id=f"<{notification.topic}@{domain}>",
                )
        except TimeoutError:
            return f"No answer of the mail server within {MAIL_SECONDS:.0f} seconds."
        except Exception as failure:  # whatever the library or the server says
            if is_refused_mail(failure):
                return describe_mail_error(failure)
            log.error("cannot send mail: %s", describe_mail_error(failure))
            return MAIL_SERVER_FAILED
        return None


def judge_outcome(kind: ChannelKind, outcome: Outcome) -> Attempt:
    """Returns what a response means: a status alone does not say whether a person was reached."""
    status, error = outcome.status, outcome.error
    if kind is ChannelKind.APPRISE and status in APPRISE_ERRORS:
        error = APPRISE_ERRORS[status]
    elif status is not None and status in GONE_STATUSES.get(kind, ()):
        error = SUBSCRIPTION_ENDED.format(status=status)
    elif not outcome.delivered and status is not None:
        error = f"The server responded with {status}."
    return Attempt(
        delivered=error is None,
        status=status,
        error=error,
        latency_ms=outcome.latency_ms,
        is_final=status in FINAL_STATUSES,
        ends=status in GONE_STATUSES.get(kind, ()),
        receiver_failed=error is not None and status not in FINAL_STATUSES,
        delay=outcome.retry_after or 0,
    )
