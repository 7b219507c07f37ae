"""Every statement on user data is pinned to one user, by the condition with which the planner finds its rows.

This file checks a tour of the routes and all other statements of this process; ``tests/conftest.py`` checks again at
the
end of each process of a run, over all statements that its tests made the service execute.
"""

import ast
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.db.connection_options import ConnectOptions
from tests import statements
from tests.rules.test_architecture import sources
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


@pytest.mark.one_server("reads the plan of one server")
async def test_every_statement_issued_is_pinned_to_one_user(alice: Person, planner: Any) -> None:
    await tour(alice)
    found, on_user_data = await leaks(planner)
    assert not found, "\n".join(found)
    assert on_user_data >= 20


async def test_only_listed_modules_query_across_users(alice: Person) -> None:
    await tour(alice)
    assert {issued.module for issued in ISSUED if queries_across_users(issued)} <= ACROSS_USERS


@pytest.mark.one_server("reads the plan of one server")
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


# Their callers pass names that are written in the code, or that are made by the two functions.
PLAIN_NAMES = {"app/services/ordering.py", "app/services/accounts/export.py"}
PLAIN_VALUES = {"column", "row"}  # the owner's column


def test_values_in_the_text_of_a_statement_are_escaped() -> None:
    """``text()`` takes ":x" for a parameter: in a function, what is put into its text may hold one."""
    found = []
    for source in sources():
        for node in source.nodes if source.name not in PLAIN_NAMES else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found += [f"{source.name}:{line}" for line in unescaped(node)]
    assert found == []


def unescaped(function: ast.AST) -> Iterator[int]:
    """Yields the lines of ``text(f"...")`` with a value that is neither a constant nor escaped."""
    known = {"escape_colons", "quote_name"}
    escaped = {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in ast.walk(node.targets[0])
        if isinstance(target, ast.Name) and any(f"{name}(" in ast.unparse(node.value) for name in known)
    }
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "text":
            for part in call.args[0].values if isinstance(call.args[0], ast.JoinedStr) else ():
                if isinstance(part, ast.FormattedValue):
                    value = ast.unparse(part.value)
                    if not (value.isupper() or value in escaped | PLAIN_VALUES or value.partition("(")[0] in known):
                        yield call.lineno


def test_a_value_that_is_not_escaped_is_found() -> None:
    plain = "def f(owner):\n    return text(f'set local app.user_id = {quote_owner(owner)}')"
    assert list(unescaped(ast.parse(plain))) == [2]
    assert list(unescaped(ast.parse(plain.replace("quote_owner(owner)", "escape_colons(owner)")))) == []
