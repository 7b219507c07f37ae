"""The official MCP client connects by the URL alone, to two processes, while a person answers in a real browser."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio.to_thread
import httpx2
import pytest
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from app.db.connection_options import ConnectOptions
from tests.browser import Browser, Page
from tests.oauth.publisher import Publisher, publishing
from tests.receivers import served
from tests.servers import Server, running
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow

PROMISE = 5.0  # seconds


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Publisher, Path]]:
    with publishing(Path(tmp_path_factory.mktemp("publisher"))) as found:
        yield found


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions, migrated: str, publisher: tuple[Publisher, Path]) -> Iterator[Server]:
    """Starts two processes on one port, with no setting for OAuth but the publisher's certificate and address."""
    trusted = {"SSL_CERT_FILE": str(publisher[1]), "OUTBOUND_ALLOW": "127.0.0.1"}
    with running(postgres.dsn, WEB_CONCURRENCY="2", **trusted) as server:
        yield server


@pytest.fixture
def window(browser: Browser, service: Server) -> Iterator[Window]:
    opened = Window(browser, service)
    opened.register()
    yield opened
    opened.close()


class Storage:
    """The tokens and the registration of a client, in memory."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Callback:
    """The page at which an app on the user's machine receives the code."""

    def __init__(self) -> None:
        self.received: Queue[dict[str, str]] = Queue()
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/callback":
                    callback.received.put({name: values[0] for name, values in parse_qs(parts.query).items()})
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"


@contextmanager
def listening() -> Iterator[Callback]:
    callback = Callback()
    with served(callback.server):
        yield callback


class Person:
    """A person in front of a browser, to whom an app shows pages. ``answers``: what they allow, in turn."""

    def __init__(self, page: Page, email: str, *answers: str, is_logged_in: bool = False) -> None:
        self.page, self.email, self.answers = page, email, list(answers)
        self.is_logged_in = is_logged_in
        self.seen: list[str] = []
        self.passwords = 0

    def open(self, url: str) -> None:
        self.page.call("Page.navigate", url=url)
        if not self.is_logged_in:  # else the page's script continues with the login of the web client
            self.page.shows("[name=password]")
            self.passwords += 1
            self.page.type("input[name=email]", self.email)
            self.page.type("input[name=password]", PASSWORD)
            self.page.click("form .primary")
        self.page.shows("[value=allow]")
        self.seen.append(self.page.text())
        answer = self.answers.pop(0)
        if answer != "deny":
            self.page.click(f"input[name=scope][value={answer}]")
        self.page.click(f"button[value={'deny' if answer == 'deny' else 'allow'}]")


@asynccontextmanager
async def connected(
    service: Server, person: Person, storage: Storage, *, metadata_url: str | None = None
) -> AsyncIterator[Client]:
    with listening() as callback:

        async def redirect(url: str) -> None:
            await anyio.to_thread.run_sync(person.open, url)

        async def receive() -> AuthorizationCodeResult:
            received = await anyio.to_thread.run_sync(lambda: callback.received.get(timeout=20))
            return AuthorizationCodeResult(
                code=received.get("code", ""), state=received.get("state"), iss=received.get("iss")
            )

        metadata = OAuthClientMetadata.model_validate({"client_name": "Agent", "redirect_uris": [callback.url]})
        provider = OAuthClientProvider(
            f"{service.url}/mcp", metadata, storage, redirect, receive, client_metadata_url=metadata_url
        )
        async with (
            httpx2.AsyncClient(auth=provider, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(f"{service.url}/mcp", http_client=http)) as client,
        ):
            yield client


async def add_task(client: Client, title: str) -> None:
    result = await client.call_tool("add_task", {"title": title})
    assert not result.is_error, result.content


async def test_an_agent_that_registers_asks_for_more_and_is_disconnected(
    browser: Browser, service: Server, window: Window
) -> None:
    fresh = browser.new_context()
    person, storage = Person(browser.new_page(fresh), window.email, "read", "write"), Storage()
    async with connected(service, person, storage) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        assert "list_tasks" in listed
        assert "add_task" not in listed
        assert (person.passwords, storage.tokens and storage.tokens.scope) == (1, "read")
        await add_task(client, "by an agent")  # 403 with a challenge: the client asks for more, and repeats
        assert (person.passwords, storage.tokens and storage.tokens.scope) == (2, "read write")
    assert window.kept() == ["by an agent"]
    assert person.page.complaints() == []
    assert person.page.hosts() == {"127.0.0.1"}
    browser.close_context(fresh)

    assert storage.tokens
    window.go("#/settings/connections")
    window.page.wait("document.querySelectorAll('.apps li').length == 2")  # the first grant is there until it is unused
    for left in (1, 0):
        window.page.click(".apps button")
        window.page.wait("document.querySelector('.apps button.danger') !== null")
        window.page.click(".apps button.danger")
        window.page.wait(f"document.querySelectorAll('.apps li').length == {left}")
    headers = {
        "Authorization": f"Bearer {storage.tokens.access_token}",
        "Accept": "application/json, text/event-stream",
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    started = time.monotonic()
    async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
        refused = 0
        while refused < 10:  # by both processes
            refused = refused + 1 if (await http.post(f"{service.url}/mcp", json=message)).status_code == 401 else 0
            assert time.monotonic() - started < PROMISE
    assert window.complaints() == []


async def test_an_agent_with_published_metadata_uses_the_login_of_the_web_client(
    browser: Browser, service: Server, window: Window, publisher: tuple[Publisher, Path]
) -> None:
    site = publisher[0]
    site.document |= {"redirect_uris": ["http://127.0.0.1/callback"]}
    person, storage = Person(browser.new_page(window.context), window.email, "write", is_logged_in=True), Storage()
    async with connected(service, person, storage, metadata_url=site.url) as client:
        await add_task(client, "by an agent")
    assert "an app of 127.0.0.1" in person.seen[0]
    assert window.email in person.seen[0]
    assert storage.client
    assert storage.client.client_id == site.url
    assert window.kept() == ["by an agent"]
    window.go("#/settings/connections")
    window.page.wait("document.querySelector('.apps li').textContent.includes('127.0.0.1')")
    window.in_step()  # the page's refresh has not logged the window out
    assert person.page.complaints() == []


async def test_a_person_who_cancels_gives_no_access(browser: Browser, service: Server, window: Window) -> None:
    person, storage = Person(browser.new_page(window.context), window.email, "deny", is_logged_in=True), Storage()
    with pytest.raises(ExceptionGroup) as refused:
        async with connected(service, person, storage) as client:
            await client.list_tools()
    assert refused.group_contains(OAuthFlowError, match="No authorization code received")
    assert storage.tokens is None
