"""CORS: which front-ends may call the service, with which headers, and which headers they may read."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.main import ALLOWED_HEADERS, EXPOSED_HEADERS, create_app
from tests.support import Person, assert_problem

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
# Which a script may read of any response (Fetch, CORS-safelisted), which only browsers use, or which they hide.
NOT_EXPOSED = {
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
}
NOT_EXPOSED |= {"content-security-policy", "referrer-policy", "vary", "x-content-type-options", "x-accel-buffering"}
NOT_EXPOSED |= {"set-cookie"}
PACKAGED = [
    "capacitor://localhost", "ionic://localhost", "tauri://localhost", "http://tauri.localhost", "app://.", "app://",
    "app://obsidian.md", "file://", "null", "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://11111111-2222-3333-4444-555555555555", "vscode-webview://1a2b", "https://a.example:8443",
]  # fmt: skip
TRACING = "authorization, baggage, sentry-trace, traceparent, tracestate, x-requested-with, x-datadog-trace-id, b3"


def preflight(origin: str, method: str, headers: str = "authorization, content-type, if-match") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


OWN_ORIGINS = [
    "http://localhost:3000",
    "http://localhost",
    "https://localhost:8443",
    "http://127.0.0.1:5173",
    "http://[::1]:80",
]
FOREIGN = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost:3000.evil.example",
    "http://evil.example/localhost",
    "http://localhost:3000/x",
    "http://xlocalhost",
    "ftp://localhost",
    "null",
]


@pytest.mark.parametrize("origin", OWN_ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_front_end_on_localhost_is_allowed_in_development(
    client: httpx.AsyncClient, origin: str, method: str
) -> None:
    answer = await client.options("/api/me/tasks/1", headers=preflight(origin, method))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert method in answer.headers["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "if-match", "if-none-match"}
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_foreign_origin_is_refused(alice: Person, origin: str) -> None:
    asked = await alice.client.options("/api/me/tasks", headers=preflight(origin, "POST"))
    called = await alice.get("/tasks", headers={"Origin": origin})
    body = assert_problem(asked, 400, "cors_refused")
    assert "origin" in body["detail"]
    for answer in (asked, called):
        assert "access-control-allow-origin" not in answer.headers


async def test_cors_exposes_the_headers_that_clients_need(alice: Person) -> None:
    for path in ("/tasks", "/tasks/0", "/nope", "nope"):
        answer = await alice.get(path, headers={"Origin": "http://localhost:3000"})
        exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {"etag", "link", "location", "retry-after", "x-request-id", "x-revision", "x-total-count"}
        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "Origin" in answer.headers["vary"]


async def test_named_origins_replace_localhost(settings: Settings) -> None:
    other = create_app(settings.model_copy(update={"cors_origins": ["https://todo.example"]}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://test") as http:
        for origin, expected in (("https://todo.example", 200), ("http://localhost:3000", 400)):
            assert (await http.options("/api/me/tasks", headers=preflight(origin, "GET"))).status_code == expected


@pytest.fixture
def packaged(settings: Settings) -> FastAPI:
    """Returns an application for all kinds of front-ends that are not pages of a web site."""
    named = Settings(_env_file=None, cors_origins=",".join(PACKAGED), cors_headers="X-App-Version").cors_origins
    assert named == PACKAGED
    return create_app(settings.model_copy(update={"cors_origins": named, "cors_headers": ["X-App-Version"]}))


@pytest.mark.parametrize("origin", PACKAGED)
async def test_a_packaged_front_end_is_allowed_when_it_is_named(packaged: FastAPI, origin: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(packaged), base_url="http://test") as http:
        for method in ("GET", "HEAD", "PATCH"):
            asked = await http.options("/api/me/tasks", headers=preflight(origin, method, f"{TRACING}, x-app-version"))
            assert asked.status_code == 200, asked.text
            assert asked.headers["access-control-allow-origin"] == origin
            assert asked.headers["access-control-allow-credentials"] == "true"
        called = await http.get("/health", headers={"Origin": origin})
        assert called.headers["access-control-allow-origin"] == origin
        for other in (
            "capacitor://evil",
            "app://evil",
            "chrome-extension://other",
            "http://localhost:3000",
            f"{origin}x",
        ):
            assert_problem(await http.options("/api/me/tasks", headers=preflight(other, "GET")), 400, "cors_refused")


@pytest.mark.parametrize("origin", ["null", "file://", "capacitor://localhost", "app://"])
async def test_no_other_page_uses_the_refresh_cookie(settings: Settings, origin: str) -> None:
    """Any sandboxed page is null: that it may call the API must not give it a visitor's session."""
    app = create_app(settings.model_copy(update={"cors_origins": PACKAGED, "refresh_cookie": True}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        headers = {"Origin": origin, "Cookie": "todo_refresh=x"}
        assert_problem(await http.post("/api/auth/refresh", headers=headers), 403, "origin_refused")


async def test_headers_that_front_ends_add_by_themselves_are_accepted(client: httpx.AsyncClient) -> None:
    origin = "http://localhost:3000"
    asked = await client.options("/api/me/tasks", headers=preflight(origin, "GET", TRACING))
    assert asked.status_code == 200
    for refused in ("x-refresh-cookie", "x-app-version"):
        asked = await client.options("/api/me/tasks", headers=preflight(origin, "GET", refused))
        assert "headers" in assert_problem(asked, 400, "cors_refused")["detail"]


async def test_a_page_may_call_a_service_of_a_private_network(client: httpx.AsyncClient) -> None:
    headers = {**preflight("http://localhost:3000", "GET"), "Access-Control-Request-Private-Network": "true"}
    asked = await client.options("/api/me/tasks", headers=headers)
    assert (asked.status_code, asked.headers["access-control-allow-private-network"]) == (200, "true")
    assert "Access-Control-Request-Private-Network" in asked.headers["vary"]
    headers["Origin"] = "https://evil.example"
    assert_problem(await client.options("/api/me/tasks", headers=headers), 400, "cors_refused")


def test_each_request_header_of_the_document_is_accepted() -> None:
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    parameters = [parameter for operation in operations for parameter in operation.get("parameters", [])]
    named = {parameter["name"].lower() for parameter in parameters if parameter["in"] == "header"}
    assert named
    assert named <= {name.lower() for name in ALLOWED_HEADERS}


def test_each_response_header_of_the_document_is_exposed() -> None:
    responses = [*DOCUMENT["components"]["responses"].values()]
    for path in DOCUMENT["paths"].values():
        responses += [response for operation in path.values() for response in operation["responses"].values()]
    named = {name.lower() for response in responses for name in response.get("headers", {})}
    assert len(named) > 8
    assert named - NOT_EXPOSED <= {name.lower() for name in EXPOSED_HEADERS}


async def test_each_header_that_is_sent_is_exposed(alice: Person) -> None:
    task = await alice.add()
    answers = [await alice.get(path) for path in ("/tasks?count=true", "/export", "/tasks/0", f"/tasks/{task['id']}")]
    answers += [await alice.client.get("/api/me/tasks"), await alice.client.put("/api/me/tasks")]
    answers += [await alice.post("/tasks", {"title": "a"}, headers={"Idempotency-Key": "a"}) for _ in range(2)]
    sent = {name.lower() for answer in answers for name in answer.headers}
    assert {"allow", "www-authenticate", "idempotent-replayed", "content-disposition", "link"} <= sent
    assert sent - NOT_EXPOSED <= {name.lower() for name in EXPOSED_HEADERS}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://App.Example/", "https://app.example"),
        ("HTTPS://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("app://", "app://"),
    ],
)
def test_an_origin_is_compared_as_browsers_send_it(written: str, sent: str) -> None:
    assert Settings(_env_file=None, cors_origins=written).cors_origins == [sent]
