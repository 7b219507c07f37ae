"""The commands of the README and of docs/, as a reader runs them."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.citus import CITUS_URL
from tests.ports import free_port
from tests.support import SECRET, Person

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
README, TASKS, REMINDERS = ROOT / "README.md", ROOT / "docs" / "tasks.md", ROOT / "docs" / "reminders.md"
TODO = Path(sys.executable).with_name("todo")
SETS_UP = ("TOKEN", "API=h", "call(", "id() ", "MILK=")  # how lines of the first block begin


def blocks(heading: str, page: Path = README) -> list[str]:
    """Returns the shell blocks of one section."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, postgres: ConnectOptions) -> Iterator[tuple[str, dict[str, str]]]:
    """Runs ``todo serve`` in an empty directory, with CITUS_URL on the cluster; yields its URL and environment."""
    port = free_port()
    folder = tmp_path_factory.mktemp("readme")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(port)}
    if CITUS_URL:
        environment |= {"DATABASE_URL": postgres.dsn, "JWT_SECRET": SECRET}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([TODO, "serve"], cwd=folder, env=environment, stderr=log, stdout=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                if httpx.get(f"{url}/ready").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            raise AssertionError((folder / "log").read_text())
        yield url, environment | {"FOLDER": str(folder)}
    finally:
        process.terminate()
        process.wait(20)


def test_five_minutes_with_curl_works(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    script = "".join(blocks("Five minutes with curl"))
    assert script.count("call ") > 8
    script = script.replace("http://127.0.0.1:8000", url).replace(".venv/bin/todo", str(TODO))
    # Each call with a status in its comment must return that status.
    script = re.sub(r"^(call .*?)\s+# (\d{3}).*$", r"\1 -w '%{http_code}\\n' | grep -q '\2$' ", script, flags=re.M)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert script.count("grep -q") == 2
    assert '"title":"Buy milk"' in done.stdout
    assert "x-total-count: 2" in done.stdout
    assert done.stdout.count('"status":403') == done.stdout.count('"status":404') == 1
    assert "internal_error" not in done.stdout


def test_finding_things_works(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    script = "".join(blocks("Finding things", TASKS))
    script = script.replace("http://127.0.0.1:8000", url).replace(".venv/bin/todo", str(TODO))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    comment, found, tag, colored, view, stats = [json.loads(line) for line in done.stdout.splitlines()]
    assert comment["body"] == "A window seat"
    assert [task["title"] for task in found] == ["Fly to Zürich"]
    assert tag == {"name": "travel", "count": 1, "open": 1, "color": None}
    assert colored == {**tag, "color": "#1d6b5a"}
    assert view["parameters"] == {"tag": ["travel"], "status": "pending"}
    assert stats["totals"]["open"] == 1
    assert len(stats["per_day"]) == 7


def test_a_week_of_tasks_works(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    script = "".join(blocks("A week of tasks", TASKS)).replace("http://127.0.0.1:8000", url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace(".venv/bin/todo", str(TODO))],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":4' not in done.stdout
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]
    assert answers[0] == {"timezone": "Europe/Berlin"}
    tasks = [answer for answer in answers if isinstance(answer, dict) and "due_date" in answer]
    assert [task["due_date"] for task in tasks if task["title"] == "Bins out"] == ["2031-03-31", "2031-04-07"]
    lists = [[task["title"] for task in answer] for answer in answers if isinstance(answer, list)]
    assert lists[0] == ["Bake a cake", "Party", "Invite friends"]
    assert lists[1] == ["Bins out"]
    (back,) = [answer for answer in answers if isinstance(answer, dict) and "changes" in answer]
    actions = {(change["entity"], change["action"]) for change in back["changes"]}
    assert actions == {("project", "restored"), ("project", "updated"), ("task", "restored")}  # what was inside is back
    assert sorted(lists[-1]) == ["Bake a cake", "Invite friends", "Party"]
    assert all(task["completed"] for task in [answer for answer in answers if isinstance(answer, list)][-1])
    assert (answers[-2]["due_date"], answers[-1]["name"]) == ("2032-03-29T17:00:00Z", "Next home")


def test_in_and_out_works(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    setup = blocks("Five minutes with curl")[0].splitlines()
    script = "\n".join([line for line in setup if line.startswith(("TOKEN=", "call()"))] + blocks("In and out", TASKS))
    script = script.replace("http://127.0.0.1:8000", url).replace(".venv/bin/todo", str(TODO))
    script = script.replace("todo token alice", "todo token carol") + "\ncat todo.json"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"recurrence":"FREQ=MONTHLY;BYMONTHDAY=1"' in done.stdout
    assert '"remind_at":"2030-11-30T16:00:00Z"' in done.stdout
    assert '"dry_run":true,"created":{"projects":0,"channels":0,"tags":0,"tasks":0' in done.stdout
    assert '"format":"csv","dry_run":false,"created":{"projects":0,"channels":0,"tags":0,"tasks":1' in done.stdout
    assert "/calendar.ics?token=todo_feed_" in done.stdout
    assert '"format":"todo/1"' in done.stdout
    assert "urn:todo:problem" not in done.stdout


def test_moving_in_works(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    setup = [line for line in blocks("Five minutes with curl")[0].splitlines() if line.startswith("TOKEN=")]
    script = "\n".join(setup + blocks("Moving in")).replace("http://127.0.0.1:8000", url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace(".venv/bin/todo", str(TODO))],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["format"], report["created"]["tasks"], report["warnings"]) == ("todo.txt", 1, [])


def test_reminders_work(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    setup = [line for line in blocks("Five minutes with curl")[0].splitlines() if line[:5] in SETS_UP]
    script = "\n".join([*setup, *blocks("Reminders"), *blocks("Channels", REMINDERS)])
    script = script.replace("http://127.0.0.1:8000", url).replace(".venv/bin/todo", str(TODO))
    script = script.replace("todo token alice", "todo token dora").replace("/api/alice/", "/api/me/")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "urn:todo" not in done.stdout, done.stdout
    first, mail, snoozed, kinds, phone, second = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert (first["kind"], first["topic"], mail["name"]) == ("ntfy", "choose-a-long-name", "Mail"), first
    assert len(snoozed["reminders"]) == 1
    assert snoozed["remind_at"] == snoozed["reminders"][0]
    assert {kind["kind"]: kind["available"] for kind in kinds}["ntfy"] is True
    assert (phone["name"], second["digest_days"]) == ("Phone", ["mon", "fri"])


def test_demo_data_can_be_loaded_and_used(served: tuple[str, dict[str, str]]) -> None:
    url, environment = served
    command = blocks("Run it")[1].strip().replace(".venv/bin/todo", str(TODO))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=environment["FOLDER"], env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    entered = re.search(r"log in as (\S+) with the password (\S+)", done.stdout)
    assert entered
    login = httpx.post(f"{url}/api/auth/login", json={"email": entered[1], "password": entered[2]})
    assert login.status_code == 200


LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)|src=\"([^\"]+)\"")


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").rglob("*.md"))], ids=str)
def test_links_of_documents_resolve(page: Path) -> None:
    links = {found[1] or found[2] for found in LINK.finditer(page.read_text())}
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_and_ci_have_the_same_commands() -> None:
    run = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e . && .venv/bin/todo serve"
    test = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[dev]' && .venv/bin/pytest"
    assert blocks("Run it")[0].strip() == run
    assert blocks("Test it")[0].strip() == test
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith(test)


def test_readme_is_short_and_quotes_the_benchmark_page_exactly() -> None:
    text = README.read_text()
    assert text.count("\n") <= 181
    quoted = re.findall(r"^\| (?:list 20|create|mixed) \|.+$", text, re.MULTILINE)
    assert len(quoted) == 3
    assert set(quoted) <= set((ROOT / "docs" / "performance.md").read_text().splitlines())


async def test_the_readme_shows_the_first_response_as_it_comes(alice: Person) -> None:
    shown = re.search(r"The first response:\n\n```json\n(.*?)```", README.read_text(), re.DOTALL)
    assert shown
    sample = json.loads(shown[1])
    milk: dict[str, Any] = {"title": "Buy milk", "priority": "high", "tags": ["errands"], "due_date": "2030-12-01"}
    assert f"call $API -d '{json.dumps(milk)}'" in README.read_text()
    came = await alice.add(**milk)
    dots = {name for name, value in sample.items() if value == "..."} | {"id", "user_id", "position"}
    assert [(name, came[name]) for name in came if name not in dots] == [
        (name, sample[name]) for name in sample if name not in dots
    ]
    assert list(came) == list(sample)
