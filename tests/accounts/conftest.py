"""Accounts on the shared database, and further applications on it for tests of settings or of several processes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP
from fastapi import FastAPI

from app.config import Settings
from app.main import create_app
from tests.accounts.mail_server import MailServer
from tests.accounts.support import Visitor

Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def start(app: FastAPI, settings: Settings) -> AsyncIterator[Start]:
    """Returns ``start(access_ttl=2)``, which starts another application on the same database until the test ends."""
    async with AsyncExitStack() as stack:

        async def begin(*, base_url: str = "http://test", **changes: Any) -> httpx.AsyncClient:
            own = Settings(_env_file=None, **(settings.model_dump() | {"pool_size": 3} | changes))
            application = create_app(own)
            await stack.enter_async_context(application.router.lifespan_context(application))
            http = httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url=base_url)
            return await stack.enter_async_context(http)

        yield begin


@pytest.fixture(autouse=True)
async def no_attempts(sql: Any) -> None:
    """Deletes the failed logins of other tests, which have the same IP address."""
    await sql.execute("delete from login_attempts")


@pytest.fixture
async def ann(client: httpx.AsyncClient) -> Visitor:
    return await Visitor(client).register(name="Ann")


@pytest.fixture
def from_address(app: FastAPI) -> Callable[[str], httpx.AsyncClient]:
    """Returns a function that makes a client whose requests come from an IP address."""
    return lambda address: httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(address, 50_000)), base_url="http://test"
    )


@pytest.fixture
async def post() -> AsyncIterator[MailServer]:
    found = MailServer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(found, loop=loop), "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


@pytest.fixture
async def mailing(start: Start, post: MailServer) -> httpx.AsyncClient:
    return await start(
        smtp_url=f"smtp://127.0.0.1:{post.port}", mail_from="todo@x.test", reset_url="https://app.example/reset?x=1"
    )
