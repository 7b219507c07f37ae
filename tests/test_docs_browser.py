"""/docs in a real browser: it works, and it neither breaks its own policy nor talks to another host.

The pages are judged through the browser's DevTools protocol, so that a refused style or a request that never left
the machine is seen too. The last test shows that these checks can fail.
"""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials
from websockets.sync.client import ClientConnection, connect

from app.deps import UserId, bearer
from app.middleware import Edge
from app.openapi import install_openapi
from app.problems import install_problems
from app.routers import docs

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1280,1800",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE = 20.0  # seconds
TOKEN = "header.payload.signature"
FOREIGN = '<p style="color: red"><img src="http://elsewhere.invalid/pixel.png">'


def _app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, generate_unique_id_function=lambda route: route.name)

    @app.get("/api/{user_id}/tasks", tags=["tasks"])
    async def list_tasks(
        user_id: UserId, token: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> list[str]:
        return [f"{user_id} came with {token and token.credentials}"]

    @app.get("/tainted", include_in_schema=False)
    async def read_tainted(policy: str = "") -> HTMLResponse:
        headers = {"Content-Security-Policy": policy} if policy else {}
        return HTMLResponse(f"<title>tainted</title>{FOREIGN}", headers=headers)

    app.include_router(docs.router)
    app.add_middleware(Edge, log_requests=False)
    install_problems(app)
    install_openapi(app)
    return app


@pytest.fixture(scope="module")
def docs_url() -> Iterator[str]:
    """The address of a small service with the real /docs, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(_app(), log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Page:
    """One browser tab: what it shows, and what it complained about since it was opened."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0
        self._events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._calls += 1
        self._connection.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message: dict[str, Any] = json.loads(self._connection.recv(timeout=PATIENCE))
            if message.get("id") == self._calls:
                assert "error" not in message, message
                return dict(message["result"])
            self._events.append(message)

    def open(self, url: str) -> Self:
        self.call("Page.navigate", url=url)
        self.wait(f"location.href == {json.dumps(url)} && document.readyState == 'complete'")
        return self

    def wait(self, expression: str) -> Any:
        """The value of the JavaScript expression as soon as it is true; its elements may not be there yet."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            result = self.call("Runtime.evaluate", expression=f"try {{ {expression} }} catch {{ null }}")["result"]
            if result.get("value"):
                return result["value"]
            time.sleep(0.05)
        raise AssertionError(f"never true: {expression}\n{self.text()}")

    def shows(self, selector: str) -> None:
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")

    def click(self, selector: str) -> None:
        self.wait(f"(document.querySelector({json.dumps(selector)}).click(), true)")

    def type(self, selector: str, text: str) -> None:
        self.wait(f"(document.querySelector({json.dumps(selector)}).focus(), true)")
        self.call("Input.insertText", text=text)

    def text(self) -> str:
        return str(self.call("Runtime.evaluate", expression="document.body.innerText")["result"].get("value"))

    def _seen(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self._events if event["method"] == method]

    def complaints(self) -> list[str]:
        """Errors in the console, exceptions, and breaches of the content security policy."""
        entries = [seen["entry"] for seen in self._seen("Log.entryAdded")]
        issues = [seen["issue"] for seen in self._seen("Audits.issueAdded")]
        return [
            *(entry["text"] for entry in entries if entry["level"] == "error"),
            *(str(issue) for issue in issues if "SecurityPolicy" in issue["code"]),
            *(str(seen["exceptionDetails"]) for seen in self._seen("Runtime.exceptionThrown")),
        ]

    def hosts(self) -> set[str | None]:
        """Every host that was asked for something, refused and unreachable ones included."""
        urls = [urlsplit(sent["request"]["url"]) for sent in self._seen("Network.requestWillBeSent")]
        return {url.hostname for url in urls if url.scheme != "data"}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A tab of a browser with a fresh profile that can resolve no name."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        pytest.skip("no Chromium on this machine: /docs was not tried in a browser")
    command = [binary, *FLAGS, f"--user-data-dir={tmp_path}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_debugger(tmp_path / "DevToolsActivePort"), max_size=None, proxy=None) as connection:
            yield Page(connection)
    finally:
        browser.terminate()
        browser.wait(PATIENCE)


def _debugger(port_file: Path) -> str:
    """The DevTools address of the only tab, once the browser has written down its port."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = port_file.read_text().split() if port_file.exists() else []
        if len(lines) == 2:
            tabs = httpx.get(f"http://127.0.0.1:{lines[0]}/json/list", trust_env=False).json()
            urls = [str(tab["webSocketDebuggerUrl"]) for tab in tabs if tab["type"] == "page"]
            if urls:
                return urls[0]
        time.sleep(0.05)
    raise AssertionError("the browser did not start")


def test_a_person_authorizes_and_calls_an_operation(page: Page, docs_url: str) -> None:
    page.open(f"{docs_url}/docs").shows("#operations-tasks-list_tasks")
    assert "todo token alice" in page.text()
    page.click("button.authorize")
    page.type(".modal-ux input", TOKEN)
    page.click(".modal-ux button.authorize")
    page.click(".modal-ux button.btn-done")
    page.click("#operations-tasks-list_tasks button.opblock-summary-control")
    page.wait("document.querySelector('tr[data-param-name=user_id] input').value == 'me'")
    page.click("#operations-tasks-list_tasks button.execute")
    answer = page.wait("document.querySelector('.live-responses-table .highlight-code').innerText")
    assert f"me came with {TOKEN}" in answer
    assert page.complaints() == []
    assert page.hosts() == {"127.0.0.1"}


def test_the_token_outlives_a_reload(page: Page, docs_url: str) -> None:
    page.open(f"{docs_url}/docs").click("button.authorize")
    page.type(".modal-ux input", TOKEN)
    page.click(".modal-ux button.authorize")
    page.wait("localStorage.getItem('authorized')")
    page.open(f"{docs_url}/docs/").shows("button.authorize.locked")
    assert page.complaints() == []


def test_a_breach_would_be_seen(page: Page, docs_url: str) -> None:
    policy = httpx.get(f"{docs_url}/docs").headers["content-security-policy"]
    page.open(f"{docs_url}/tainted")
    assert page.hosts() == {"127.0.0.1", "elsewhere.invalid"}
    before = len(page.complaints())
    page.open(str(httpx.URL(f"{docs_url}/tainted", params={"policy": policy})))
    broken = "\n".join(page.complaints()[before:])
    assert "style-src" in broken
    assert "img-src" in broken


def test_the_policy_names_no_host_and_every_nonce_is_new(docs_url: str) -> None:
    first, second = (httpx.get(f"{docs_url}/docs").headers for _ in range(2))
    assert first["content-security-policy"] != second["content-security-policy"]
    assert "unsafe" not in first["content-security-policy"]
    assert "http" not in first["content-security-policy"]
    assert first["cache-control"] == "no-store"


@pytest.mark.parametrize("name", docs.ASSETS)
def test_assets_stay_for_a_year_under_their_version_only(docs_url: str, name: str) -> None:
    asset = httpx.get(f"{docs_url}/docs/{name}", params={"v": docs.VERSION})
    assert asset.content == (docs.FOLDER / name).read_bytes()
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{docs_url}/docs/{name}", params={"v": "0"}).headers["cache-control"] == "no-cache"


def test_the_document_is_304_for_who_has_it(docs_url: str) -> None:
    first = httpx.get(f"{docs_url}/openapi.json")
    again = httpx.get(f"{docs_url}/openapi.json", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (first.status_code, first.json()["info"]["title"]) == (200, "Todo")
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
