"""``todo seed``: plausible demo data, the same for the same seed, written like any other data."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from app.commands.seed.life import DemoData
from app.config import Settings
from tests.databases import Databases, rows
from tests.processes import run_todo, service
from tests.support import SECRET, Person

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def demo_rows(tasks: int, *, seed: int = 1, zone: str = "Europe/Berlin") -> list[tuple[str, dict[str, Any], Any]]:
    found = DemoData(seed, NOON, ZoneInfo(zone), "x").items(tasks)
    return [
        (name, item.load().fields, (item.source, item.parent, item.series, item.project, item.task))
        for name, item in found
    ]


def test_demo_data_depends_only_on_the_seed() -> None:
    assert demo_rows(150) == demo_rows(150)
    assert demo_rows(150) != demo_rows(150, seed=2)


@pytest.mark.parametrize("tasks", [1, 7, 13, 40, 150, 2000])
def test_demo_data_has_the_requested_number_of_tasks_and_no_future_times(tasks: int) -> None:
    rows = demo_rows(tasks)
    assert Counter(name for name, _, _ in rows)["tasks"] == tasks
    for _, fields, _ in rows:
        for name in ("created_at", "updated_at", "completed_at", "deleted_at"):
            if name in fields:
                assert datetime.fromisoformat(fields[name]) <= NOON, fields
        assert fields["created_at"] <= fields.get("completed_at", fields["created_at"]), fields


def options(settings: Settings) -> dict[str, str]:
    assert settings.database_url is not None
    return {"database_url": settings.database_url.get_secret_value(), "jwt_secret": SECRET}


async def all_tasks(person: Person, query: str) -> list[dict[str, Any]]:
    answer = await person.get(f"/tasks?limit=100&{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    while "next" in answer.links:
        answer = await person.get(answer.links["next"]["url"].partition(f"/api/{person.subject}")[2])
        found += answer.json()
    return found


async def test_demo_data_contains_every_entity_with_consecutive_revisions(
    alice: Person, settings: Settings, tmp_path: Path
) -> None:
    await alice.call("PATCH", "/settings", json={"timezone": "Asia/Tokyo"})
    made = run_todo("seed", "--user", alice.subject, cwd=tmp_path, **options(settings))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("150 tasks in 6 new projects")
    tasks, trash = await all_tasks(alice, "status=all"), (await alice.get("/tasks/trash?limit=100")).json()
    assert len(tasks) + len(trash) == 150
    assert 1 <= len(trash) <= 20
    assert len((await alice.get("/projects")).json()) == 6
    done = [task for task in tasks if task["completed"]]
    assert 60 <= len(done) <= 120
    months = {task["completed_at"][:7] for task in done}
    assert len(months) >= 5
    days = [datetime.now(ZoneInfo("Asia/Tokyo")).date() - timedelta(days=n) for n in (0, 1)]  # midnight may pass
    assert any(task["due_date"] in map(str, days) for task in tasks if not task["completed"])
    assert len(await all_tasks(alice, "overdue=true")) >= 2
    assert sum(task["recurrence"] is not None for task in tasks) == 6
    assert sum(task["series_id"] is not None for task in tasks) > 10
    assert sum(task["parent_id"] is not None for task in tasks) > 10
    assert any(task["tags"] for task in tasks)
    assert any(task["reminders"] for task in tasks)
    changes = (await alice.get("/changes?since=0&limit=1000")).json()["changes"]
    by = Counter(change["entity"] for change in changes)
    assert by["task"] == 150
    assert by["comment"] > 10


async def test_demo_data_is_added_to_existing_tasks_only_with_again(
    alice: Person, settings: Settings, tmp_path: Path
) -> None:
    await alice.add("Mine")
    refused = run_todo("seed", "--user", alice.subject, cwd=tmp_path, **options(settings))
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"todo: {alice.subject} has tasks already: --again adds to them"
    for expected in (21, 41):
        added = run_todo("seed", "--user", alice.subject, "--again", "--tasks", "20", cwd=tmp_path, **options(settings))
        assert added.returncode == 0, added.stderr
        held = await all_tasks(alice, "status=all") + (await alice.get("/tasks/trash?limit=100")).json()
        assert len(held) == expected
    assert len((await alice.get("/projects")).json()) == 6


async def test_the_demo_account_can_log_in_with_the_printed_password(
    client: httpx.AsyncClient, alice: Person, settings: Settings, tmp_path: Path
) -> None:
    email = f"{alice.subject}@demo.example.com"
    made = run_todo("seed", "--email", email, "--tasks", "12", cwd=tmp_path, **options(settings))
    assert made.returncode == 0, made.stderr
    password = re.search(r"password (\S+)", made.stdout)
    assert password
    entered = await client.post("/api/auth/login", json={"email": email, "password": password[1]})
    assert entered.status_code == 200, entered.text
    token = {"Authorization": f"Bearer {entered.json()['access_token']}"}
    assert len((await client.get("/api/me/projects", headers=token)).json()) == 6
    wrong = run_todo("seed", "--email", "nobody", cwd=tmp_path, **options(settings))
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("todo: email: Expected an e-mail address")


async def test_a_database_that_no_service_uses_is_refused_unless_offline(
    databases: Databases, tmp_path: Path, migrated: str
) -> None:
    alone = await databases.create(template=migrated)
    settings = {"database_url": alone.dsn, "jwt_secret": SECRET}
    refused = run_todo("seed", "--tasks", "12", cwd=tmp_path, **settings)
    assert refused.returncode == 1
    assert refused.stderr.startswith("todo: no running 'todo serve' uses the database ")
    assert "--offline" in refused.stderr
    assert await rows(alone, "select count(*) from accounts") == [(0,)]
    filled = run_todo("seed", "--tasks", "12", "--offline", cwd=tmp_path, **settings)
    assert filled.returncode == 0, filled.stderr
    assert f"the database {alone.dsn.rpartition('/')[2].partition('?')[0]} of " in filled.stdout
    again = run_todo("seed", "--offline", cwd=tmp_path, **settings)
    assert again.returncode == 1
    assert "demo@example.com has tasks already" in again.stderr
    assert "'todo user password demo@example.com' sets a new password" in again.stderr


def test_no_second_database_is_made_where_none_is_served(tmp_path: Path) -> None:
    """The service runs with another DATA_DIR: what seed would make in ./data, nobody would ever see."""
    refused = run_todo("seed", cwd=tmp_path)
    assert refused.returncode == 1
    assert f"uses the embedded PostgreSQL of {tmp_path / 'data'}" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_demo_account_of_a_served_folder_is_told_with_its_address(tmp_path: Path) -> None:
    with service(tmp_path, data_dir=tmp_path / "d") as running:
        running.ready()
        assert f"/app   (for a demo account with tasks: DATA_DIR={tmp_path / 'd'} " in running.banner
        missed = run_todo("seed", cwd=tmp_path)
        assert missed.returncode == 1
        made = run_todo("seed", "--tasks", "12", cwd=tmp_path, data_dir=tmp_path / "d", port=running.port)
        assert made.returncode == 0, made.stderr
        assert f"at http://127.0.0.1:{running.port}/app" in made.stdout
        signed = run_todo("token", "--email", "demo@example.com", cwd=tmp_path, data_dir=tmp_path / "d")
        assert len(running.get("/api/me/projects", token=signed.stdout.strip()).json()) == 6
        unknown = run_todo("token", "--email", "no@example.com", cwd=tmp_path, data_dir=tmp_path / "d")
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert "no account with the e-mail no@example.com" in unknown.stderr
