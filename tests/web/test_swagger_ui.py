"""/docs in a real browser: it works, complies with its own policy, and sends requests to no other host.

The pages are checked through the browser's DevTools protocol, so that a refused style or a request that never left
the machine is detected also. The test of a tainted page shows that these checks can fail.
"""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse

from app.config import Settings
from app.main import create_app
from app.routers import swagger_ui
from tests.browser import Page, browsing, find_browser
from tests.support import make_token

# the synchronous tests here use the asynchronous ``postgres``
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("anyio_backend")]

TASKS_TAG = "#operations-tag-tasks"
CREATE_OPERATION = ".opblock-post:has([data-path='/api/{user_id}/tasks'])"
FOREIGN = '<p style="color: red"><img src="http://elsewhere.invalid/pixel.png">'


async def _tainted(request: Request) -> HTMLResponse:
    """Returns a page with violations, under the policy that the query names."""
    policy = request.query_params.get("policy", "default-src * 'unsafe-inline'")
    return HTMLResponse(FOREIGN, headers={"Content-Security-Policy": policy})


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[str]:
    """Serves the whole service on a free port, with an additional tainted page, and yields its URL."""
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


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """Opens a tab of a browser with a fresh profile that can resolve no host name."""
    binary = find_browser()
    if binary is None:
        pytest.skip("no Chromium on this machine: /docs was not tried in a browser")
    with browsing(binary, tmp_path) as browser:
        yield browser.first_page()


def test_a_user_authorizes_and_creates_a_task(page: Page, service: str) -> None:
    page.open(f"{service}/docs").shows(TASKS_TAG)
    assert "todo token alice" in page.text()
    assert f"{service}/api/me/tasks" in page.text()  # the address of the reader, not the one in the document
    assert page.run("document.querySelectorAll('.opblock-tag-section .opblock').length") == 0
    page.click("button.authorize")
    assert page.run("document.querySelectorAll('.modal-ux .auth-container').length") == 1
    page.type(".modal-ux input", make_token("swagger-user"))
    page.click(".modal-ux button.authorize")
    page.click(".modal-ux button.btn-done")
    page.click(TASKS_TAG)
    page.shows(CREATE_OPERATION)
    page.click(f"{CREATE_OPERATION} button.opblock-summary-control")
    page.wait("document.querySelector('tr[data-param-name=user_id] input').value == 'me'")
    page.click(f"{CREATE_OPERATION} button.execute")
    status = page.wait(
        "document.querySelector('.live-responses-table .response-col_status:not(.col_header)').innerText"
    )
    assert status.split()[0] == "201", page.text()
    errors = (
        f"{CREATE_OPERATION} tr.response[data-code^='4'] button, {CREATE_OPERATION} tr.response[data-code^='5'] button"
    )
    assert page.run(f"document.querySelectorAll({json.dumps(errors)}).length") > 8
    assert page.run(f"document.querySelector({json.dumps(CREATE_OPERATION)}).offsetHeight") < 4_000
    page.click(f"{CREATE_OPERATION} tr.response[data-code='422'] button")
    page.shows(f"{CREATE_OPERATION} tr.response[data-code='422'] .model-example")
    assert page.complaints() == []
    assert page.hosts() == {"127.0.0.1"}


def test_the_token_is_kept_across_a_reload(page: Page, service: str) -> None:
    page.open(f"{service}/docs").click("button.authorize")
    page.type(".modal-ux input", make_token("swagger-user"))
    page.click(".modal-ux button.authorize")
    page.wait("localStorage.getItem('authorized')")
    page.open(f"{service}/docs/").shows("button.authorize.locked")
    assert page.complaints() == []


def test_a_policy_violation_is_detected(page: Page, service: str) -> None:
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


@pytest.mark.parametrize("name", swagger_ui.SWAGGER_ASSETS)
def test_assets_are_cached_for_a_year_only_under_their_version(service: str, name: str) -> None:
    asset = httpx.get(f"{service}/docs/{name}", params={"v": swagger_ui.SWAGGER_VERSION})
    assert asset.content == (swagger_ui.SWAGGER_FOLDER / name).read_bytes()
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{service}/docs/{name}", params={"v": "0"}).headers["cache-control"] == "no-cache"


def test_the_openapi_document_returns_304_for_its_etag(service: str) -> None:
    first = httpx.get(f"{service}/openapi.json")
    again = httpx.get(f"{service}/openapi.json", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (first.status_code, first.json()["info"]["title"]) == (200, "Todo")
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
