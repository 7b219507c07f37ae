"""LIST_SHAPE=envelope and UNKNOWN_FIELDS=ignore: for front-ends written for another backend."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import httpx
import pytest
from fastapi import FastAPI, Request

from app.config import Settings
from app.http import etags
from app.http.list_responses import _without_paging, link_header
from app.http.routing import MAX_CACHED_QUERY_BYTES, DirectRoute, _body
from app.main import ROUTERS, create_app
from app.models.types import RequestModel
from app.pagination import Page
from tests.support import Person, assert_problem


def shapes(base: type[RequestModel] = RequestModel) -> set[type[RequestModel]]:
    return {base}.union(*(shapes(each) for each in base.__subclasses__()))


SHAPES = shapes()


@asynccontextmanager
async def serving(app: FastAPI, settings: Settings, **changed: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serves the same database with changed settings."""
    other = create_app(settings.model_copy(update=changed))
    other.state.verifier, other.state.database = app.state.verifier, app.state.database
    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://test") as http:
        yield http


@pytest.fixture
async def lenient(app: FastAPI, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app, settings, list_shape="envelope", unknown_fields="ignore") as http:
        yield http


async def test_a_list_envelope_has_total_count_and_next_cursor(alice: Person, lenient: httpx.AsyncClient) -> None:
    tasks = [await alice.add(str(number)) for number in range(3)]
    alice.client = lenient
    page = (await alice.get("/tasks?limit=2")).json()
    assert page | {"next_cursor": None} == {
        "tasks": [tasks[2], tasks[1]], "total": 3, "count": 2, "limit": 2, "offset": 0, "next_cursor": None,
    }  # fmt: skip
    second = (await alice.get(f"/tasks?limit=2&cursor={page['next_cursor']}")).json()
    assert (second["tasks"], second["next_cursor"]) == ([tasks[0]], None)
    assert (await alice.get("/tasks?count=false")).json()["total"] is None
    assert (await alice.get("/tasks?offset=2")).json() | {"next_cursor": None} == {
        "tasks": [tasks[0]], "total": 3, "count": 1, "limit": 100, "offset": 2, "next_cursor": None,
    }  # fmt: skip


async def test_the_document_describes_the_list_envelope(lenient: httpx.AsyncClient) -> None:
    document = (await lenient.get("/openapi.json")).json()
    answer = document["paths"]["/api/{user_id}/tasks"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/TaskPage"}
    assert set(document["components"]["schemas"]["TaskPage"]["required"]) == {
        "tasks", "total", "count", "limit", "offset", "next_cursor",
    }  # fmt: skip


async def test_unknown_fields_are_ignored_when_configured(alice: Person, lenient: httpx.AsyncClient) -> None:
    alice.client = lenient
    task = (await alice.post("/tasks", {"title": "a", "colour": "red"})).json()
    assert task["title"] == "a"
    assert "colour" not in task
    assert (await alice.patch(f"/tasks/{task['id']}", {"titel": "b", "title": "c"})).json()["title"] == "c"
    assert (await alice.get("/tasks?_=1700000000&q=c")).json()["count"] == 1


BODIES: dict[str, dict[str, Any]] = {
    "AccountCreate": {"email": "a@example.com", "password": "correct horse battery"},
    "AccountUpdate": {"name": "Ann"},
    "ApiTokenCreate": {"name": "script"},
    "ChatRequest": {"message": "hello"},
    "ProjectDuplicate": {"shift_days": 7},
    "ProjectMove": {"before": 1},
    "PreferencesUpdate": {"timezone": "Europe/Berlin"},
    "ProjectCreate": {"name": "x"},
    "ProjectUpdate": {"name": "x"},
    "Batch": {"operations": [{"operation": "create_task", "arguments": {"title": "x"}}]},
    "BulkWrite": {"ids": [1], "action": "complete"},
    "CalendarCreate": {"name": "phone"},
    "Login": {"email": "a@example.com", "password": "x"},
    "PasswordConfirmation": {"password": "x"},
    "PasswordChange": {"current_password": "x", "new_password": "correct horse battery"},
    "PasswordForgotten": {"email": "a@example.com"},
    "EmailConfirmation": {"token": "x"},
    "PasswordReset": {"token": "x", "new_password": "correct horse battery"},
    "ChannelCreate": {"kind": "mail"},
    "ChannelUpdate": {"name": "x"},
    "CommentCreate": {"body": "x"},
    "CommentUpdate": {"body": "x"},
    "Refresh": {"refresh_token": "x"},
    "TagUpdate": {"name": "x"},
    "QuickTask": {"text": "x"},
    "Snooze": {"minutes": 10},
    "TaskComplete": {"completed": True},
    "TaskCreate": {"title": "x"},
    "TaskDuplicate": {"due_date": "2026-12-01"},
    "TaskMove": {"after": 1},
    "TaskUpdate": {"title": "x"},
    "ViewCreate": {"name": "x", "parameters": {}},
    "ViewUpdate": {"name": "x"},
    "WebhookCreate": {"url": "https://example.com/hook"},
    "WebhookUpdate": {"url": "https://example.com/hook"},
    "CodeProof": {"code": "287082"},
    "FactorProof": {"code": "287082"},
    "LoginProof": {"code": "287082", "challenge": "c"},
    "PasskeyCreate": {"name": "Phone", "passkey": {"id": "a"}},
    "PasskeyLogin": {"passkey": {"id": "a"}},
    "WaitingLogin": {"challenge": "c"},
}
WITH_BODY = [
    route for router in ROUTERS for route in router.routes if isinstance(route, DirectRoute) and route.body_field
]


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{sorted(route.methods)[0]} {route.path}")
@pytest.mark.parametrize("unknown_fields", ["refuse", "ignore"])
async def test_every_body_follows_the_unknown_fields_setting(
    settings: Settings, route: DirectRoute, unknown_fields: str
) -> None:
    """Runs only the body step of the route's plan: the endpoints' use of the body is tested elsewhere."""
    field = route.dependant.body_params[0]
    (model,) = [
        kind for kind in (*get_args(field.field_info.annotation), field.field_info.annotation) if kind in SHAPES
    ]
    sent = json.dumps({**BODIES[model.__name__], "colour": "red"}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent}

    app = create_app(settings.model_copy(update={"unknown_fields": unknown_fields}))
    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "headers": headers, "app": app}, receive)
    values: dict[str, Any] = {}
    errors: list[Any] = []
    waiting = _body(field, 1024)(request, values, errors)
    assert waiting is not None
    await waiting
    if unknown_fields == "ignore":
        assert errors == []
        assert isinstance(values[field.name], model)
    else:
        assert [(error["loc"], error["type"]) for error in errors] == [(("body", "colour"), "extra_forbidden")]


