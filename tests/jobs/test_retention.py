"""Retention: pruning of the trash by the worker and by ``todo prune``."""

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI

from app.db.database import WORKER_ROLE, Database
from app.errors import AppError
from app.jobs.retention import empty_old_trash
from app.jobs.worker import Pace
from app.services.changes.entities import ENTITY_REGISTRY
from app.services.retention import trash
from tests.databases import Databases
from tests.entity_samples import delete_sample, make_sample
from tests.processes import run_todo
from tests.support import SECRET, Person, assert_problem
from tests.workers import make_worker

PACE = Pace(poll=0.1, prune=0.1, trash=0.1)
# What the worker finds across users besides old trash.
DUE_COLUMNS = {"tasks": {"id", "remind_at"}, "channels": {"id", "next_digest_at"}}
DAYS = 30
LEFT_AFTER_PRUNING = {
    "tasks": 0,
    "changes where action = 'purged' and revision = 3": 150,
    "changes": 300,
    "changes where revision = 1": 0,
}
PURGED = {entity.name: str(entity.table.name) for entity in ENTITY_REGISTRY if entity.purge_order}


async def add_deleted(person: Person, sql: Any, **ages: int) -> dict[str, int]:
    """Creates tasks with the given names, deleted the given numbers of days ago."""
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


async def test_the_worker_purges_old_deleted_tasks_and_logs_it(
    app: FastAPI, sql: Any, alice: Person, bob: Person
) -> None:
    old = await add_deleted(alice, sql, oldest=40, old=31, young=29)
    await add_deleted(bob, sql, bobs=31)
    await alice.add("alive")
    before = int((await alice.get("/tasks")).headers["x-revision"])
    worker = make_worker(app, trash_days=DAYS, pace=PACE)
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
    await add_deleted(alice, sql, ancient=9000)
    assert await empty_old_trash(app.state.database, days=0) == 0
    assert await in_trash(alice) == ["ancient"]


async def test_a_full_trash_is_purged_in_several_writes(app: FastAPI, sql: Any, alice: Person) -> None:
    await alice.add("first")
    await sql.execute(
        """insert into tasks (user_id, title, version, deleted_at)
           select $1, 'x', 1, now() - interval '31 days' from generate_series(1, 2001)""",
        alice.subject,
    )
    assert await empty_old_trash(app.state.database, days=DAYS) >= 2001
    assert await in_trash(alice) == []
    assert int((await alice.get("/tasks")).headers["x-revision"]) == 4


async def test_purging_respects_references_between_tasks(app: FastAPI, sql: Any, alice: Person) -> None:
    ids = await add_deleted(alice, sql, parent=50, child=40, root=50)
    live = (await alice.add("occurrence"))["id"]
    await sql.execute("update tasks set parent_id = $1 where id = $2", ids["parent"], ids["child"])
    await sql.execute("update tasks set series_id = $1 where id = any($2)", ids["root"], [live, ids["root"]])
    before = int((await alice.get("/tasks")).headers["x-revision"])
    await empty_old_trash(app.state.database, days=DAYS)
    assert await in_trash(alice) == []
    assert (await alice.get(f"/tasks/{live}")).json()["series_id"] is None
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [(c["revision"] - before, c["entity_id"], c["action"]) for c in changes] == [
        (1, ids["child"], "purged"), (1, ids["root"], "purged"), (1, live, "updated"), (2, ids["parent"], "purged"),
    ]  # fmt: skip


async def test_occurrences_of_a_purged_series_are_updated_in_batches(
    app: FastAPI, sql: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "PURGE_BATCH", 2)
    ids = await add_deleted(alice, sql, root=50)
    live = [(await alice.add(str(n)))["id"] for n in range(5)]
    await sql.execute("update tasks set series_id = $1 where id = any($2)", ids["root"], live)
    before = int((await alice.get("/tasks")).headers["x-revision"])
    await empty_old_trash(app.state.database, days=DAYS)
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [c["revision"] - before for c in changes] == [1, 1, 2, 2, 3, 3]
    assert {c["entity_id"] for c in changes if c["action"] == "updated"} == set(live)
    assert (await alice.get(f"/tasks?series_id={ids['root']}")).json() == []


