"""The web client as an app: installed, opened without the service, and brought to a new version."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.main import create_app
from app.routers import web_client
from tests.browser import Browser, CallFailed, until
from tests.servers import Server, running
from tests.web.newer_client import VERSION
from tests.web.test_offline import SAYS_OFFLINE, is_stored
from tests.web.window import Window

pytestmark = pytest.mark.slow

KEPT_CACHES = "caches.keys().then((names) => JSON.stringify(names.filter((name) => name.startsWith('todo-'))))"
NEWER_HELP = "document.querySelector('dialog[open]')?.innerText.includes('Of the newer version')"


@pytest.fixture
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts a process of its own, which each test may stop and replace."""
    server = Server(postgres.dsn).start()
    yield server
    if server.process is not None:
        server.stop()


def installed(window: Window) -> Window:
    """Waits until the page is kept, and what it shows also."""
    window.page.wait("navigator.serviceWorker.controller?.state == 'activated'")
    return window


def kept(window: Window) -> list[str]:
    return list(json.loads(window.page.run(KEPT_CACHES)))


def test_the_page_opens_while_the_service_is_stopped(window: Window, service: Server) -> None:
    installed(window)
    window.add("before")
    window.in_step()
    is_stored(window, "before")
    service.stop()
    window.reload()
    window.shows("before")
    window.page.wait(SAYS_OFFLINE)
    window.add("on the train")
    window.open_details("on the train")
    window.page.type("#notes", "by the window")
    window.close_details()
    window.page.press("?")  # a part that this page has not loaded yet
    window.page.shows("dialog[open] kbd")
    window.page.press("Escape", windowsVirtualKeyCode=27)
    later = window.another()  # another one, that begins without the service
    later.shows("before")  # what waits in a window is its own until it is sent, or the window closed
    later.add("of the second")
    service.start()
    for each in (window, later):
        each.page.run("dispatchEvent(new Event('online'))")
        each.in_step()
    titles = {"before", "on the train", "of the second"}
    window.page.wait("document.querySelectorAll('.row').length == 3")
    assert set(window.titles()) == set(window.kept()) == titles
    assert len(window.kept()) == 3
    with window.api() as api:
        assert [one["description"] for one in api.get("/tasks?search=train").json()] == ["by the window"]


def test_the_page_opens_without_a_network(window: Window) -> None:
    installed(window)
    window.add("before")
    window.in_step()
    is_stored(window, "before")
    line = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    window.page.call("Network.emulateNetworkConditions", offline=True, **line)
    window.reload("#/all")
    window.shows("before")
    window.page.wait(SAYS_OFFLINE)
    window.add("offline")
    window.complete("before")
    window.reload("#/all")
    window.shows("offline")
    window.page.wait("document.querySelector('#state').innerText.includes('2 to send')")
    window.page.call("Network.emulateNetworkConditions", offline=False, **line)
    window.in_step()
    assert window.kept() == ["before", "offline"]
    assert window.kept(status="completed") == ["before"]


@contextmanager
def replaced(service: Server, postgres: ConnectOptions) -> Iterator[None]:
    """Serves the newer version of the client at the same address."""
    service.stop()
    with running(postgres.dsn, app="tests.web.newer_client:create", PORT=str(service.port)):
        yield


def test_a_new_version_is_offered_and_loaded(window: Window, service: Server, postgres: ConnectOptions) -> None:
    installed(window)
    (old,) = kept(window)
    window.add("before")
    window.in_step()
    other = window.another()
    other.in_step()
    with replaced(service, postgres):
        window.page.type("#add", "half a thou")
        for each in (window, other):
            each.page.run("navigator.serviceWorker.getRegistration('/app').then((one) => one.update()).then(() => 0)")
            each.page.shows("#update")
        other.page.press("?")  # a part of its own version, which the service has no more
        other.page.shows("dialog[open] kbd")
        assert not other.page.run(NEWER_HELP)
        window.page.run("(window.isOld = true)")
        window.page.click("#load-update")
        window.page.wait(f"!window.isOld && document.querySelector('script').src.includes('{VERSION}')")
        window.page.shows("#add")
        window.page.wait("document.querySelector('#add').value == 'half a thou'")
        window.in_step()
        window.shows("before")
        window.page.run("document.activeElement.blur()")
        window.page.press("?")
        window.page.wait(NEWER_HELP)
        names = kept(window)
        assert names[0] == old  # of the window that is open
        assert VERSION in names[1]
        other.page.press("Escape", windowsVirtualKeyCode=27)
        other.page.run("(window.isOld = true)")
        other.page.click("#load-update")
        other.page.wait(f"!window.isOld && document.querySelector('script').src.includes('{VERSION}')")
        other.shows("before")
    seen = [*window.complaints(), *other.complaints()]
    assert [one for one in seen if not one.startswith("Failed to load resource")] == []  # while none was served


