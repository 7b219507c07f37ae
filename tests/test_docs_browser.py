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
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse
from websockets.sync.client import ClientConnection, connect

from app.config import Settings
from app.main import create_app
from app.routers import docs
from tests.support import make_token

pytestmark = pytest.mark.usefixtures("anyio_backend")  # the plain tests here stand on the asynchronous ``postgres``

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
CREATE = ".opblock-post:has([data-path='/api/{user_id}/tasks'])"
FOREIGN = '<p style="color: red"><img src="http://elsewhere.invalid/pixel.png">'


async def _tainted(request: Request) -> HTMLResponse:
    """A page as it must not be, under the policy that the query names."""
    policy = request.query_params.get("policy", "default-src * 'unsafe-inline'")
    return HTMLResponse(FOREIGN, headers={"Content-Security-Policy": policy})


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[str]:
    """The address of the whole service on a free port, with one tainted page more."""
    app = create_app(settings)
    app.add_route("/tainted", _tainted)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
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


def test_a_person_authorizes_and_creates_a_task(page: Page, service: str) -> None:
    page.open(f"{service}/docs").shows(CREATE)
    assert "todo token alice" in page.text()
    page.click("button.authorize")
    page.type(".modal-ux input", make_token("swagger-user"))
    page.click(".modal-ux button.authorize")
    page.click(".modal-ux button.btn-done")
    page.click(f"{CREATE} button.opblock-summary-control")
    page.wait("document.querySelector('tr[data-param-name=user_id] input').value == 'me'")
    page.click(f"{CREATE} button.execute")
    status = page.wait(
        "document.querySelector('.live-responses-table .response-col_status:not(.col_header)').innerText"
    )
    assert status.split()[0] == "201", page.text()
    assert page.complaints() == []
    assert page.hosts() == {"127.0.0.1"}


def test_the_token_outlives_a_reload(page: Page, service: str) -> None:
    page.open(f"{service}/docs").click("button.authorize")
    page.type(".modal-ux input", make_token("swagger-user"))
    page.click(".modal-ux button.authorize")
    page.wait("localStorage.getItem('authorized')")
    page.open(f"{service}/docs/").shows("button.authorize.locked")
    assert page.complaints() == []


def test_a_breach_would_be_seen(page: Page, service: str) -> None:
    policy = httpx.get(f"{service}/docs").headers["content-security-policy"]
    page.open(f"{service}/tainted")
    assert page.hosts() == {"127.0.0.1", "elsewhere.invalid"}
    before = len(page.complaints())
    page.open(str(httpx.URL(f"{service}/tainted", params={"policy": policy})))
    broken = "\n".join(page.complaints()[before:])
    assert "style-src" in broken
    assert "img-src" in broken


def test_the_policy_names_no_host_and_every_nonce_is_new(service: str) -> None:
    first, second = (httpx.get(f"{service}/docs").headers for _ in range(2))
    assert first["content-security-policy"] != second["content-security-policy"]
    assert "unsafe" not in first["content-security-policy"]
    assert "http" not in first["content-security-policy"]
    assert first["cache-control"] == "no-store"


@pytest.mark.parametrize("name", docs.ASSETS)
def test_assets_stay_for_a_year_under_their_version_only(service: str, name: str) -> None:
    asset = httpx.get(f"{service}/docs/{name}", params={"v": docs.VERSION})
    assert asset.content == (docs.FOLDER / name).read_bytes()
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{service}/docs/{name}", params={"v": "0"}).headers["cache-control"] == "no-cache"


def test_the_document_is_304_for_who_has_it(service: str) -> None:
    first = httpx.get(f"{service}/openapi.json")
    again = httpx.get(f"{service}/openapi.json", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (first.status_code, first.json()["info"]["title"]) == (200, "Todo")
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
