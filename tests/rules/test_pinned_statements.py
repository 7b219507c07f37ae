"""Every statement on user data is pinned to one user, by the condition with which the planner finds its rows.

This file checks a tour of the routes and all other statements of this process; ``tests/conftest.py`` checks again at
the
end of each process of a run, over all statements that its tests made the service execute.
"""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.db.connection_options import ConnectOptions
from tests import statements
from tests.statements import ACROSS_USERS, ISSUED, leaks, plan_of, queries_across_users, unpinned
from tests.support import Person


@pytest.fixture
async def planner(app: FastAPI, postgres: ConnectOptions) -> AsyncIterator[Any]:
    async with statements.planner(postgres) as connection:
        yield connection


async def tour(person: Person) -> None:
    task = await person.add("Buy milk", tags=["errands"])
    path = f"/tasks/{task['id']}"
    for query in ("", "?search=milk&tag=errands&status=pending&overdue=true", "?sort=title&limit=1&count=true"):
        assert (await person.get(f"/tasks{query}")).status_code == 200
    await person.patch(path, {"title": "x"}, headers={"If-Match": '"1"'})
    await person.patch(f"{path}/complete")
    for made in ("/changes?since=0", f"{path}/history", "/webhooks", "/tasks/trash"):
        assert (await person.get(made)).status_code == 200
    await person.post("/changes/2/undo")
    await person.delete(path)
    await person.post(f"{path}/restore")
    await person.delete(path)
    await person.delete("/tasks/trash")


async def test_every_statement_issued_is_pinned_to_one_user(alice: Person, planner: Any) -> None:
    await tour(alice)
    found, on_user_data = await leaks(planner)
    assert not found, "\n".join(found)
    assert on_user_data >= 20


async def test_only_listed_modules_query_across_users(alice: Person) -> None:
    await tour(alice)
    assert {issued.module for issued in ISSUED if queries_across_users(issued)} <= ACROSS_USERS


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("select * from tasks where id = $1::bigint", "tasks"),
        ("select * from tasks where user_id > $1::text", "tasks"),
        ("select * from tasks t join changes c on c.user_id = t.user_id where c.revision = 1", "changes"),
        ("update tasks set title = 'x' where id = $1::bigint", "tasks"),
        ("delete from changes where revision < $1::bigint", "changes"),
        ("with gone as (delete from webhooks returning id) select * from gone", "webhooks"),
        ("select (select max(revision) from users) from tasks where user_id = $1::text", "users"),
        ("select 1 where exists (select from tasks where title = $1::text)", "tasks"),
    ],
)
async def test_an_unpinned_statement_is_found(planner: Any, statement: str, table: str) -> None:
    await planner.execute("set enable_nestloop = off")  # else the sizes of the tables decide which one is named
    assert table in " ".join(unpinned(await plan_of(planner, statement)))


async def test_a_statement_that_cannot_be_planned_raises(planner: Any) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await plan_of(planner, "select * from nothing_of_the_kind")
