"""A provider on the loopback, applications that know it, and accounts as in tests/accounts."""

import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.accounts.conftest import Start, ann, mailing, no_attempts, post, start
from tests.oidc.browser import BASE, SignInBrowser
from tests.oidc.provider import CLIENT_ID, CLIENT_SECRET, Provider, providing
from tests.web.conftest import browser as chromium

__all__ = ["Start", "ann", "chromium", "mailing", "no_attempts", "post", "start"]

Open = Callable[..., Awaitable[SignInBrowser]]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as found:
        name = uuid.uuid4().hex
        found.user = {"sub": name, "email": f"{name}@example.com", "email_verified": True, "name": "Pat\u200b  Doe"}
        yield found


@pytest.fixture
async def open_browser(start: Start, provider: Provider) -> Open:
    """Returns ``open_browser(registration="closed")``: a browser at an application that knows the provider."""

    async def begin(*, base_url: str = BASE, **changes: Any) -> SignInBrowser:
        known = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
        client: httpx.AsyncClient = await start(public_url=base_url, base_url=base_url, **(known | changes))
        return SignInBrowser(client, provider)

    return begin


@pytest.fixture
async def browser(open_browser: Open) -> SignInBrowser:
    return await open_browser()