async def test_a_series_is_kept_while_a_deleted_occurrence_can_be_restored(
    app: FastAPI, sql: Any, alice: Person
) -> None:
    """The occurrence may still be restored, and clients are not notified of an update of a deleted task."""
    ids = await add_deleted(alice, sql, series=50, occurrence=3)
    await sql.execute("update tasks set series_id = $1 where id = $2", ids["series"], ids["occurrence"])
    await empty_old_trash(app.state.database, days=DAYS)
    assert await in_trash(alice) == ["occurrence", "series"]
    assert (await alice.post(f"/tasks/{ids['occurrence']}/restore")).json()["series_id"] == ids["series"]
    await empty_old_trash(app.state.database, days=DAYS)
    assert await in_trash(alice) == []


async def delete_one_each(person: Person) -> dict[str, int]:
    """Deletes one row of each entity except tasks, and returns the ids. The comment's task remains."""
    ids = {}
    for entity in sorted(PURGED.keys() - {"task"}):
        path, row = await make_sample(person, entity)
        assert (await delete_sample(person, entity, path)).is_success
        ids[entity] = row["id"]
    return ids


@pytest.mark.parametrize("only", sorted(PURGED.keys() - {"task"}))
async def test_old_deleted_projects_comments_and_views_are_purged(
    app: FastAPI, sql: Any, alice: Person, only: str
) -> None:
    """Also of an owner without other deleted rows."""
    ids = await delete_one_each(alice)
    before = int((await alice.get("/tasks")).headers["x-revision"])
    await empty_old_trash(app.state.database, days=DAYS)  # nothing is old
    assert (await alice.get("/tasks")).headers["x-revision"] == str(before)
    await sql.execute(
        f"update {PURGED[only]} set deleted_at = now() - interval '31 days' where user_id = $1",
        alice.subject,
    )
    await empty_old_trash(app.state.database, days=DAYS)
    assert {*await alice.titles()} == {"stays"}
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [(c["revision"], c["entity"], c["entity_id"], c["action"], c["through"]) for c in changes] == [
        (before + 1, only, ids[only], "purged", "retention")
    ]


async def test_emptying_the_trash_deletes_rows_of_every_entity(alice: Person) -> None:
    ids = await delete_one_each(alice)
    deleted = (await alice.get("/changes")).json()["changes"][-1]
    before = deleted["revision"]
    assert (await alice.delete("/tasks/trash")).status_code == 204
    changes = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert {(c["entity"], c["entity_id"], c["action"]) for c in changes} == {(e, i, "purged") for e, i in ids.items()}
    assert [c["revision"] for c in changes] == [before + number for number in range(1, len(ids) + 1)]
    assert_problem(await alice.post(f"/changes/{before}/undo"), 409, "undo_conflict")


async def test_a_deleted_project_is_kept_while_a_deleted_task_refers_to_it(
    app: FastAPI, sql: Any, alice: Person
) -> None:
    project = (await alice.post("/projects", {"name": "Home"})).json()["id"]
    task = await alice.add("young", project_id=project)
    await alice.delete(f"/projects/{project}")
    await sql.execute("update projects set deleted_at = now() - interval '31 days' where user_id = $1", alice.subject)
    await empty_old_trash(app.state.database, days=DAYS)
    assert await sql.fetchval("select count(*) from projects where user_id = $1", alice.subject) == 1
    assert (await alice.post(f"/tasks/{task['id']}/restore")).status_code == 200
    await empty_old_trash(app.state.database, days=DAYS)
    assert await sql.fetchval("select count(*) from projects where user_id = $1", alice.subject) == 0


