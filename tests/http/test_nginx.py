"""A real nginx in front of the service, with the configuration of docs/deploy.md: at the root of a host, and below a
path that it removes or passes on."""

import json
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import browsing, find_browser
from tests.ports import free_port
from tests.processes import wait_until
from tests.servers import Server, events, running
from tests.support import Person
from tests.web.window import Window

BINARY = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="nginx is not installed")]
PAGE = (Path(__file__).parents[2] / "docs/deploy.md").read_text()
COMMON, STRIPPING, PASSING = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
AT_ROOT = COMMON.index("location / {")
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log warn;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; server_name localhost; {sample} }}
    server {{ listen 127.0.0.1:{defaults}; location / {{ proxy_pass http://127.0.0.1:{service}; }} }}
}}
"""
METADATA = "/.well-known/oauth-protected-resource"


class Proxied(NamedTuple):
    """The service as clients of nginx see it."""

    url: str
    prefix: str
    origin: str
    defaults: str  # the origin of an nginx without the settings of the page

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.origin, trust_env=False, timeout=60, **options)


@contextmanager
def proxying(folder: Path, port: int, sample: str, service: Server) -> Iterator[int]:
    """Starts nginx on ``port``, and yields the port of one with nothing but ``proxy_pass``."""
    defaults = free_port()
    assert BINARY is not None
    text = sample.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
    places = {"folder": folder, "port": port, "sample": text, "defaults": defaults, "service": service.port}
    (folder / "conf").write_text(CONFIGURATION.format(**places))
    checked = subprocess.run([BINARY, "-t", "-p", folder, "-c", folder / "conf"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen([BINARY, "-p", folder, "-c", folder / "conf"], stderr=subprocess.DEVNULL)

    def responds() -> bool:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
        except httpx.TransportError:
            return process.poll() is not None
        return True

    try:
        wait_until(responds)
        assert process.poll() is None, (folder / "log").read_text()
        yield defaults
    finally:
        process.terminate()
        process.wait(10)


FRONTS = {
    "root": (COMMON, "", {}),
    "strip": (COMMON[:AT_ROOT] + STRIPPING, "/todo", {}),
    "pass": (COMMON[:AT_ROOT] + PASSING, "/todo", {}),
    # The proxy names the prefix, and the service has no PUBLIC_URL.
    "header": (
        COMMON[:AT_ROOT].replace('Prefix "";', "Prefix /todo;").replace("$host;", "$http_host;") + STRIPPING,
        "/todo",
        {"PUBLIC_URL": ""},
    ),
}


@pytest.fixture(scope="module", params=FRONTS)
def proxied(
    request: pytest.FixtureRequest,
    anyio_backend: str,
    postgres: ConnectOptions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxied]:
    sample, prefix, settings = FRONTS[request.param]
    port, folder = free_port(), tmp_path_factory.mktemp("nginx")
    origin = f"http://127.0.0.1:{port}"
    given = {
        "PUBLIC_URL": f"{origin}{prefix}",
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
        "REFRESH_COOKIE": "true",
        **settings,
    }
    with running(postgres.dsn, **given) as service, proxying(folder, port, sample, service) as defaults:
        yield Proxied(f"{origin}{prefix}", prefix, origin, f"http://127.0.0.1:{defaults}")


def person(http: httpx.AsyncClient, prefix: str) -> Person:
    """Returns a new user, whose paths are below the prefix."""
    found = Person(http, f"user-{uuid.uuid4().hex}")
    http.base_url = httpx.URL(f"{str(http.base_url).rstrip('/')}{prefix}")
    return found


async def test_pages_links_and_the_cookie_lead_back_through_nginx(proxied: Proxied) -> None:
    async with proxied.client() as http:
        home = await http.get(f"{proxied.prefix}/", headers={"Accept": "text/html"})
        assert home.headers["location"] == f"{proxied.prefix}/app"
        for page in ("/app", "/docs"):
            text = (await http.get(proxied.prefix + page)).text
            for file in re.findall(r'(?:href|src)="([^"]+)"', text):
                assert file.startswith(f"{proxied.prefix}/")
                assert (await http.get(file)).status_code == 200, file
        document = (await http.get(f"{proxied.prefix}/openapi.json")).json()
        assert document.get("servers", [{"url": ""}])[0]["url"].rstrip("/") == proxied.prefix
        account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
        made = await http.post(f"{proxied.prefix}/api/auth/register", json=account)
        assert f"Path={proxied.prefix}/api/auth;" in made.headers["set-cookie"]
        cookie = made.headers["set-cookie"].partition(";")[0]
        renewal = {"Cookie": cookie, "Origin": proxied.origin}
        renewed = await http.post(f"{proxied.prefix}/api/auth/refresh", headers=renewal)
        assert renewed.status_code == 200, renewed.text
        bearer = {"Authorization": f"Bearer {renewed.json()['access_token']}"}
        for title in ("a", "b", "c"):
            task = await http.post(f"{proxied.prefix}/api/me/tasks", json={"title": title}, headers=bearer)
            assert (await http.get(task.headers["location"], headers=bearer)).json() == task.json()
        listed = await http.get(f"{proxied.prefix}/api/me/tasks?limit=2", headers=bearer)
        following = re.findall(r'<([^>]+)>; rel="next"', listed.headers["link"])[0]
        assert [each["title"] for each in (await http.get(following, headers=bearer)).json()] == ["a"]
        feed = (await http.post(f"{proxied.prefix}/api/me/calendar", json={}, headers=bearer)).json()["url"]
        assert feed.startswith(proxied.url)
        assert (await http.get(feed)).status_code == 200


async def test_what_nginx_compresses_can_be_saved_and_polled(proxied: Proxied) -> None:
    async with proxied.client(headers={"Accept-Encoding": "gzip"}) as http:
        alice = person(http, proxied.prefix)
        made = await alice.post("/tasks", {"title": "x" * 100, "description": "y" * 900})
        path = f"/tasks/{made.json()['id']}"
        seen = await alice.get(path)
        assert seen.headers["content-encoding"] == "gzip"
        assert seen.headers["etag"] == f'W/"{made.json()["version"]}"'
        for number in range(3):
            saved = await alice.patch(path, {"title": f"{number}"}, headers={"If-Match": seen.headers["etag"]})
            assert saved.status_code == 200, saved.text
            stale = await alice.patch(path, {"title": "z"}, headers={"If-Match": seen.headers["etag"]})
            assert stale.status_code == 412
            seen = await alice.get(path)
            assert (await alice.get(path, headers={"If-None-Match": seen.headers["etag"]})).status_code == 304
        listed = await alice.get("/tasks")
        assert (await alice.get("/tasks", headers={"If-None-Match": listed.headers["etag"]})).status_code == 304


async def test_events_arrive_at_once(proxied: Proxied) -> None:
    for origin, prefix in ((proxied.origin, proxied.prefix), (proxied.defaults, "")):
        async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=20) as http:
            alice = person(http, prefix)
            await alice.add("before")
            async with events(alice, "?since=0") as stream:
                assert (await stream.next()).data["data"]["title"] == "before"
                await alice.add("live")
                assert (await stream.next()).data["data"]["title"] == "live"


async def test_an_import_of_several_megabytes_passes(proxied: Proxied) -> None:
    rows = [{"id": number, "title": f"{number}", "description": "d" * 900} for number in range(1, 3001)]
    body = json.dumps({"format": "todo/1", "user_id": "x", "tasks": rows}).encode()
    assert len(body) > 2**21  # more than nginx takes by default
    async with proxied.client() as http:
        alice = person(http, proxied.prefix)
        answer = await alice.post("/import", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["created"]["tasks"]) == (200, 3000)


async def test_the_metadata_of_mcp_is_where_its_clients_look(proxied: Proxied) -> None:
    async with proxied.client() as http:
        refused = await http.post(f"{proxied.prefix}/mcp", json={})
        url = re.findall(r'resource_metadata="([^"]*)"', refused.headers["www-authenticate"])[0]
        assert urlsplit(url).path == f"{METADATA}{proxied.prefix}/mcp"
        assert (await http.get(url)).json()["resource"] == f"{proxied.url}/mcp"


async def test_a_client_cannot_name_the_prefix_or_its_address(proxied: Proxied) -> None:
    async with proxied.client() as http:
        headers = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-For": "203.0.113.9", "Accept": "text/html"}
        home = await http.get(f"{proxied.prefix}/", headers=headers)
    assert home.headers["location"] == f"{proxied.prefix}/app"


def test_the_web_client_works_in_a_browser(proxied: Proxied, tmp_path: Path) -> None:
    binary = find_browser()
    if binary is None:
        pytest.skip("no Chromium on this machine: the web client was not tried behind nginx")
    with browsing(binary, tmp_path) as browser:
        browser.first_page()
        window = Window(browser, proxied)  # type: ignore[arg-type]  # only its url is used
        window.register()
        window.add("Buy milk")
        window.in_step()
        window.open()
        window.shows("Buy milk")
        window.in_step()
        assert window.complaints() == []
        window.page.open(f"{proxied.url}/docs")
        window.page.wait("document.querySelector('.opblock') != null")
        window.close()
