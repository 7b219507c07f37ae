"""Every statement on user data is pinned to one user: the planner itself says by which condition it finds its rows.

Runs last, over what all other tests made the service execute; by itself, over a tour of the routes.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from app.db.database import WORKER_ROLE
from app.models import METADATA
from tests.statements import ISSUED, Issued
from tests.support import Person
from tests.test_migrations import AUTH

# What is found by e-mail, token or address, before anybody knows whose it is, is behind a role of its own.
USER_DATA = set(METADATA.tables) - AUTH
# It writes rows of strangers on purpose, and rolls them back.
PROOF = "services/operations/isolation_check.py"
PLAN = """
    create or replace function pg_temp.plan(statement text) returns json language plpgsql as $$
    declare found json;
    begin
        execute 'explain (generic_plan, format json) ' || statement into found;
        return found;
    end $$"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def unpinned(plan: dict[str, Any]) -> list[str]:
    """Tables of user data that are read without their owner's condition."""
    found = []
    for node in nodes(plan):
        table = node.get("Relation Name")
        if table in USER_DATA and node["Node Type"] != "ModifyTable":
            owner = "id" if table == "users" else "user_id"
            conditions = " ".join(str(node.get(name, "")) for name in ("Index Cond", "Recheck Cond", "Filter"))
            if not re.search(rf"\b{owner} = (\(?\$\d|'|[\w.]*user_id\b|\(InitPlan)", conditions):
                found.append(f"{table}: {conditions}")
    return found


def looks_across_users(issued: Issued) -> bool:
    """The worker's look for who is due: it cannot write, and its role reads few columns: tests/test_migrations.py."""
    return "READ ONLY" in issued.begin and f"ROLE {WORKER_ROLE}" in issued.begin


@pytest.fixture
async def planner(sql: Any) -> Any:
    """A superuser's, whom no policy adds a condition for."""
    await sql.execute(PLAN)
    return sql


async def plan_of(planner: Any, sql: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(await planner.fetchval("select pg_temp.plan($1)", sql))[0]["Plan"]
    return plan


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
    on_user_data = set()
    leaks = {}
    for issued in ISSUED:
        # what sets the transaction's own role or owner has no plan
        if issued.module == PROOF or looks_across_users(issued) or issued.sql.startswith("set local "):
            continue
        try:
            plan = await plan_of(planner, issued.sql)
        except asyncpg.UndefinedTableError:
            continue  # of a table that another test had for a while
        if {node.get("Relation Name") for node in nodes(plan)} & USER_DATA:
            on_user_data.add(issued.sql)
        if missing := unpinned(plan):
            leaks[issued.module, issued.sql] = missing
    assert leaks == {}
    assert len(on_user_data) >= 20


async def test_the_looks_across_users_are_few_and_the_workers(alice: Person) -> None:
    await tour(alice)
    modules = {issued.module for issued in ISSUED if looks_across_users(issued)}
    assert modules <= {
        "services/webhooks/deliveries.py",
        "services/retention/pruning.py",
        "services/retention/trash.py",
        "services/tasks/firing.py",
    }


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
async def test_one_that_is_not_would_be_found(planner: Any, statement: str, table: str) -> None:
    assert table in " ".join(unpinned(await plan_of(planner, statement)))


async def test_a_statement_that_cannot_be_planned_is_no_excuse(planner: Any) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await plan_of(planner, "select * from nothing_of_the_kind")