async def test_a_purge_failure_of_one_user_does_not_affect_others(
    app: FastAPI, sql: Any, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_deleted(alice, sql, stuck=50)
    await add_deleted(bob, sql, gone=31)
    purge = trash.purge_old_trash

    async def failing(session: Any, owner: str, *, days: int) -> int:
        if owner == alice.subject:
            raise AppError
        return await purge(session, owner, days=days)

    monkeypatch.setattr(trash, "purge_old_trash", failing)
    await empty_old_trash(app.state.database, days=DAYS)
    assert (await in_trash(alice), await in_trash(bob)) == (["stuck"], [])


async def test_what_stays_in_the_trash_is_found_once(
    databases: Databases, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many users keep old rows, the pass ends, and it remembers one row and no list of users."""
    options = await databases.create(
        migrated,
        """
        insert into users (id, revision) select 'u' || n, 1 from generate_series(1, 900) n;
        insert into tasks (user_id, title, version, deleted_at)
            select id, 'x', 1, now() - make_interval(days => 40 + k) from users, generate_series(1, 3) k;""",
    )
    database = await Database(options, size=1, timeout=5).open()
    tried: list[str] = []

    async def failing(session: Any, owner: str, *, days: int) -> int:
        tried.append(owner)
        raise RuntimeError

    monkeypatch.setattr(trash, "purge_old_trash", failing)
    try:
        assert await empty_old_trash(database, days=DAYS) == 0
    finally:
        await database.close()
    assert set(tried) == {f"u{number}" for number in range(1, 901)}
    assert len(tried) <= 3 * 900


async def test_a_purge_without_old_rows_takes_no_revision(app: FastAPI, sql: Any, alice: Person) -> None:
    await add_deleted(alice, sql, young=1)
    before = (await alice.get("/tasks")).headers["x-revision"]
    async with app.state.database.transaction(alice.subject) as session:
        assert await trash.purge_old_trash(session, alice.subject, days=DAYS) == 0
    assert (await alice.get("/tasks")).headers["x-revision"] == before


async def test_the_worker_role_reads_only_owner_and_deletion_time(app: FastAPI, sql: Any, alice: Person) -> None:
    await add_deleted(alice, sql, old=31)
    await alice.add("alive")
    await delete_one_each(alice)
    allowed = {"user_id", "deleted_at"}
    for table in PURGED.values():
        others = DUE_COLUMNS.get(str(table), set())
        columns = await sql.fetch(
            """select attname from pg_attribute where attrelid = $2::regclass and attnum > 0
               and has_column_privilege($1, attrelid, attnum, 'select')""",
            WORKER_ROLE, table,
        )  # fmt: skip
        assert {row[0] for row in columns} == allowed | others, table
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute(f"set local role {WORKER_ROLE}")
    for table in PURGED.values():
        seen = await sql.fetch(f"select deleted_at from {table} where user_id = $1", alice.subject)
        assert [row["deleted_at"] is None for row in seen] == [False], table
    await transaction.rollback()


async def test_the_query_for_old_deleted_rows_reads_an_index_of_each_table(sql: Any) -> None:
    await sql.execute("set enable_seqscan = off; set enable_bitmapscan = off; set enable_sort = off")
    await sql.execute(f"set role {WORKER_ROLE}")
    values = trash.SELECT_TRASH_OWNERS.arguments({"days": DAYS})
    plan = "\n".join(row[0] for row in await sql.fetch(f"explain {trash.SELECT_TRASH_OWNERS.sql}", *values))
    for table in PURGED.values():
        assert f"{table}_trash_by_age" in plan, plan


@pytest.mark.slow
async def test_todo_prune_checks_every_user(databases: Databases, migrated: str, tmp_path: Path) -> None:
    """Also users that are not due: the operator may have just shortened the retention."""
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
    done = run_todo("prune", cwd=tmp_path, database_url=options.dsn, jwt_secret=SECRET, trash_kept_days=10,
                    changes_kept_days=5)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "150 users pruned, 0 rows purged from the trash\n"), done.stderr
    done = run_todo("prune", cwd=tmp_path, database_url=options.dsn, jwt_secret=SECRET, trash_kept_days=7,
                    changes_kept_days=5)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "150 users pruned, 150 rows purged from the trash\n"), done.stderr
    connection = await asyncpg.connect(**options.arguments())
    left = [await connection.fetchval(f"select count(*) from {rows}") for rows in LEFT_AFTER_PRUNING]
    await connection.close()
    assert left == list(LEFT_AFTER_PRUNING.values())
