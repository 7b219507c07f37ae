"""Round trips to the database have a budget: BEGIN with its settings, the statement, COMMIT.

The COMMIT of a read travels with the next BEGIN."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from app.db.database import Database
from app.db.session import Session
from app.services.changes.entities import ENTITY_REGISTRY
from tests.support import Person

Count = Callable[[], int]


@pytest.fixture
def round_trips(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Count:
    """Returns a function that counts the round trips of the last request; 0 when it opened no transaction."""
    sessions: list[Session] = []
    database: Database = app.state.database
    transaction = database.transaction

    def recorded(*args: Any, **options: Any) -> Session:
        sessions.append(transaction(*args, **options))
        return sessions[-1]

    monkeypatch.setattr(database, "transaction", recorded)
    return lambda: sessions.pop().round_trips if sessions else 0


BUDGET = {
    ("GET", "/tasks", None): 2,
    ("GET", "/tasks?sort=due_date&status=pending&search=x&overdue=true", None): 3,  # empty: the revision is read alone
    ("GET", "/tasks?count=true", None): 3,
    ("GET", "/tasks/{id}", None): 2,
    ("POST", "/tasks", '{"title": "x"}'): 3,
    ("POST", "/tasks", '{"title": "x", "due_date": "2026-12-01T09:00"}'): 4,  # a local time needs the user's zone
    ("PATCH", "/tasks/{id}", '{"title": "x"}'): 3,
    ("PUT", "/tasks/{id}", '{"due_date": "2026-12-01"}'): 3,
    ("PATCH", "/tasks/{id}", '{"project_id": null}'): 5,
    ("PATCH", "/tasks/{id}/complete", None): 3,
    ("PATCH", "/tasks/{id}/complete", '{"completed": true}'): 3,
    ("PATCH", "/tasks/{id}", '{"completed": true}'): 3,
    ("PATCH", "/tasks/{parent}/complete", None): 6,  # a lookup, its row, the rows below
    ("POST", "/tasks/{id}/restore", None): 4,  # it is not deleted: the lock and a lookup
    ("DELETE", "/tasks/{id}", None): 3,
    ("GET", "/tasks/{id}/comments", None): 2,
    ("POST", "/tasks/{id}/comments", '{"body": "x"}'): 3,
    ("GET", "/tasks/{id}/comments/999999", None): 4,
    ("GET", "/tags", None): 3,
    # The lock, a lookup of the new name and one of the old, the write, and the response.
    ("PATCH", "/tags/x", '{"name": "y"}'): 8,
    ("DELETE", "/tags/x", None): 6,
    ("GET", "/views", None): 2,
    ("GET", "/views/999999", None): 3,
    ("POST", "/views", '{"name": "x", "parameters": {"status": "pending"}}'): 5,
    ("GET", "/stats", None): 4,  # the revision and the moment, which may be all; whether there are many tasks
    ("GET", "/changes", None): 2,
    ("GET", "/changes?snapshot=true", None): 2 + len(ENTITY_REGISTRY),  # of an account that fits on one page
    ("GET", "/changes?snapshot=true&since=1", None): 0,
    # A uid in a path costs its lookup, a uid of a new task nothing.
    ("GET", "/tasks/uid:u", None): 3,
    ("PATCH", "/tasks/uid:u", '{"title": "x"}'): 4,
    ("POST", "/tasks", '{"title": "x", "uid": "new"}'): 3,
    ("POST", "/tasks", '{"title": "x", "parent_uid": "u"}'): 6,
    ("PUT", "/tasks/uid:new", '{"title": "x"}'): 5,  # the owner's lock and a lookup, so that one of two creates it
    ("PUT", "/tasks/uid:u", '{"title": "x"}'): 5,
    ("GET", "/tasks?parent_uid=u", None): 4,
    # Merging costs the owner's lock and the row; the rest only if another write came between.
    ("PATCH", "/tasks/{id}", '{"title": "x", "base_version": 1}'): 5,
    ("PATCH", "/tasks/{id}", '{"title": "a", "base_version": 1}'): 4,
    ("POST", "/tasks", "{}"): 0,
    ("GET", "/tasks?limit=0", None): 0,
    ("GET", "/tasks/x", None): 0,
    ("GET", "/tasks/999999", None): 3,  # an error rolls back at once
    ("GET", "/api/somebody-else/tasks", None): 0,
}


@pytest.mark.one_server("counts the round trips of the form for one server")
@pytest.mark.parametrize(("method", "path", "body"), BUDGET)
async def test_a_request_stays_within_its_budget(
    alice: Person, round_trips: Count, method: str, path: str, body: str | None
) -> None:
    budget = BUDGET[method, path, body]
    task = await alice.add("a", tags=["x"], uid="u")
    if "{parent}" in path:
        parent = await alice.add()
        await alice.add(parent_id=parent["id"], completed=True)
        path = path.replace("{parent}", str(parent["id"]))
    round_trips()
    headers = {"Content-Type": "application/json"} if body else {}
    await alice.call(method, path.replace("{id}", str(task["id"])), content=body, headers=headers)
    assert round_trips() == budget


@pytest.mark.one_server("counts the round trips of the form for one server")
async def test_a_conditional_request_costs_one_lookup(alice: Person, round_trips: Count) -> None:
    task = await alice.add()
    etag = (await alice.get("/tasks")).headers["etag"]
    round_trips()
    assert (await alice.get("/tasks", headers={"If-None-Match": etag})).status_code == 304
    assert round_trips() == 2
    await alice.get("/tasks", headers={"If-None-Match": 'W/"0"'})
    assert round_trips() == 3
    await alice.patch(f"/tasks/{task['id']}", {"title": "b"}, headers={"If-Match": '"1"'})
    assert round_trips() == 3
    await alice.patch(f"/tasks/{task['id']}", {"title": "b"}, headers={"If-Match": '"1"'})
    assert round_trips() == 4
