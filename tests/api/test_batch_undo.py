"""Undoing a batch with an operation of every kind: each row is as it was before, and each one has one change."""

from typing import Any

from app.services.batch.operations import OPERATION_RUNS
from tests.support import Person

Row = dict[str, Any]
LISTS = ("/tasks?limit=100&order=asc", "/projects?archived=all", "/views", "/tags", "/tasks/trash?limit=100")
OWN_FIELDS = ("version", "updated_at")  # they differ after an undo, which is a write as well


async def make_rows(person: Person) -> None:
    """Creates the rows that the operations change."""
    for uid in ("p1", "p2", "p3"):
        assert (await person.post("/projects", {"uid": uid, "name": uid})).status_code == 201
    for uid in ("edited", "put", "done", "moved", "deleted", "restored", "bulk", "talk"):
        body: Row = {"uid": uid, "title": uid, "tags": ["old", "away"], "project_uid": "p3"}
        await person.add(**body, reminders=["-PT1H"], due_date="2031-01-06T09:00:00Z")
    await person.add("series", uid="series", recurrence="FREQ=DAILY", due_date="2031-01-06", reminders=["-P1D"])
    await person.add("below", uid="below", parent_uid="series")
    await person.add("skipped", uid="skipped", recurrence="FREQ=WEEKLY", due_date="2031-01-06")
    await person.delete("/tasks/uid:restored")
    for uid in ("c1", "c2"):
        assert (await person.post("/tasks/uid:talk/comments", {"uid": uid, "body": uid})).status_code == 201
    for uid in ("v1", "v2"):
        assert (await person.post("/views", {"uid": uid, "name": uid, "parameters": {}})).status_code == 201


OPERATIONS: dict[str, list[Row]] = {
    "create_task": [{"uid": "n1", "title": "n1", "reminders": ["-PT1H"], "due_date": "2031-01-06T09:00:00Z"}],
    "put_task": [{"task_uid": "put", "title": "changed"}, {"task_uid": "n2", "title": "made"}],
    "update_task": [
        {"task_uid": "edited", "title": "changed", "due_date": "2031-02-03"},
        {"task_uid": "edited", "reminders": ["-P2D"], "project_uid": "p1"},
    ],
    "complete_task": [{"task_uid": "done"}, {"task_uid": "series"}, {"task_uid": "series"}],
    "skip_task": [{"task_uid": "skipped"}],
    "move_task": [{"task_uid": "moved", "after_uid": "talk"}],
    "snooze_task": [{"task_uid": "moved", "until": "2031-01-05T08:00:00Z"}],
    "duplicate_task": [{"task_uid": "talk", "comments": True}, {"task_uid": "series", "due_date": "2031-02-03"}],
    "delete_task": [{"task_uid": "deleted"}],
    "restore_task": [{"task_uid": "restored"}],
    "quick_add_task": [{"text": "Pay rent every month on the 1st #home @bank"}],
    "write_tasks": [{"uids": ["bulk", "n1"], "action": "complete"}, {"uids": ["n1"], "action": "reopen"}],
    "create_project": [{"uid": "p4", "name": "p4"}],
    "put_project": [{"project_uid": "p1", "color": "#112233"}, {"project_uid": "p5", "name": "p5"}],
    "update_project": [{"project_uid": "p1", "name": "changed"}, {"project_uid": "p2", "archived": True}],
    "move_project": [{"project_uid": "p2", "before_uid": "p1"}],
    "duplicate_project": [{"project_uid": "p3", "name": "p6", "shift_days": 7}, {"project_uid": "p1"}],
    "delete_project": [{"project_uid": "p3", "tasks": "move", "to_uid": "p4"}],
    "create_comment": [{"task_uid": "n1", "body": "x"}, {"task_uid": "talk", "body": "y"}],
    "update_comment": [{"task_uid": "talk", "comment_uid": "c1", "body": "changed"}],
    "delete_comment": [{"task_uid": "talk", "comment_uid": "c2"}],
    "create_view": [{"uid": "v3", "name": "v3", "parameters": {"status": "pending"}}],
    "update_view": [{"view_uid": "v1", "name": "changed"}],
    "delete_view": [{"view_uid": "v2"}],
    "rename_tag": [{"tag": "old", "name": "new"}, {"tag": "new", "color": "#112233"}],
    "delete_tag": [{"tag": "away"}],
}


async def read_all(person: Person) -> list[Any]:
    lists = [(await person.get(path)).json() for path in LISTS]
    lists.append((await person.get("/tasks/uid:talk/comments")).json())
    rows = [[{name: row[name] for name in row if name not in OWN_FIELDS} for row in each] for each in lists]
    trash = LISTS.index("/tasks/trash?limit=100")
    rows[trash] = [row for row in rows[trash] if row["uid"] in ("restored", "deleted")]  # also what the batch has made
    return rows


async def test_undoing_a_batch_of_every_operation_leaves_what_was_before(alice: Person) -> None:
    assert OPERATIONS.keys() == OPERATION_RUNS.keys()
    await make_rows(alice)
    before = await read_all(alice)
    operations = [{"operation": name, "arguments": each} for name, listed in OPERATIONS.items() for each in listed]
    done = await alice.post("/batch", {"operations": operations})
    assert done.status_code == 200, done.text
    revision = done.json()["revision"]
    page = (await alice.get(f"/changes?since={revision - 1}")).json()
    assert {change["revision"] for change in page["changes"]} == {revision}
    keys = [(change["entity"], change["entity_id"]) for change in page["changes"]]
    assert len(set(keys)) == len(keys)
    tasks = {change["entity_id"]: change["data"] for change in page["changes"] if change["entity"] == "task"}
    for task_id, data in tasks.items():  # the last change is the row as it is now, its reminder as well
        answer = await alice.get(f"/tasks/{task_id}")
        assert answer.status_code == 404 if data["uid"] == "deleted" else answer.json() == data
    assert await read_all(alice) != before
    undone = await alice.post(f"/changes/{revision}/undo")
    assert undone.status_code == 200, undone.text
    after = await read_all(alice)
    for path, then, now in zip((*LISTS, "comments"), before, after, strict=True):
        assert now == then, path
