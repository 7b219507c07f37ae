"""Fixtures for a running service and a browser."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import Browser, browsing, find_browser
from tests.servers import Server, running
from tests.web.window import Window


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts a process of its own, which can be stopped and started again."""
    with running(postgres.dsn) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = find_browser()
    if binary is None:
        pytest.skip("no Chromium on this machine: the web client was not tried in a browser")
    with browsing(binary, Path(tmp_path_factory.mktemp("profile"))) as started:
        started.first_page()
        yield started


@pytest.fixture
def forgotten_attempts(postgres: ConnectOptions, service: Server) -> None:
    """Deletes the wrong attempts of earlier tests, which have the same address."""

    async def delete() -> None:
        connection = await asyncpg.connect(**postgres.arguments())
        try:
            await connection.execute("delete from login_attempts")
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:  # tests that are coroutines have a loop in this one
        thread.submit(asyncio.run, delete()).result()


@pytest.fixture
def window(browser: Browser, service: Server, forgotten_attempts: None) -> Iterator[Window]:
    """Opens a window of a newly registered user. Console errors in it fail the test."""
    opened = Window(browser, service)
    opened.register()
    yield opened
    opened.close()


@pytest.fixture
def address(service: Server) -> str:
    return service.url
