"""Accounts on the shared database; more applications on it where a setting or a second process matters."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.main import create_app
from tests.accounts.support import Visitor

Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def start(app: FastAPI, settings: Settings) -> AsyncIterator[Start]:
    """``await start(access_ttl=2)``: one more application on the same database, until the test ends."""
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
    """Every test comes from the same address; what others guessed wrong is not held against it."""
    await sql.execute("delete from login_attempts")


@pytest.fixture
async def ann(client: httpx.AsyncClient) -> Visitor:
    return await Visitor(client).register(name="Ann")


@pytest.fixture
def from_address(app: FastAPI) -> Callable[[str], httpx.AsyncClient]:
    """A client whose requests come from this address."""
    return lambda address: httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(address, 50_000)), base_url="http://test"
    )
