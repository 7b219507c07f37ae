"""Two users performing random operations in random order, against a small model.

Hypothesis draws the steps. After each, the model predicts the status, the version, the revision and both lists and
trashes of both users: an effect on the other user's data would show.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.config import Settings
from app.main import create_app
from tests.support import Person, assert_problem

pytestmark = pytest.mark.slow

Task = dict[str, Any]
Drawn = tuple[int, int]  # the owner's index in ``users``, and the id
SLOW_MACHINE_ALLOWED = settings(
    max_examples=40,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# The fields that these steps leave unchanged.
UNTOUCHED: Task = {
    "project_id": None, "parent_id": None, "series_id": None, "recurrence": None, "recurrence_from": "due",
    "reminders": [], "remind_at": None, "remind_channels": None,
}  # fmt: skip

titles = st.sampled_from(["Buy milk", "caf\u00e9", "\U0001f600", "100%", "x" * 200])
fields: dict[str, st.SearchStrategy[Any]] = {
    "description": st.none() | st.sampled_from(["", "two\nlines", "d" * 16_384]),
    "completed": st.booleans(),
    "priority": st.sampled_from(["none", "low", "medium", "high", "urgent"]),
    "due_date": st.none() | st.sampled_from(["2026-12-01", "2026-12-01T09:00:00Z", "1900-01-01", "2199-12-31"]),
    "start_date": st.none() | st.sampled_from(["2026-11-01", "2026-11-01T09:00:00Z"]),
    "deadline": st.none() | st.sampled_from(["2026-12-24", "1900-01-01"]),
    "estimate_minutes": st.none() | st.sampled_from([1, 525_600]),
    "favorite": st.booleans(),
    "tags": st.lists(st.sampled_from(["home", "Home", "errands"]), unique=True),
}
bodies = st.fixed_dictionaries({"title": titles}, optional=fields)
changes = st.fixed_dictionaries({}, optional={"title": titles, **fields}).filter(bool)
bad_bodies = st.sampled_from([{}, {"title": ""}, {"title": "x", "colour": "red"}, {"title": "x", "tags": ["a", 1]}])
# The content of If-Match relative to the version of the task, and whether the condition holds.
HOLDING, FAILING = ["absent", "*", "same", "one of two", "weak"], ["older", "newer", "foreign"]
conditions = st.sampled_from(HOLDING * 2 + FAILING)
strangers = st.sampled_from([False] * 4 + [True])  # whether the other user makes the request


def if_match(condition: str, version: int) -> dict[str, str]:
    spelled = {
        "*": "*",
        "same": f'"{version}"',
        "one of two": f'"0", "{version}"',
        "older": f'"{version - 1}"',
        "newer": f'"{version + 1}"',
        "weak": f'W/"{version}"',
        "foreign": '"abc"',
    }
    return {"If-Match": spelled[condition]} if condition in spelled else {}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


class User:
    """A user, and what the model knows of their tasks. Deleted ones are in ``trash`` in the order of deletion."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self.person = Person(client, f"model-{uuid.uuid4().hex}")
        self.portal = portal
        self.revision = 0
        self.live: dict[int, Task] = {}
        self.trash: dict[int, Task] = {}
        self.etag = '"none yet"'
        self.revision_of_etag = -1

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.portal.call(partial(self.person.call, method, path, **options))

    def wrote(self, answer: httpx.Response, status: int, expected: Task) -> Task:
        """Checks the response to a successful write: the expected task, with the next revision and the current time."""
        self.revision += 1
        assert answer.status_code == status, answer.text
        task: Task = answer.json()
        assert answer.headers["etag"] == f'"{self.revision}"'
        assert instant(task["updated_at"]) >= instant(expected.get("updated_at") or task["created_at"])
        assert (task["completed_at"] is not None) == task["completed"]
        assert task == {
            "created_at": task["created_at"],
            "id": task["id"],
            "uid": task["uid"],
            "position": task["position"],
            **UNTOUCHED,
            **expected,
            "user_id": self.person.subject,
            "version": self.revision,
            "updated_at": task["updated_at"],
            "status": "completed" if expected["completed"] else "pending",
            "completed_at": self._completed_at(task, expected),
        }
        self.live[task["id"]] = task
        return task

    @staticmethod
    def _completed_at(task: Task, expected: Task) -> Any:
        """Returns the expected time: a task that was completed before and still is keeps its time."""
        return (expected.get("completed_at") or task["completed_at"]) if expected["completed"] else None


