"""How long things are kept: the trash by the worker and by ``todo prune``."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.db.session import WORKER_ROLE
from app.db.url import ConnectOptions
from app.errors import AppError
from app.retention import empty_old_trash
from app.services import trash
from app.worker import Pace, Worker
from tests.databases import Databases
from tests.processes import run_todo
from tests.support import SECRET, Person

PACE = Pace(poll=0.1, prune=0.1, trash=0.1)
DAYS = 30


async def throw_away(person: Person, sql: Any, **ages: int) -> dict[str, int]:
    """A task of each name, deleted so many days ago."""
    ids = {}
    for title, days in ages.items():
        ids[title] = (await person.add(title))["id"]
        assert (await person.delete(f"/tasks/{ids[title]}")).status_code == 204
        await sql.execute(
            "update tasks set deleted_at = now() - make_interval(days => $3) where user_id = $1 and id = $2",
            person.subject, ids[title], days,
        )  # fmt: skip
    return ids


async def in_trash(person: Person) -> list[str]:
    answer = await person.get("/tasks/trash")
    assert answer.status_code == 200, answer.text
    return sorted(task["title"] for task in answer.json())


async def test_the_worker_purges_what_is_old_and_says_so(app: FastAPI, sql: Any, alice: Person, bob: Person) -> None:
    old = await throw_away(alice, sql, oldest=40, old=31, young=29)
    await throw_away(bob, sql, bobs=31)
    await alice.add("alive")
    before = int((await alice.get("/tasks")).headers["x-revision"])
    worker = Worker(app.state.database, allow_private=False, kept_days=90, trash_days=DAYS, pace=PACE)
    async with worker:
        deadline = time.monotonic() + 20
        while await in_trash(alice) != ["young"] or await in_trash(bob):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [(c["revision"], c["action"], c["through"]) for c in changes] == [(before + 1, "purged", "retention")] * 2
    assert {c["entity_id"] for c in changes} == {old["oldest"], old["old"]}
    assert await alice.titles() == ["alive"]


async def test_zero_days_keep_the_trash_for_ever(app: FastAPI, sql: Any, alice: Person) -> None:
    await throw_away(alice, sql, ancient=9000)
    assert await empty_old_trash(app.state.database, days=0) == 0
    assert await in_trash(alice) == ["ancient"]


async def test_a_full_trash_goes_in_several_writes(app: FastAPI, sql: Any, alice: Person) -> None:
    await alice.add("first")
    await sql.execute(
        """insert into tasks (user_id, title, version, deleted_at)
           select $1, 'x', 1, now() - interval '31 days' from generate_series(1, 2001)""",
        alice.subject,
    )
    assert await empty_old_trash(app.state.database, days=DAYS) >= 2001
    assert await in_trash(alice) == []
    assert int((await alice.get("/tasks")).headers["x-revision"]) == 4


async def test_what_others_refer_to_goes_after_them_or_stays(app: FastAPI, sql: Any, alice: Person) -> None:
    ids = await throw_away(alice, sql, parent=50, child=40, root=50)
    live = (await alice.add("occurrence"))["id"]
    await sql.execute("update tasks set parent_id = $1 where id = $2", ids["parent"], ids["child"])
    await sql.execute("update tasks set series_id = $1 where id = any($2)", ids["root"], [live, ids["root"]])
    await empty_old_trash(app.state.database, days=DAYS)
    assert await in_trash(alice) == ["root"]
    await sql.execute("update tasks set series_id = null where id = $1", live)
    await empty_old_trash(app.state.database, days=DAYS)
    assert await in_trash(alice) == []


async def test_one_who_cannot_be_served_keeps_nobody_waiting(
    app: FastAPI, sql: Any, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await throw_away(alice, sql, stuck=50)
    await throw_away(bob, sql, gone=31)
    purge = trash.purge_old

    async def failing(session: Any, owner: str, *, days: int) -> int:
        if owner == alice.subject:
            raise AppError
        return await purge(session, owner, days=days)

    monkeypatch.setattr(trash, "purge_old", failing)
    await empty_old_trash(app.state.database, days=DAYS)
    assert (await in_trash(alice), await in_trash(bob)) == (["stuck"], [])


async def test_what_was_restored_meanwhile_takes_no_number(app: FastAPI, sql: Any, alice: Person) -> None:
    await throw_away(alice, sql, young=1)
    before = (await alice.get("/tasks")).headers["x-revision"]
    async with app.state.database.transaction(alice.subject) as session:
        assert await trash.purge_old(session, alice.subject, days=DAYS) == 0
    assert (await alice.get("/tasks")).headers["x-revision"] == before


async def test_the_workers_role_sees_of_tasks_only_whose_trash_is_how_old(
    app: FastAPI, sql: Any, alice: Person
) -> None:
    await throw_away(alice, sql, old=31)
    await alice.add("alive")
    for column, allowed in (("user_id", True), ("deleted_at", True), ("title", False), ("tags", False)):
        right = await sql.fetchval("select has_column_privilege($1, 'tasks', $2, 'select')", WORKER_ROLE, column)
        assert right is allowed, column
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute(f"set local role {WORKER_ROLE}")
    seen = await sql.fetch("select deleted_at from tasks where user_id = $1", alice.subject)
    await transaction.rollback()
    assert [row["deleted_at"] is None for row in seen] == [False]


async def test_todo_prune_looks_at_everybody(
    databases: Databases, migrated: str, tmp_path: Path, postgres: ConnectOptions
) -> None:
    """Also at those who are not due: the operator has just shortened what is kept."""
    options = await databases.create(
        migrated,
        """
        insert into users (id, revision, prune_at) select 'u' || n, 2, now() + interval '80 days'
            from generate_series(1, 150) n;
        insert into tasks (user_id, title, version, deleted_at) select id, 'x', 1, now() - interval '9 days' from users;
        insert into changes (user_id, revision, entity, entity_id, action, data, at)
            select user_id, r, 'task', id, 'created', '{}', now() - make_interval(days => 12 - 6 * r::int)
            from tasks, generate_series(1, 2) r;""",
    )
    name = options.dsn.partition("?")[0].rpartition("/")[2]
    done = run_todo("prune", cwd=tmp_path, database_url=options.dsn, jwt_secret=SECRET, trash_kept_days=10,
                    changes_kept_days=5)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "150 users looked at, 0 tasks purged from the trash\n"), done.stderr
    done = run_todo("prune", cwd=tmp_path, database_url=options.dsn, jwt_secret=SECRET, trash_kept_days=7,
                    changes_kept_days=5)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "150 users looked at, 150 tasks purged from the trash\n"), done.stderr
    await databases.execute(
        """do $$ begin
        assert not exists (select from tasks), 'tasks';
        assert (select count(*) = 150 from changes where action = 'purged' and revision = 3), 'purged';
        assert not exists (select from changes where revision = 1), 'old changes';
        assert (select count(*) = 300 from changes), 'young changes';
        end $$""",
        name,
    )
