"""No statement of the service is one that Citus refuses, as far as its planner's rules tell: ``citus_planner``."""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.db.compiled import CompiledStatement
from app.db.connection_options import ConnectOptions
from app.services import comments, projects, views
from app.services.changes.entities import DISTRIBUTED_TABLES
from app.services.tasks.completion import complete_statement
from app.services.tasks.creation import create_statement
from app.services.tasks.statements import update_rows_statement, update_statement
from app.services.tasks.subtasks import write_trees_statement
from app.services.tasks.trash import delete_statement
from tests.citus_planner import CitusPlanner, citus_planner
from tests.databases import Databases
from tests.statements import refusals


def build_statements() -> list[CompiledStatement]:
    """Builds one of each kind of writes that are built on request. The others are there once their module is loaded."""
    return [
        *(
            update_statement(frozenset(columns), checks_version=checks, alone="completed" in columns)
            for columns in (["title"], ["due_on", "due_at"], ["completed"], ["reminders"], ["completed", "due_on"])
            for checks in (False, True)
        ),
        update_statement(frozenset({"due_on", "completed"}), revision_taken=True, action="skipped"),
        *(
            complete_statement(toggle=toggle, checks_version=checks)
            for toggle in (False, True)
            for checks in (False, True)
        ),
        *(delete_statement(checks_version=checks) for checks in (False, True)),
        create_statement(frozenset({"reminders"})),
        create_statement(frozenset({"project_id", "parent_id"}), named=True),
        *(
            write_trees_statement(moves=moves, turn=turn)
            for moves in (False, True)
            for turn in (None, "completed", "cancelled", "reopened")
            if moves or turn is not None
        ),
        update_rows_statement(frozenset(), frozenset({"tags"})),
        update_rows_statement(frozenset({"due_on", "due_at"}), frozenset({"completed", "state"}), "completed"),
        *(projects._update_project(frozenset({name}), True) for name in ("name", "archived_at", "deleted_at")),
        *(comments._comment_write(action, True) for action in ("updated", "deleted")),
        views._update_view(frozenset({"name"}), True),
        views._delete_view(True),
    ]


