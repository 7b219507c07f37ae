"""The size of the client, and how its files are served."""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from app.routers import web_client
from tests.support import assert_problem
from tests.web.window import Window

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FIRST_LOAD = 150_000  # bytes, compressed, of about 45 files with their headers


def test_the_first_load_is_small(window: Window) -> None:
    window.page.call("Network.setBypassServiceWorker", bypass=True)
    window.page.call("Network.clearBrowserCache")
    before = len(window.page.seen("Network.loadingFinished"))
    window.open()
    window.in_step()
    loaded = window.page.seen("Network.loadingFinished")[before:]
    size = sum(one["encodedDataLength"] for one in loaded)
    assert 10_000 < size < FIRST_LOAD, size


def test_the_page_names_the_modules_that_it_needs_first(window: Window) -> None:
    """They are loaded in parallel, and no others before the tasks are shown."""
    window.page.call("Network.setBypassServiceWorker", bypass=True)
    window.page.call("Network.clearBrowserCache")
    before = len(window.page.seen("Network.requestWillBeSent"))
    window.open()
    window.in_step()
    requested = [one["request"]["url"] for one in window.page.seen("Network.requestWillBeSent")[before:]]
    modules = {url.partition(f"/{web_client.CLIENT_VERSION}/")[2] for url in requested if url.endswith(".js")}
    assert modules >= set(web_client.PAGE_MODULES)
    assert not modules & {"views/details.js", "languages/de.js", "vendor/marked.js"}


TOKENS = """
import { readFileSync } from "node:fs";
import { tokenizer } from "acorn";
const tokens = (text) =>
  [...tokenizer(text, { ecmaVersion: "latest", sourceType: "module", locations: true })]
    .map(({ type, value, loc }) => [type.label, String(value), loc.start.line]);
for (const { name, source, served } of JSON.parse(readFileSync(0, "utf8"))) {
  if (JSON.stringify(tokens(source)) !== JSON.stringify(tokens(served))) console.log(name);
}
"""


def test_what_is_served_differs_from_the_source_by_comments_alone() -> None:
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "acorn").exists():
        pytest.skip("no acorn here (npm ci): the served modules were not compared with their sources")
    folder = web_client.CLIENT_FOLDER
    pairs = [
        {"name": name, "source": (folder / name).read_text(), "served": served.decode()}
        for name, served in web_client.CLIENT_FILES.items()
        if name.endswith(".js")
    ]
    assert any(len(pair["served"]) < len(pair["source"]) for pair in pairs)
    command = [node, "--input-type=module", "-e", TOKENS]
    found = subprocess.run(command, input=json.dumps(pairs), capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout == ""


def test_files_are_cached_for_a_year_only_under_their_version(address: str) -> None:
    page = httpx.get(f"{address}/app")
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert httpx.get(f"{address}/app", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    for name, content in web_client.CLIENT_FILES.items():
        answer = httpx.get(f"{address}/app/{web_client.CLIENT_VERSION}/{name}")
        assert answer.content == content
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        is_of_page = name in web_client.PAGE_MODULES or name == "app.css"
        assert not is_of_page or f"/app/{web_client.CLIENT_VERSION}/{name}" in page.text
    assert httpx.get(f"{address}/app/0/main.js").headers["cache-control"] == "no-cache"
    for name in ("index.html", "vendor/NOTICE", "../main.py", "%2e%2e/%2e%2e/main.py", "nope.js", ""):
        assert_problem(httpx.get(f"{address}/app/{web_client.CLIENT_VERSION}/{name}"), 404)


async def test_the_web_client_can_be_switched_off() -> None:
    app = create_app(Settings(_env_file=None, web_client=False, docs=False))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert (await http.get("/app")).status_code == 404
        home = await http.get("/", headers={"Accept": "text/html"})
        assert (home.status_code, home.json()["app"], home.json()["docs"]) == (200, None, None)


async def test_the_assistant_is_shown_only_with_a_configured_model() -> None:
    for model, said in (("", "off"), ("some-model", "on")):
        app = create_app(Settings(_env_file=None, llm_model=model))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            assert f'<meta name="assistant" content="{said}">' in (await http.get("/app")).text


async def test_the_assistant_is_not_shown_without_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_client, "is_model_installed", lambda: False)
    app = create_app(Settings(_env_file=None, llm_model="some-model"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert '<meta name="assistant" content="off">' in (await http.get("/app")).text


async def test_the_client_knows_how_long_notes_may_be() -> None:
    for limit in (16_384, 77):
        app = create_app(Settings(_env_file=None, description_max=limit))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            assert f'<meta name="description-max" content="{limit}">' in (await http.get("/app")).text


async def test_every_url_has_the_root_path() -> None:
    app = create_app(Settings(_env_file=None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path="/todo"), base_url="http://test") as http:
        assert (await http.get("/todo/", headers={"Accept": "text/html"})).headers["location"] == "/todo/app"
        page = (await http.get("/todo/app")).text
        assert f'src="/todo/app/{web_client.CLIENT_VERSION}/main.js"' in page
        assert '="/app' not in page
