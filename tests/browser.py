"""A real browser, driven through its DevTools protocol: refused styles and requests that were never sent are visible
also."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

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
    "--lang=en-GB",
    "--accept-lang=en-GB",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
PATIENCE = 60.0  # seconds: a busy machine takes long, and only a failure takes all of it


Found = TypeVar("Found")


def until(look: Callable[[], Found]) -> Found:
    """Returns what ``look`` finds as soon as it is true. Raises AssertionError when it never is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class CallFailed(AssertionError):
    """A command that the browser has refused, or could not finish."""


class Connection:
    """Sends commands to the browser or to one of its tabs, and collects the events received meanwhile."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._calls += 1
        self._connection.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message: dict[str, Any] = json.loads(self._connection.recv(timeout=PATIENCE))
            if message.get("id") == self._calls:
                if "error" in message:
                    raise CallFailed(message)
                return dict(message["result"])
            self._events.append(message)

    def run(self, expression: str) -> Any:
        """Returns the value of the JavaScript expression; of a promise when it is settled."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")


class Page(Connection):
    """One browser tab, with its content and the errors since it was opened."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__(connection)
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # several windows, each as if it had the focus

    def open(self, url: str) -> Self:
        self.call("Page.navigate", url=url)
        self.wait(f"location.href == {json.dumps(url)} && document.readyState == 'complete'")
        return self

    def wait(self, expression: str) -> Any:
        """Returns the value of the JavaScript expression as soon as it is true; its elements may not exist yet."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(CallFailed):  # asked while the page is left
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

    def press(self, key: str, **more: object) -> None:
        """Sends a key like a keyboard. A single character is typed."""
        text = {"text": key} if len(key) == 1 else {"Enter": {"text": "\r"}}.get(key, {})
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **more)

    def text(self) -> str:
        return str(self.call("Runtime.evaluate", expression="document.body.innerText")["result"].get("value"))

    def seen(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self._events if event["method"] == method]

    def complaints(self) -> list[str]:
        """Returns errors in the console, exceptions, and violations of the content security policy."""
        entries = [seen["entry"] for seen in self.seen("Log.entryAdded")]
        issues = [seen["issue"] for seen in self.seen("Audits.issueAdded")]
        return [
            *(f"{entry['text']} {entry.get('url', '')}" for entry in entries if entry["level"] == "error"),
            *(str(issue) for issue in issues if "SecurityPolicy" in issue["code"]),
            *(str(seen["exceptionDetails"]) for seen in self.seen("Runtime.exceptionThrown")),
        ]

    def hosts(self) -> set[str | None]:
        """Returns every host to which a request was made, including refused and unreachable ones."""
        urls = [urlsplit(sent["request"]["url"]) for sent in self.seen("Network.requestWillBeSent")]
        return {url.hostname for url in urls if url.scheme != "data"}


class Browser:
    """A browser with a fresh profile that can resolve no host name."""

    def __init__(self, binary: str, profile: Path) -> None:
        self._connections = ExitStack()
        self._whole: Connection | None = None
        self._port_file = profile / "DevToolsActivePort"
        command = [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self) -> None:
        self._connections.close()
        self._process.terminate()
        self._process.wait(PATIENCE)

    def first_page(self) -> Page:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._port_file.exists() and len(self._port_file.read_text().split()) == 2:
                tabs = self._http("GET", "list")
                urls = [str(tab["webSocketDebuggerUrl"]) for tab in tabs if tab["type"] == "page"]
                if urls:
                    return self._page(urls[0])
            time.sleep(0.05)
        raise AssertionError("the browser did not start")

    def new_context(self) -> str:
        """Creates another profile next to the existing ones."""
        return str(self._call("Target.createBrowserContext")["browserContextId"])

    def close_context(self, context: str) -> None:
        self._call("Target.disposeBrowserContext", browserContextId=context)

    def grant(self, permission: str, origin: str, context: str) -> None:
        """Allows pages of ``origin`` something, as if the user had been asked and had agreed."""
        self._call("Browser.grantPermissions", permissions=[permission], origin=origin, browserContextId=context)

    def save_downloads(self, context: str, folder: Path) -> None:
        """Lets pages save files in ``folder``, without asking."""
        self._call("Browser.setDownloadBehavior", behavior="allow", browserContextId=context, downloadPath=str(folder))

    def worker(self, address: str) -> Connection:
        """Opens the service worker whose URL begins with ``address``, once it runs."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for target in self._http("GET", "list"):
                if target["type"] == "service_worker" and target["url"].startswith(address):
                    return Connection(self._connect(target["webSocketDebuggerUrl"]))
            time.sleep(0.05)
        raise AssertionError("the service worker does not run")

    def new_page(self, context: str) -> Page:
        """Opens another window."""
        made = self._call("Target.createTarget", url="about:blank", browserContextId=context, newWindow=True)
        tabs = self._http("GET", "list")
        return self._page(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["id"] == made["targetId"]))

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        if self._whole is None:
            self._whole = Connection(self._connect(self._http("GET", "version")["webSocketDebuggerUrl"]))
        return self._whole.call(method, **params)

    def _http(self, method: str, path: str) -> Any:
        port = self._port_file.read_text().split()[0]
        return httpx.request(method, f"http://127.0.0.1:{port}/json/{path}", trust_env=False, timeout=PATIENCE).json()

    def _page(self, url: str) -> Page:
        return Page(self._connect(url))

    def _connect(self, url: str) -> ClientConnection:
        return self._connections.enter_context(connect(url, max_size=None, proxy=None, ping_interval=None))


@contextmanager
def browsing(binary: str, profile: Path) -> Iterator[Browser]:
    browser = Browser(binary, profile)
    try:
        yield browser
    finally:
        browser.close()
