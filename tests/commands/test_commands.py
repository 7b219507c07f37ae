"""The other commands: token, migrate, openapi, doctor."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner, Result

from app.commands import app as commands
from app.commands.doctor import run_checks
from app.config import get_settings
from app.db import migrations
from app.db.connection_options import ConnectOptions
from tests.citus import SUITE_DATABASE
from tests.databases import Databases
from tests.processes import run_todo
from tests.support import SECRET

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command in this process, a second faster than in its own, with settings as keywords."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def invoke(*arguments: str, **settings: str) -> Result:
        get_settings.cache_clear()
        return CliRunner().invoke(commands, arguments, env={name.upper(): value for name, value in settings.items()})

    yield invoke
    get_settings.cache_clear()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_token_creates_the_secret_of_the_service_and_prints_only_the_token(tmp_path: Path) -> None:
    made = run_todo("token", "alice", cwd=tmp_path)
    secret = (tmp_path / "data/jwt_secret").read_text().strip()
    assert jwt.decode(made.stdout.strip(), secret, ["HS256"])["sub"] == "alice"
    assert made.stdout.count("\n") == 1


def test_token_uses_a_configured_secret(run: Run, tmp_path: Path) -> None:
    made = run("token", "alice", "--ttl", "60", jwt_secret=SECRET)
    claims = jwt.decode(made.stdout.strip(), SECRET, ["HS256"])
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("alice", 60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["alice\n"], {"jwt_secret": SECRET}, "todo: a subject has 1 to 255 characters"),
        (["alice", "--ttl", "0"], {"jwt_secret": SECRET}, "'--ttl'"),
        (["alice"], {"data_dir": "/dev/null/x"}, "todo: "),
        (
            ["alice"],
            {"database_url": "postgresql://u:hidden@h/d", "better_auth_url": "https://a.example"},
            "todo: there is no shared secret to sign with: set JWT_SECRET",
        ),
    ],
)
def test_token_reports_why_it_fails(run: Run, arguments: list[str], settings: dict[str, str], said: str) -> None:
    refused = run("token", *arguments, **settings)
    assert refused.exit_code in (1, 2)
    assert refused.stdout == ""
    assert said in refused.stderr
    assert "hidden" not in refused.output


def test_openapi_prints_the_document_without_a_database(run: Run, tmp_path: Path) -> None:
    document = json.loads(run("openapi").stdout)
    assert "/api/{user_id}/tasks" in document["paths"]
    assert list(tmp_path.iterdir()) == []


async def examined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **settings: Any) -> dict[str, str]:
    """Returns the doctor's findings with these settings, by their names."""
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name.upper(), value)
    get_settings.cache_clear()
    try:
        return {finding.name: f"{'ok' if finding.ok else 'FAIL'} {finding.text}" for finding in await run_checks()}
    finally:
        get_settings.cache_clear()


async def test_doctor_reports_a_missing_schema_until_migrate(
    tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = await databases.create(name="to_examine")
    options = {"database_url": empty.dsn, "jwt_secret": SECRET}
    before = await examined(monkeypatch, tmp_path, **options)
    assert before["database"] == "ok answers"
    assert before["migrations"] == "FAIL the database has no schema yet: run 'todo migrate'"

    done = run_todo("migrate", cwd=tmp_path, **options)
    assert (done.returncode, done.stdout) == (0, f"schema is at {migrations.head_revision()}\n"), done.stderr
    after = run_todo("doctor", cwd=tmp_path, **options)
    assert after.returncode == 0, after.stdout
    names = ("configuration", "accounts", "mail", "push", "database", "migrations", "isolation", "backup")
    assert lines(after.stdout) == [f"ok {name}" for name in names]

    await databases.execute("drop policy owner on tasks", "to_examine")
    leaky = await examined(monkeypatch, tmp_path, **options)
    assert leaky["isolation"] == "FAIL tasks: no policy covers every command"


def lines(output: str) -> list[str]:
    """Returns the outcome and the name of each finding: they are in columns."""
    return [" ".join(line[:19].split()) for line in output.splitlines()]


def test_doctor_fails_and_shows_no_secret(tmp_path: Path) -> None:
    short = run_todo("doctor", cwd=tmp_path, jwt_secret="tooshort")
    assert short.returncode == 1
    assert short.stdout.startswith("FAIL  configuration JWT_SECRET: must be at least 32 bytes")
    assert "tooshort" not in short.stdout + short.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/absent", 'FAIL database "absent" does not exist: create it, or correct DATABASE_URL'),
        ("postgresql://u:hidden@127.0.0.1:1/d", "FAIL cannot connect to the database"),
        ("postgresql://u:hid/den@127.0.0.1:1/d", "FAIL DATABASE_URL cannot be read"),
    ],
)
async def test_doctor_reports_why_the_database_is_unreachable(
    tmp_path: Path, postgres: ConnectOptions, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    if url.startswith("/"):
        url = postgres.dsn.replace(f"/{SUITE_DATABASE}", url)
    found = await examined(monkeypatch, tmp_path, database_url=url, jwt_secret=SECRET)
    assert found["database"].startswith(said)
    assert "hid" not in str(found)
