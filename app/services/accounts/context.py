"""The dependencies of the account services, created once at the start."""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from app.auth.access_tokens import TokenIssuer
from app.auth.openid_provider import OpenIdProvider
from app.auth.passwords import PasswordHasher
from app.config import Settings
from app.db.database import Database
from app.errors import AccountsUnavailable
from app.net.mail import Mailer
from app.net.outbound import OutboundClient
from app.services.accounts.revocation import RevocationCache

log = logging.getLogger(__name__)


class Client(NamedTuple):
    """The client of a request, as the network shows it. ``arrived_at`` is when the request reached this process."""

    address: str
    user_agent: str
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class AuthContext:
    """``token_issuer`` is None without a key to sign with: then only other issuers' tokens and API tokens work."""

    settings: Settings
    database: Database
    hasher: PasswordHasher
    revocations: RevocationCache
    mailer: Mailer
    token_issuer: TokenIssuer | None
    outbound: OutboundClient
    providers: Mapping[str, OpenIdProvider]
    counters: Counter[str] = field(default_factory=Counter)  # counters of events, for app.observability.metrics
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def tokens(self) -> TokenIssuer:
        """Returns the issuer of access tokens. Raises AccountsUnavailable where there is no key to sign with."""
        if self.token_issuer is None:
            raise AccountsUnavailable
        return self.token_issuer

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs ``work`` after the response. It is cancelled when the service stops, and must then finish at once."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work after a response failed", exc_info=error)

    async def aclose(self) -> None:
        """Cancels the work in the background and waits for it. Must come before the database closes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.mailer.aclose()
        self.hasher.close()