class TwoUsers(RuleBasedStateMachine):
    """Tasks are drawn as (owner, id); a task stays in the bundle when it is deleted, restored or deleted
    permanently."""

    tasks = Bundle("tasks")
    deleted = Bundle("deleted")

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        super().__init__()
        self.users = [User(portal, client), User(portal, client)]

    def may_write(self, answer: httpx.Response, user: User, task_id: int, condition: str) -> bool:
        """Returns whether the model allows the write; if not, checks that it was refused with the right status."""
        if task_id not in user.live:
            assert_problem(answer, 404, "task_not_found")
            return False
        if condition in FAILING:
            assert_problem(answer, 412, "version_conflict")
            return False
        return True

    def actor(self, task: Drawn, stranger: bool, condition: str = "absent") -> tuple[User, int, dict[str, str]]:
        """Returns the caller, the id and the headers: the other user also names the version that the owner sees."""
        owner, task_id = task
        version = self.users[owner].live.get(task_id, {"version": 1})["version"]
        return self.users[1 - owner if stranger else owner], task_id, if_match(condition, version)

    @initialize(target=tasks, body=bodies)
    def add_task_of_first_user(self, body: Task) -> Drawn:
        return self.created(0, body)

    @initialize(target=tasks, body=bodies)
    def add_task_of_second_user(self, body: Task) -> Drawn:
        return self.created(1, body)

    @rule(target=tasks, owner=st.integers(0, 1), body=bodies)
    def create(self, owner: int, body: Task) -> Drawn:
        return self.created(owner, body)

    def created(self, owner: int, body: Task) -> Drawn:
        user = self.users[owner]
        defaults: Task = {"description": None, "completed": False, "priority": "medium", "due_date": None, "tags": []}
        defaults |= {"start_date": None, "deadline": None, "estimate_minutes": None, "favorite": False}
        return owner, user.wrote(user.call("POST", "/tasks", json=body), 201, defaults | body)["id"]

    @rule(owner=st.integers(0, 1), body=bad_bodies)
    def create_invalid(self, owner: int, body: Task) -> None:
        assert_problem(self.users[owner].call("POST", "/tasks", json=body), 422)

    @rule(task=tasks, stranger=strangers)
    def get(self, task: Drawn, stranger: bool) -> None:
        user, task_id, _ = self.actor(task, stranger)
        answer = user.call("GET", f"/tasks/{task_id}")
        if task_id not in user.live:
            assert_problem(answer, 404, "task_not_found")
            return
        assert (answer.status_code, answer.json()) == (200, user.live[task_id])
        headers = {"If-None-Match": answer.headers["etag"]}
        assert user.call("GET", f"/tasks/{task_id}", headers=headers).status_code == 304

    @rule(
        task=tasks,
        stranger=strangers,
        change=changes,
        method=st.sampled_from(["PUT", "PATCH"]),
        condition=conditions,
    )
    def update(self, task: Drawn, stranger: bool, change: Task, method: str, condition: str) -> None:
        user, task_id, headers = self.actor(task, stranger, condition)
        answer = user.call(method, f"/tasks/{task_id}", json=change, headers=headers)
        if self.may_write(answer, user, task_id, condition):
            user.wrote(answer, 200, user.live[task_id] | change)

    @rule(task=tasks, stranger=strangers, wanted=st.none() | st.booleans(), condition=conditions)
    def complete(self, task: Drawn, stranger: bool, wanted: bool | None, condition: str) -> None:
        user, task_id, headers = self.actor(task, stranger, condition)
        body = {} if wanted is None else {"json": {"completed": wanted}}
        answer = user.call("PATCH", f"/tasks/{task_id}/complete", headers=headers, **body)
        if self.may_write(answer, user, task_id, condition):
            before = user.live[task_id]
            user.wrote(answer, 200, before | {"completed": not before["completed"] if wanted is None else wanted})

    @rule(target=deleted, task=tasks, stranger=strangers, condition=conditions)
    def delete(self, task: Drawn, stranger: bool, condition: str) -> Any:
        user, task_id, headers = self.actor(task, stranger, condition)
        answer = user.call("DELETE", f"/tasks/{task_id}", headers=headers)
        if not self.may_write(answer, user, task_id, condition):
            return multiple()
        assert (answer.status_code, answer.content) == (204, b"")
        user.revision += 1
        user.trash[task_id] = user.live.pop(task_id)
        return task

    @rule(task=deleted | tasks, stranger=strangers)
    def restore(self, task: Drawn, stranger: bool) -> None:
        user, task_id, _ = self.actor(task, stranger)
        answer = user.call("POST", f"/tasks/{task_id}/restore")
        if task_id in user.trash:
            user.wrote(answer, 200, user.trash.pop(task_id))
        elif task_id in user.live:
            assert (answer.status_code, answer.json()) == (200, user.live[task_id])
        else:
            assert_problem(answer, 404, "task_not_found")

    @precondition(lambda self: any(user.trash for user in self.users))
    @rule(owner=st.integers(0, 1))
    def empty_trash(self, owner: int) -> None:
        user = self.users[owner]
        assert user.call("DELETE", "/tasks/trash").status_code == 204
        user.revision += bool(user.trash)
        user.trash.clear()

    @rule(task=tasks, method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
    def request_path_of_other_user(self, task: Drawn, method: str) -> None:
        owner, task_id = task
        path = f"/api/{self.users[owner].person.subject}/tasks" + ("" if method == "POST" else f"/{task_id}")
        answer = self.users[1 - owner].call(method, path, json={"title": "stolen"})
        assert_problem(answer, 403, "forbidden")

    @invariant()
    def both_lists_match_the_model(self) -> None:
        for user in self.users:
            answer = user.call("GET", "/tasks", headers={"If-None-Match": user.etag})
            assert answer.headers["x-revision"] == str(user.revision)
            if user.revision == user.revision_of_etag:
                assert answer.status_code == 304
            else:
                assert answer.status_code == 200
                assert answer.json() == sorted(user.live.values(), key=lambda task: task["id"], reverse=True)
                self.trash_matches_the_model(user)
            user.etag, user.revision_of_etag = answer.headers["etag"], user.revision

    def trash_matches_the_model(self, user: User) -> None:
        answer = user.call("GET", "/tasks/trash")
        assert [task["id"] for task in answer.json()] == list(user.trash)[::-1]
        assert answer.headers["x-revision"] == str(user.revision)

    def teardown(self) -> None:
        for user in self.users:
            self.trash_matches_the_model(user)


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """Runs the service in another thread, since Hypothesis' steps are not coroutines."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def client(anyio_backend: str, portal: BlockingPortal, settings: Settings) -> Iterator[httpx.AsyncClient]:
    app = create_app(settings)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    with (
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
        portal.wrap_async_context_manager(http),
    ):
        yield http


def test_random_operations_of_two_users_match_the_model(portal: BlockingPortal, client: httpx.AsyncClient) -> None:
    class Machine(TwoUsers):
        def __init__(self) -> None:
            super().__init__(portal, client)

    run_state_machine_as_test(Machine, settings=SLOW_MACHINE_ALLOWED)