async def test_a_task_is_completed_despite_an_unknown_field(alice: Person, lenient: httpx.AsyncClient) -> None:
    path = f"/tasks/{(await alice.add())['id']}/complete"
    assert_problem(await alice.patch(path, {"completed": True, "colour": "red"}), 422)
    alice.client = lenient
    assert (await alice.patch(path, {"completed": True, "colour": "red"})).json()["completed"]


async def test_page_links_omit_ignored_query_parameters(alice: Person, lenient: httpx.AsyncClient) -> None:
    alice.client = lenient
    for title in ("a", "b"):
        await alice.add(title)
    answer = await alice.get("/tasks?_=1700000000&limit=1&completed=false")
    assert f'</api/{alice.subject}/tasks?limit=1&completed=false>; rel="first"' in answer.headers["link"]
    assert "1700000000" not in answer.headers["link"]
    await alice.delete(f"/tasks/{answer.json()['tasks'][0]['id']}")
    assert "1700000000" not in (await alice.get("/tasks/trash?_=1700000000")).headers["link"]


def test_long_queries_are_not_cached() -> None:
    before = _without_paging.cache_info().currsize
    page = Page([], 0)
    for number in range(20):
        query = f"search={number}{'x' * MAX_CACHED_QUERY_BYTES}".encode()
        assert query.decode() in link_header("/t", query, page, offset=None, limit=1)
    assert _without_paging.cache_info().currsize == before
    link_header("/t", b"search=not-yet-seen", page, offset=None, limit=1)
    assert _without_paging.cache_info().currsize in {before + 1, 1024}


async def test_an_etag_does_not_match_another_list_shape_or_service_version(
    alice: Person, lenient: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alice.add()
    condition = {"If-None-Match": (await alice.get("/tasks")).headers["etag"]}
    assert (await alice.get("/tasks", headers=condition)).status_code == 304
    with monkeypatch.context() as patched:
        patched.setattr(etags, "VERSION", "another version of the service")
        assert (await alice.get("/tasks", headers=condition)).status_code == 200
    alice.client = lenient
    assert (await alice.get("/tasks", headers=condition)).status_code == 200


async def test_an_etag_does_not_match_other_names_in_a_list(alice: Person, app: FastAPI, settings: Settings) -> None:
    await alice.add()
    condition = {"If-None-Match": (await alice.get("/tasks")).headers["etag"]}
    async with serving(app, settings, completed_name="both") as alice.client:
        again = await alice.get("/tasks", headers=condition)
    assert again.status_code == 200
    assert "is_completed" in again.json()[0]


async def test_the_document_has_the_configured_length_of_a_description(settings: Settings) -> None:
    schemas = create_app(settings.model_copy(update={"description_max": 77})).openapi()["components"]["schemas"]
    for name in ("TaskCreate", "TaskUpdate", "BulkChange"):
        assert schemas[name]["properties"]["description"]["anyOf"][0]["maxLength"] == 77
