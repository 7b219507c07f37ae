"""Batches: all or nothing as one write, or each operation on its own; references, conditions and refusals."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from app.db.joined_changes import JOINED_ROWS_MAX
from app.http.routing import DirectRoute
from app.main import ROUTERS
from app.schemas.batch import OPERATION_SHAPES, OPERATIONS_MAX, NoFields
from app.services.batch.operations import OPERATION_RUNS
from tests.support import Person, assert_problem

Row = dict[str, Any]
# Writes below a user's path that are no operation of a batch, and why.
NOT_IN_BATCH = {
    "write_batch": "itself",
    "undo_change": "it undoes a write, and a batch is one",
    "empty_trash": "it cannot be undone",
    "import_tasks": "it has a file, and many revisions",
    "chat": "it asks a model",
    "update_settings": "no change of these is recorded",
    "delete_conversation": "conversations belong to the chat",
    **dict.fromkeys(("create_calendar", "revoke_calendar"), "a credential, which no undo may bring back"),
    **dict.fromkeys(
        ("create_webhook", "update_webhook", "delete_webhook", "rotate_secret", "test_webhook"),
        "a subscription, which clients do not sync",
    ),
    **dict.fromkeys(
        ("create_channel", "update_channel", "delete_channel", "test_channel"),
        "it holds secrets, and a channel that cannot be tried at once is no use offline",
    ),
}
UID = "garden"
OWNED = "/api/{user_id}/"


def operation(what: str, condition: Any = None, /, **arguments: Any) -> Row:
    return {"operation": what, "arguments": arguments, **({} if condition is None else {"if_match": condition})}


async def send(person: Person, *operations: Any, headers: Any = None, **options: Any) -> httpx.Response:
    return await person.post("/batch", {"operations": list(operations), **options}, headers=headers)


async def run(person: Person, *operations: Any, **options: Any) -> Row:
    answer = await send(person, *operations, **options)
    assert answer.status_code == 200, answer.text
    body: Row = answer.json()
    kept = body["revision"] is not None and not options.get("dry_run")
    assert answer.headers.get("x-revision") == (str(body["revision"]) if kept else None)
    return body


async def everything(sql: Any, person: Person) -> Any:
    tables = [
        await sql.fetch(f"select * from {table} where user_id = $1 order by 1, 2, 3", person.subject)
        for table in ("tasks", "projects", "comments", "views", "changes")
    ]
    return [[tuple(row.values()) for row in rows] for rows in tables]


async def changes_of(person: Person, revision: int) -> list[Row]:
    answer = await person.get(f"/changes?since={revision - 1}&limit=1000")
    found: list[Row] = [each for each in answer.json()["changes"] if each["revision"] == revision]
    return found


def routes() -> dict[str, DirectRoute]:
    found = [route for router in ROUTERS for route in router.routes if isinstance(route, DirectRoute)]
    return {
        str(route.operation_id): route
        for route in found
        if route.path.startswith(OWNED) and not (route.methods or set()) <= {"GET", "HEAD"}
    }


# ---- the table


def test_every_write_is_an_operation_or_has_a_reason() -> None:
    assert set(routes()) - OPERATION_RUNS.keys() == set(NOT_IN_BATCH)
    assert OPERATION_RUNS.keys() == OPERATION_SHAPES.keys() == set(routes()) - set(NOT_IN_BATCH)


@pytest.mark.parametrize("name", OPERATION_RUNS)
def test_an_operation_takes_what_its_route_takes(name: str) -> None:
    route, shape = routes()[name], OPERATION_SHAPES[name]
    ids = {field.name for field in route.dependant.path_params} - {"user_id"}
    assert ids == ({"name"} if "tag" in name else {f"{noun}_id" for noun in shape.target.NOUNS})
    fields = [field.field_info.annotation for field in (*route.dependant.body_params, *route.dependant.query_params)]
    assert fields == [shape.body if shape.needs_body else shape.body | None] or (not fields and shape.body is NoFields)
    headers = {field.alias for field in route.dependant.header_params}
    assert ("If-Match" in headers) == shape.versioned


# ---- atomic


async def test_a_batch_is_one_write(alice: Person, sql: Any) -> None:
    task = await alice.add("old")
    before = await everything(sql, alice)
    done = await run(
        alice,
        operation("create_project", uid=UID, name="Garden"),
        operation("create_task", uid="tulips", title="Plant tulips", project_uid=UID),
        operation("create_task", title="Buy bulbs", parent_uid="tulips"),
        operation("create_comment", task_uid="tulips", body="Red ones"),
        operation("update_task", task_id=task["id"], title="new"),
        operation("complete_task", task_id=task["id"], completed=True),
        operation("update_task", task_id="uid:tulips", priority="high"),
    )
    assert [result["status"] for result in done["results"]] == [201, 201, 201, 201, 200, 200, 200]
    made = done["results"][1]["body"]
    assert made["project_id"] == done["results"][0]["body"]["id"]
    assert made == {
        **(await alice.get(f"/tasks/{made['id']}")).json(),
        "priority": "medium",
        "updated_at": made["updated_at"],
    }
    changes = {(each["entity"], each["entity_id"]): each for each in await changes_of(alice, done["revision"])}
    assert {key[0]: each["action"] for key, each in changes.items() if key != ("task", task["id"])} == {
        "project": "created",
        "task": "created",
        "comment": "created",
    }
    old = changes["task", task["id"]]
    assert (old["action"], old["data"]["title"], old["data"]["completed"]) == ("completed", "new", True)
    assert changes["task", made["id"]]["data"]["priority"] == "high"
    assert {each["data"]["version"] for each in changes.values()} == {done["revision"]}
    undone = await alice.post(f"/changes/{done['revision']}/undo")
    assert undone.status_code == 200, undone.text
    assert (await alice.get(f"/tasks/{task['id']}")).json()["title"] == "old"
    assert await alice.titles() == ["old"]
    assert (await alice.get("/projects")).json() == []
    assert len(before[0]) == 1


async def test_a_refusal_names_its_operation_and_nothing_is_written(alice: Person, sql: Any) -> None:
    await alice.add("old", uid="old")
    before = await everything(sql, alice)
    good = operation("create_task", uid="new", title="new")
    for bad, status, code, loc in [
        (operation("create_task", uid="old", title="again"), 409, "uid_taken", []),
        (operation("create_task", uid="new", title="again"), 409, "uid_taken", []),
        (operation("create_task", title="below", parent_uid="later"), 422, "unknown_reference", ["parent_uid"]),
        (operation("create_task", title="in", project_id=2**62), 422, "unknown_reference", ["project_id"]),
        (operation("update_task", task_uid="later", title="x"), 404, "task_not_found", []),
        (operation("update_task", task_id=2**62, title="x"), 404, "task_not_found", []),
        (operation("delete_task", task_uid="new"), 422, "deletes_own_row", []),
        (operation("update_task", 999, task_uid="old", title="x"), 412, "version_conflict", []),
        (operation("update_task", 1, task_uid="new", title="x"), 404, "task_not_found", []),
        (operation("put_task", 1, task_uid="newer", title="x"), 412, "does_not_exist", []),
        (operation("put_task", "*", task_uid="newer", title="x"), 412, "does_not_exist", []),
        (operation("put_task", task_uid="newer", title="x", base_version=1), 412, "does_not_exist", []),
        (operation("put_project", "*", project_uid="newer", name="x"), 412, "does_not_exist", []),
        (operation("put_project", project_uid="newer", name="x", base_version=1), 412, "does_not_exist", []),
        (operation("update_task", "7", task_uid="old", title="x"), 422, "no_entity_tag", ["if_match"]),
        (operation("delete_project", project_id=2**62), 404, "project_not_found", []),
        (operation("delete_tag", tag="none"), 404, "tag_not_found", []),
    ]:
        answer = await send(alice, good, bad)
        problem = assert_problem(answer, status, code)
        place = ["body", "operations", 1, *loc]
        if loc and loc != ["if_match"]:
            place.insert(3, "arguments")
        assert [error["loc"] for error in problem["errors"]] == [place], bad
        assert await everything(sql, alice) == before


async def test_a_taken_uid_is_named_though_later_operations_were_read(alice: Person) -> None:
    taken = await alice.add("taken", uid="taken")
    creates = [operation("create_task", uid=uid, title="x") for uid in ("a", "taken", "b")]
    answer = await send(alice, *creates, operation("create_task", uid="c", title="x", parent_uid="a"))
    assert assert_problem(answer, 409, "uid_taken")["errors"][0]["loc"] == ["body", "operations", 1]
    assert answer.headers["location"].endswith(f"/tasks/{taken['id']}")


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_cycle_of_parents_is_refused(alice: Person, sql: Any, atomic: bool) -> None:
    answer = await send(
        alice,
        operation("create_task", uid="a", title="a"),
        operation("create_task", uid="b", title="b", parent_uid="a"),
        operation("update_task", task_uid="a", parent_uid="b"),
        atomic=atomic,
    )
    if atomic:
        assert_problem(answer, 422, "unknown_reference")
        assert await alice.titles() == []
    else:
        assert [result["status"] for result in answer.json()["results"]] == [201, 201, 422]


async def test_a_condition_is_about_the_version_before_the_batch(alice: Person) -> None:
    task = await alice.add("old")
    changes = [
        operation("update_task", condition, task_id=task["id"], title=f"title {number}")
        for number, condition in enumerate([task["version"], f'"{task["version"]}"', "*", f'W/"{task["version"]}"'])
    ]
    done = await run(alice, *changes)
    assert (await alice.titles()) == ["title 3"]
    stale = await run(alice, *changes, atomic=False)
    assert [result["status"] for result in stale["results"]] == [412, 412, 200, 412]
    assert stale["results"][0]["problem"]["code"] == "version_conflict"
    assert stale["revision"] == done["revision"] + 1


async def test_many_tasks_keep_their_order_and_all_their_fields(alice: Person, sql: Any) -> None:
    project = (await alice.post("/projects", {"name": "Home"})).json()
    bodies: list[Row] = [
        {"title": "plain"},
        {"title": "placed", "project_id": project["id"], "tags": ["a", "b"], "priority": "urgent"},
        {"title": "day", "due_date": "2031-01-06", "reminders": ["-PT1H", "2031-03-01T08:00"]},
        {
            "title": "series",
            "recurrence": "FREQ=WEEKLY;COUNT=3",
            "due_date": "2031-01-06T09:00",
            "recurrence_from": "completion",
        },
        {"title": "done", "completed": True, "description": "two\nlines"},
        {"title": "begun", "start_date": "2031-01-05T09:00", "deadline": "2031-02-01"},
        {"title": "starred", "start_date": "2031-01-05", "estimate_minutes": 30, "favorite": True},
        {"title": "series without a day", "recurrence": "FREQ=DAILY"},
    ]
    alone = [await alice.add(**body) for body in bodies]
    done = await run(alice, *[operation("create_task", **body) for body in bodies])
    batched = [result["body"] for result in done["results"]]
    own = ("id", "uid", "position", "version", "created_at", "updated_at", "completed_at")
    assert [{**row, **dict.fromkeys(own)} for row in batched] == [{**row, **dict.fromkeys(own)} for row in alone]
    assert [row["id"] for row in batched] == sorted(row["id"] for row in batched)
    assert batched == [(await alice.get(f"/tasks/{row['id']}")).json() for row in batched]


async def test_bulk_writes_and_tags_join_a_batch(alice: Person) -> None:
    tasks = [await alice.add(f"t{number}", tags=["old"]) for number in range(3)]
    ids = [task["id"] for task in tasks]
    done = await run(
        alice,
        operation("rename_tag", tag="old", name="new"),
        operation("write_tasks", ids=[*ids[:2], 2**62], action="complete"),
        operation("write_tasks", ids=ids[:1], action="complete"),
        operation("delete_tag", tag="new"),
        operation("delete_task", task_id=ids[2]),
    )
    assert [item["status"] for item in done["results"][1]["body"]["results"]] == ["completed", "completed", "not_found"]
    assert [item["status"] for item in done["results"][2]["body"]["results"]] == ["unchanged"]
    assert {each["entity_id"]: each["action"] for each in await changes_of(alice, done["revision"])} == {
        ids[0]: "completed",
        ids[1]: "completed",
        ids[2]: "deleted",
    }
    assert (await alice.get("/tags")).json() == []


async def test_a_batch_that_writes_too_many_rows_is_refused(
    alice: Person, monkeypatch: pytest.MonkeyPatch, sql: Any
) -> None:
    assert JOINED_ROWS_MAX > OPERATIONS_MAX
    for number in range(4):
        await alice.add(f"t{number}", tags=["a"])
    before = await everything(sql, alice)
    monkeypatch.setattr("app.db.joined_changes.JOINED_ROWS_MAX", 3)
    assert_problem(await send(alice, operation("rename_tag", tag="a", name="b")), 422, "write_too_large")
    assert await everything(sql, alice) == before


@pytest.mark.parametrize("options", [{}, {"atomic": False}, {"dry_run": True}])
async def test_a_batch_that_takes_too_long_is_refused_whole(
    alice: Person, monkeypatch: pytest.MonkeyPatch, sql: Any, options: Row
) -> None:
    before = await everything(sql, alice)
    moments = iter([0.0, 1.0, 19.0, 20.0])
    monkeypatch.setattr("app.services.batch.runs.monotonic", lambda: next(moments))
    creates = [operation("create_view", name=f"v{number}", parameters={}) for number in range(3)]
    key = {"Idempotency-Key": uuid.uuid4().hex}
    assert_problem(await send(alice, *creates, headers=key, **options), 413, "batch_too_slow")
    assert await everything(sql, alice) == before
    monkeypatch.undo()
    assert (await send(alice, *creates, headers=key, **options)).status_code == 200


async def test_a_batch_that_changes_nothing_takes_no_revision(alice: Person) -> None:
    task = await alice.add("t")
    answer = await send(alice, operation("write_tasks", ids=[task["id"]], action="reopen"))
    assert answer.json()["revision"] is None
    assert "x-revision" not in answer.headers


# ---- each on its own


async def test_operations_apart_succeed_or_fail_alone(alice: Person) -> None:
    done = await run(
        alice,
        operation("create_task", uid="a", title="a"),
        operation("create_task", uid="a", title="again"),
        operation("update_task", task_uid="a", project_id=2**62),
        operation("delete_task", task_uid="a"),
        operation("create_task", uid="b", title="b"),
        atomic=False,
    )
    assert [result["status"] for result in done["results"]] == [201, 409, 422, 204, 201]
    assert [(result["problem"] or {}).get("code") for result in done["results"]] == [
        None,
        "uid_taken",
        "unknown_reference",
        None,
        None,
    ]
    assert done["results"][2]["problem"]["errors"][0]["loc"] == ["body", "operations", 2, "arguments", "project_id"]
    created, deleted, again = done["revision"] - 2, done["revision"] - 1, done["revision"]
    assert [[each["action"] for each in await changes_of(alice, number)] for number in (created, deleted, again)] == [
        ["created"],
        ["deleted"],
        ["created"],
    ]


async def test_invalid_operations_do_not_keep_the_others_from_running(alice: Person) -> None:
    done = await run(
        alice,
        operation("create_task", uid="a", title=""),
        operation("create_task", uid="b", title="b"),
        operation("update_task", "7", task_uid="b", title="x"),
        operation("no_such_operation"),
        operation("update_task", task_uid="b", title="renamed", colour="red"),
        1,
        operation("update_task", task_uid="b", title="renamed"),
        atomic=False,
    )
    assert [result["status"] for result in done["results"]] == [422, 201, 422, 422, 422, 422, 200]
    places = [result["problem"]["errors"][0]["loc"] for result in done["results"] if result["problem"]]
    assert places == [
        ["body", "operations", 0, "arguments", "title"],
        ["body", "operations", 2, "if_match"],
        ["body", "operations", 3, "operation"],
        ["body", "operations", 4, "arguments", "colour"],
        ["body", "operations", 5],
    ]
    assert await alice.titles() == ["renamed"]


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_version_from_before_a_restore_refuses_the_whole(alice: Person, atomic: bool) -> None:
    task = await alice.add("old")
    operations = [
        operation("create_task", title="new"),
        operation("update_task", task_id=task["id"], title="x", base_version=task["version"] + 10**9),
    ]
    answer = await send(alice, *operations, atomic=atomic)
    problem = assert_problem(answer, 410, "changes_gone")
    assert problem["errors"][0]["loc"] == ["body", "operations", 1]
    assert await alice.titles() == ["old"]
    assert (await alice.add("later"))["version"] > task["version"] + 10**9  # the user is in a new epoch


# ---- for the whole


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_dry_run_says_what_would_happen(alice: Person, sql: Any, atomic: bool) -> None:
    await alice.add("old", uid="old")
    before = await everything(sql, alice)
    operations = [
        operation("create_task", uid="a", title="a"),
        operation("complete_task", task_uid="old", completed=True),
    ]
    done = await run(alice, *operations, atomic=atomic, dry_run=True)
    assert [result["status"] for result in done["results"]] == [201, 200]
    assert done["results"][1]["body"]["completed"] is True
    assert await everything(sql, alice) == before
    assert [result["status"] for result in (await run(alice, *operations, atomic=atomic))["results"]] == [201, 200]


async def test_a_dry_run_of_a_new_user_leaves_no_row(client: httpx.AsyncClient, sql: Any) -> None:
    nobody = Person(client, f"new-{uuid.uuid4().hex}")
    await run(nobody, operation("create_task", title="a"), dry_run=True)
    assert await sql.fetchval("select count(*) from users where id = $1", nobody.subject) == 0


@pytest.mark.parametrize("options", [{}, {"atomic": False}, {"dry_run": True}])
async def test_a_repeated_batch_is_not_done_twice(alice: Person, options: Row) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = await send(alice, operation("create_task", title="a"), headers=key, **options)
    again = await send(alice, operation("create_task", title="a"), headers=key, **options)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert len(await alice.titles()) == (0 if options.get("dry_run") else 1)


async def test_concurrent_batches_follow_each_other(alice: Person) -> None:
    answers = await asyncio.gather(
        *(
            send(
                alice,
                operation("create_task", uid=f"{number}", title="x"),
                operation("put_task", task_uid="same", title="y"),
            )
            for number in range(8)
        )
    )
    revisions = sorted(answer.json()["revision"] for answer in answers)
    assert revisions == list(range(revisions[0], revisions[0] + 8))
    assert sorted(answer.json()["results"][1]["status"] for answer in answers) == [200] * 7 + [201]
    assert len(await alice.titles()) == 9


async def test_rows_of_another_user_are_absent(alice: Person, bob: Person, sql: Any) -> None:
    task = await bob.add("bob's", uid="shared")
    project = (await bob.post("/projects", {"name": "Bob's"})).json()
    before = await everything(sql, bob)
    for foreign, status in [
        (operation("update_task", task_id=task["id"], title="x"), 404),
        (operation("update_task", task["version"], task_id=task["id"], title="x"), 404),
        (operation("delete_task", task_uid="shared"), 404),
        (operation("create_comment", task_id=task["id"], body="x"), 404),
        (operation("create_task", title="x", project_id=project["id"]), 422),
        (operation("create_task", title="x", parent_uid="shared"), 422),
    ]:
        assert_problem(await send(alice, foreign), status)
        assert (await run(alice, foreign, atomic=False))["results"][0]["status"] == status
    assert (await run(alice, operation("create_task", uid="shared", title="mine")))["results"][0]["status"] == 201
    assert await everything(sql, bob) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operations": []},
        {"operations": {}},
        {"operations": [1]},
        {"operations": [{}]},
        {"operations": [{"operation": "create_task"}]},
        {"operations": [{"operation": "undo_change", "arguments": {"revision": 1}}]},
        {"operations": [{"operation": "CREATE_TASK", "arguments": {"title": "x"}}]},
        {"operations": [operation("create_task", title="x", colour="red")]},
        {"operations": [operation("create_task", title="")]},
        {"operations": [operation("create_task", 7, title="x")]},
        {"operations": [operation("create_task", uid=7, title="x")]},
        {"operations": [operation("create_task", uid="a/b", title="x")]},
        {"operations": [operation("create_task", uid='a"b', title="x")]},
        {"operations": [operation("create_task", uid="🌷", title="x")]},
        {"operations": [operation("update_task", title="x")]},
        {"operations": [operation("update_task", task_id=7)]},
        {"operations": [operation("update_task", task_id=7, task_uid="x", title="x")]},
        {"operations": [operation("update_task", task_id="7", title="x")]},
        {"operations": [operation("update_task", task_id="uid:", title="x")]},
        {"operations": [operation("update_task", task_id=0, title="x")]},
        {"operations": [operation("update_task", True, task_id=7, title="x")]},
        {"operations": [operation("move_task", task_id=7)]},
        {"operations": [operation("snooze_task", task_id=7)]},
        {"operations": [operation("update_comment", comment_id=7, body="x")]},
        {"operations": [operation("rename_tag", name="x")]},
        {"operations": [operation("create_task", title="x")] * (OPERATIONS_MAX + 1)},
        {"operations": [operation("create_task", title="x")], "atomic": "yes"},
    ],
)
async def test_a_malformed_batch_is_refused_whole(alice: Person, sql: Any, body: Row) -> None:
    good = operation("create_task", title="good")
    if isinstance(body.get("operations"), list) and body["operations"] and len(body["operations"]) < OPERATIONS_MAX:
        body = {**body, "operations": [good, *body["operations"]]}
    problem = assert_problem(await alice.post("/batch", body), 422, "validation_error")
    assert problem["errors"]
    for error in problem["errors"]:
        assert error["loc"][0] == "body"
        if len(error["loc"]) > 2:
            assert error["loc"][:3] == ["body", "operations", 1]
    assert await alice.titles() == []


async def test_only_the_first_malformed_operation_is_named(alice: Person) -> None:
    unknown = {f"{number:x}": 0 for number in range(190)}
    operations = [operation("create_task", title="x", **unknown) for _ in range(OPERATIONS_MAX)]
    problem = assert_problem(await send(alice, *operations), 422, "validation_error")
    assert {tuple(error["loc"][:3]) for error in problem["errors"]} == {("body", "operations", 0)}
    assert " 189 more errors." in problem["detail"]


async def test_a_batch_with_too_many_errors_is_refused_whole(alice: Person) -> None:
    good = operation("create_task", title="good")
    bad = operation("write_tasks", uids=[1] * 450, action="complete")
    done = await run(alice, good, *[bad] * 4, atomic=False)
    assert [result["status"] for result in done["results"]] == [201, 422, 422, 422, 422]
    problem = assert_problem(await send(alice, good, *[bad] * 400, atomic=False), 422, "validation_error")
    assert {tuple(error["loc"][:3]) for error in problem["errors"]} == {("body", "operations", 5)}
    assert await alice.titles() == ["good"]


async def test_a_batch_of_two_megabytes_is_too_large(alice: Person) -> None:
    operations = [operation("create_task", title="x", description="y" * 4_000) for _ in range(OPERATIONS_MAX)]
    assert_problem(await send(alice, *operations), 413, "body_too_large")
    assert await alice.titles() == []


async def test_the_most_operations_fit(alice: Person) -> None:
    done = await run(alice, *[operation("create_task", title=f"{number}") for number in range(OPERATIONS_MAX)])
    assert len(done["results"]) == OPERATIONS_MAX
    assert len(await changes_of(alice, done["revision"])) == OPERATIONS_MAX
