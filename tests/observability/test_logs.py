"""The content of the log, and what it must never contain."""

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Response

from app.config import Settings
from app.http.routing import DirectRoute
from app.main import create_app
from app.observability.logs import configure_logging
from tests.support import Person, make_token


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest, settings: Settings) -> Iterator[io.StringIO]:
    """Captures the output to standard error, in both formats."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging(settings.model_copy(update={"log_format": request.param}))
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    text = io.StringIO()
    handler.setStream(text)
    yield text
    root.handlers[:], root.level = before[0], before[1]


async def test_each_request_is_logged_in_one_line_without_user_data(
    alice: Person, stream: io.StringIO, app: FastAPI, settings: Settings
) -> None:
    logged = create_app(settings.model_copy(update={"access_log": True}))
    logged.state.verifier, logged.state.database = app.state.verifier, app.state.database
    async with httpx.AsyncClient(transport=httpx.ASGITransport(logged), base_url="http://test") as http:
        alice.client = http
        await alice.add("a secret title", description="a secret description")
        answer = await alice.get("/tasks?search=secret%20word", headers={"X-Request-ID": "from-the-proxy"})
        await http.get("/api/me/tasks", headers={"Authorization": f"Bearer {make_token(alice.subject)}x"})
    log = stream.getvalue()
    assert answer.headers["x-request-id"] == "from-the-proxy"
    assert "from-the-proxy" in log
    assert "/api/{user_id}/tasks" in log
    assert not [word for word in ("secret", alice.subject, "Bearer", "eyJ") if word in log]


async def test_a_bug_is_logged_once_without_local_values(
    alice: Person, stream: io.StringIO, app: FastAPI, settings: Settings
) -> None:
    async def broken() -> Response:
        title = "a secret title"
        raise RuntimeError(f"{len(title)} characters")

    buggy = create_app(settings)
    buggy.router.routes.append(DirectRoute("/broken", broken))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(buggy), base_url="http://test") as http:
        answer = await http.get("/broken")
    log = stream.getvalue()
    assert answer.status_code == 500
    assert "RuntimeError" not in answer.text
    assert log.count("unhandled error") == 1
    assert "RuntimeError" in log
    assert "14 characters" in log
    assert answer.json()["request_id"] in log
    assert "a secret title" not in log.replace('title = "a secret title"', "")  # the source line, not the value
    if log.startswith("{"):
        assert json.loads(log.splitlines()[0])["level"] == "error"
