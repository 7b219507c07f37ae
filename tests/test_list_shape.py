"""LIST_SHAPE=envelope and UNKNOWN_FIELDS=ignore: for front-ends that were written for another backend."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.main import create_app
from tests.support import Person


@pytest.fixture
async def lenient(app: FastAPI, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The service with both settings, on the same database."""
    other = create_app(settings.model_copy(update={"list_shape": "envelope", "unknown_fields": "ignore"}))
    other.state.verifier, other.state.database = app.state.verifier, app.state.database
    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://test") as http:
        yield http


async def test_an_envelope_says_where_in_the_list_it_is(alice: Person, lenient: httpx.AsyncClient) -> None:
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


async def test_the_document_shows_the_shape_that_is_served(lenient: httpx.AsyncClient) -> None:
    document = (await lenient.get("/openapi.json")).json()
    answer = document["paths"]["/api/{user_id}/tasks"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/TaskPage"}
    assert set(document["components"]["schemas"]["TaskPage"]["required"]) == {
        "tasks", "total", "count", "limit", "offset", "next_cursor",
    }  # fmt: skip


async def test_unknown_names_are_ignored_when_told_so(alice: Person, lenient: httpx.AsyncClient) -> None:
    alice.client = lenient
    task = (await alice.post("/tasks", {"title": "a", "colour": "red"})).json()
    assert task["title"] == "a"
    assert "colour" not in task
    assert (await alice.patch(f"/tasks/{task['id']}", {"titel": "b", "title": "c"})).json()["title"] == "c"
    assert (await alice.get("/tasks?_=1700000000&q=c")).json()["count"] == 1