def find_statements(value: Any) -> Iterator[CompiledStatement]:
    if isinstance(value, CompiledStatement):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from find_statements(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from find_statements(item)


def all_statements() -> dict[int, CompiledStatement]:
    """Returns those of all modules, each once."""
    modules = [vars(module) for name, module in sys.modules.items() if name.startswith("app.")]
    values = [value for names in modules for value in names.values()]
    return {id(found): found for value in [*values, *build_statements()] for found in find_statements(value)}


@pytest.fixture(scope="module")
async def database(postgres: ConnectOptions, migrated: str) -> AsyncIterator[ConnectOptions]:
    databases = Databases(postgres)
    yield await databases.create(migrated)
    await databases.drop()


@pytest.fixture(scope="module")
async def planner(database: ConnectOptions) -> AsyncIterator[CitusPlanner]:
    async with citus_planner(database, DISTRIBUTED_TABLES) as found:
        yield found


async def test_citus_refuses_no_statement(database: ConnectOptions) -> None:
    """The statements that are there now; after the run, those that it issued."""
    statements = all_statements().values()
    assert len(statements) > 200
    assert await refusals(database, statements) == []


# One of each kind, with what Citus 14 answered to it.
REFUSED = {
    "a data-modifying WITH": [
        "with u as (insert into users (id) values ($1) on conflict do nothing) "
        "insert into projects (user_id, uid, name, version) values ($1, 'u', 'n', 1)",
        "with gone as (delete from token_use where user_id = $1) select from users where id = $1",
    ],
    "a write that also uses a table that is not distributed": [
        "update tasks set title = 'x' from accounts a where tasks.user_id = $1 and a.user_id = tasks.user_id"
    ],
    "a sub-select in INSERT": [
        "insert into token_use (user_id, day, tokens) "
        "values ($1, '2030-01-01', (select revision from users where id = $1))"
    ],
    "a WITH in INSERT": [
        "with t as (select 1 as n) insert into token_use (user_id, day, tokens) "
        "values ($1, '2030-01-01', (select n from t))"
    ],
    "an INSERT from a SELECT that reads no distributed table": [
        "insert into token_use (user_id, day, tokens) select $1::text, '2030-01-01', n from unnest($2::bigint[]) n"
    ],
    "an INSERT from a SELECT with a volatile function, or a sequence": [
        "insert into views (user_id, uid, name, parameters, version) "
        "select id, 'u', 'n', '{}', 1 from users where id = $1"
    ],
    "an INSERT from a SELECT whose owner is not a column": [
        "insert into token_use (user_id, day, tokens) select $1::text, '2030-01-01', revision from users where id = $1"
    ],
    "a volatile function in UPDATE or DELETE": [
        "update tasks set due_at = clock_timestamp() where user_id = $1",
        "delete from tasks where user_id = $1 and due_at < clock_timestamp()",
    ],
    "a function in CASE or COALESCE that is not immutable": [
        "update tasks set due_at = case when completed then now() end where user_id = $1",
        "update tasks set due_at = coalesce(due_at, now()) where user_id = $1",
        "update tasks set due_at = coalesce(due_at, $2::timestamptz - interval '1 day') where user_id = $1",
        "update tasks set title = 'x' where user_id = $1 and coalesce(due_at, now()) < $2",
    ],
    "a stable function of a column": [
        "update tasks set due_at = due_at - interval '1 day' where user_id = $1",
        "update tasks set title = due_at::text where user_id = $1",
    ],
    "CASE with a boolean after it": [
        "update tasks set title = case cast($2 as boolean) when true then 'x' else title end where user_id = $1",
        "select case completed when false then 1 else 2 end from tasks where user_id = $1",
    ],
    "a function in RETURNING that is not immutable": [
        "update tasks set title = 'x' where user_id = $1 returning to_jsonb(tasks)",
        "insert into token_use (user_id, day, tokens) values ($1, '2030-01-01', 1) returning now()",
    ],
    "a function in ON CONFLICT that is not immutable": [
        "insert into token_use as t (user_id, day, tokens) values ($1, '2030-01-01', 1) "
        "on conflict (user_id, day) do update set day = now()",
        "insert into idempotency_keys as k (user_id, key) values ($1, 'k') on conflict (user_id, key) "
        "do update set key = excluded.key where k.created_at < $2::timestamptz - interval '1 day'",
    ],
}
ACCEPTED = [
    "update tasks set due_at = now() + interval '1 day' where user_id = $1 and remind_at <= now()",
    "update tasks set due_at = case when completed then $2::timestamptz end where user_id = $1 returning id",
    "update tasks set title = was.title from tasks was where tasks.user_id = $1 and was.user_id = tasks.user_id "
    "and was.id = tasks.id returning case when was.completed then 'a' else 'b' end",
    "update tasks set title = case priority when 'low' then 'x' else title end where user_id = $1",
    "update tasks set deleted_at = (select $2::timestamptz) where user_id = $1",
    "insert into token_use (user_id, day, tokens) select id, '2030-01-01', revision from users where id = $1 limit 1",
    "insert into changes (user_id, revision, entity, entity_id, action, data) "
    "select w.user_id, $2::bigint, 'task', w.id, 'created', to_jsonb(w) "
    "from (select * from tasks where user_id = $1) w",
    "select now(), clock_timestamp() from tasks where user_id = $1 for update skip locked",
    "with recursive t as (select id from tasks where user_id = $1 union select c.id from tasks c join t "
    "on c.user_id = $1 and c.parent_id = t.id) select id from t",
    "with w as (delete from api_tokens where user_id = $1) update accounts set name = 'x' where user_id = $1",
]


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind, samples in REFUSED.items() for sql in samples])
async def test_each_kind_is_found(planner: CitusPlanner, kind: str, sql: str) -> None:
    assert kind in await planner.refusals(sql)


@pytest.mark.parametrize("sql", ACCEPTED)
async def test_what_citus_accepts_is_not_refused(planner: CitusPlanner, sql: str) -> None:
    assert await planner.refusals(sql) == []