def test_other_settings_are_offered_also(window: Window, service: Server, postgres: ConnectOptions) -> None:
    installed(window)
    service.stop()
    with running(postgres.dsn, PORT=str(service.port), DESCRIPTION_MAX="77"):
        window.reload()  # what is kept comes first
        window.page.shows("#update")
        window.page.run("(window.isOld = true)")
        window.page.click("#load-update")
        window.page.wait("!window.isOld && document.querySelector('meta[name=description-max]').content == '77'")


def test_browsers_forget_a_client_that_is_switched_off(
    window: Window, service: Server, postgres: ConnectOptions
) -> None:
    installed(window)
    service.stop()
    with running(postgres.dsn, PORT=str(service.port), WEB_CLIENT="false"):
        window.page.run("navigator.serviceWorker.getRegistration('/app').then((one) => one.update()).then(() => 0)")

        def is_gone() -> bool:  # a browser lets the old worker finish what it does for a page
            with suppress(CallFailed):  # asked while the page is left
                window.page.call("Page.reload")
                time.sleep(0.5)
                return "404" in window.page.text()
            return False

        until(is_gone)
        window.page.open(f"{service.url}/health")
        assert kept(window) == []
        assert window.page.run("navigator.serviceWorker.getRegistration('/app').then((one) => one === undefined)")


def test_a_client_below_a_path_opens_without_the_service(browser: Browser, postgres: ConnectOptions) -> None:
    with running(postgres.dsn, PUBLIC_URL="{url}/todo") as service:
        root = service.url
        service.url = f"{root}/todo"
        window = Window(browser, service)
        window.register()
        installed(window)
        assert window.page.run("navigator.serviceWorker.getRegistration('/todo/app').then((one) => one.scope)") == (
            f"{root}/todo/app"
        )
        window.add("before")
        window.in_step()
        is_stored(window, "before")
        service.url = root
        service.stop()
        service.url = f"{root}/todo"
        window.reload()
        window.shows("before")
        window.page.wait(SAYS_OFFLINE)
        assert [one for one in window.complaints() if not one.startswith("Failed to load resource")] == []
        window.close()
        service.url = root
        service.start()


def test_it_can_be_installed(window: Window) -> None:
    installed(window)
    manifest = window.page.call("Page.getAppManifest")
    assert manifest["errors"] == []
    shown = json.loads(manifest["data"])
    assert {icon["purpose"] for icon in shown["icons"] if "purpose" in icon} == {"maskable"}
    problems = window.page.call("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [one for one in problems if one["errorId"] != "in-incognito"] == []  # which each test's profile is
    assert window.page.call("Page.getAppId")["appId"] == f"{window.service.url}/app"
    for icon in shown["icons"]:
        answer = httpx.get(f"{window.service.url}/app/{web_client.CLIENT_VERSION}/{icon['src']}")
        assert answer.headers["content-type"] == icon["type"]
    assert window.complaints() == []


async def test_the_service_worker_names_its_version_and_may_serve_the_whole_client() -> None:
    texts = []
    for limit in (100, 200):
        app = create_app(Settings(_env_file=None, description_max=limit))
        transport = httpx.ASGITransport(app, root_path="/todo")
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            worker = await http.get("/todo/app/service_worker.js")
            page = (await http.get("/todo/app")).headers["etag"]
            assert worker.headers["service-worker-allowed"] == "/todo/app"
            assert worker.headers["cache-control"] == "no-cache"
            assert "connect-src 'self'" in worker.headers["content-security-policy"]
            assert f'import "./{web_client.CLIENT_VERSION}/service_worker.js"' in worker.text
            assert page.removeprefix("W/").strip('"') in worker.text
            texts.append(worker.text)
    assert texts[0] != texts[1]
    for name in web_client.KEPT_FILES:
        assert f'"{name}"' in texts[0]
    app = create_app(Settings(_env_file=None, web_client=False))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert "unregister" in (await http.get("/app/service_worker.js")).text
