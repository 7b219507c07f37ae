"""A client generated from the OpenAPI document: it compiles under strict rules, and it runs."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.main import create_app
from tests.servers import running
from tests.support import make_token

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "typescript"
DOCUMENT = ROOT / "docs" / "openapi.json"


def test_the_document_in_the_repository_is_the_served_one() -> None:
    """``todo openapi > docs/openapi.json`` writes it, so that a change of the contract shows in the diff."""
    served = create_app(Settings(_env_file=None, jwt_secret="x" * 32)).openapi()
    assert json.loads(DOCUMENT.read_text()) == json.loads(json.dumps(served))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generates and compiles the example, with its packages."""
    if shutil.which("npm") is None:
        pytest.skip("no Node.js on this machine: the typed client was not generated")
    root = tmp_path_factory.mktemp("typed")
    (root / "docs").mkdir()
    shutil.copy(DOCUMENT, root / "docs")
    folder = root / "examples" / "typescript"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "build", "schema.d.ts"))
    if npm(folder, "install", "--no-package-lock", "--no-audit", "--no-fund").returncode:
        pytest.skip("npm could not fetch the packages: the typed client was not generated")
    return folder


def npm(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["npm", "--silent", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=180, check=False
    )


async def test_a_program_with_the_generated_client_compiles_and_runs(project: Path, postgres: ConnectOptions) -> None:
    for script in ("generate", "check"):
        done = npm(project, "run", script)
        assert done.returncode == 0, done.stdout + done.stderr
    with running(postgres.dsn) as server:
        token = make_token(f"user-{uuid.uuid4().hex}")
        done = npm(project, "start", TODO_URL=server.url, TODO_TOKEN=token)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Buy milk (2030-12-01), Call the plumber (some day)",
        "version_conflict",
        "task updated",
    ]


def test_an_incorrect_program_does_not_compile(project: Path) -> None:
    """A misspelt field, an unknown route and a missing null check are errors of types."""
    assert npm(project, "run", "generate").returncode == 0
    program = project / "week.ts"
    right = wrong = program.read_text()
    for old, new in (
        ("due_date: due", "due: due"),
        ('client.GET("/api/{user_id}/changes"', 'client.GET("/api/{user_id}/chances"'),
        ("task.due_date ?? ", "task.due_date.length ?? "),
    ):
        assert old in right
        wrong = wrong.replace(old, new)
    program.write_text(wrong)
    done = npm(project, "run", "check")
    assert {line.partition(": error ")[2].partition(":")[0] for line in done.stdout.splitlines()} >= {
        "TS2353",
        "TS2345",
        "TS18047",
    }
