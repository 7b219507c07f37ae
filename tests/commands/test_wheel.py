"""The wheel, installed in another directory, contains the command, the migrations and the files of the web client."""

import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import environment, postgres_in, service

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Creates a directory outside ``tmp_path``, whose parents PostgreSQL's user cannot enter when the tests run as
    root."""
    root = Path(tempfile.mkdtemp(prefix="todo-wheel-"))
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """Builds the wheel from a copy of the repository's files, so that it contains no other files of this directory."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("app", "alembic"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--no-index", "--wheel-dir", folder, source, cwd=folder)
    shutil.rmtree(source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def todo(folder: Path, wheel: Path) -> Path:
    """Installs the command in an environment with the wheel and this environment's libraries, without this source
    tree."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", f"--python={python}", "install", "--no-deps")
    run(*pip, "--no-index", wheel, cwd=folder)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    # A path in a .pth file is added without reading the .pth files there: the editable install stays unseen.
    libraries = {Path(module.__file__).parents[1] for module in (httpx, pytest) if module.__file__}
    (packages / "libraries.pth").write_text("\n".join(map(str, libraries)))
    found = run(python, "-c", "import app; print(app.__file__)", cwd=folder).strip()
    assert Path(found).is_relative_to(packages), found
    return folder / "venv/bin/todo"


def test_wheel_contains_exactly_the_files_of_the_package_and_the_migrations(wheel: Path) -> None:
    files = {
        str(file.relative_to(ROOT)).replace("alembic/", "app/_alembic/", 1)
        for folder in ("app", "alembic")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == files


def test_installed_command_prints_its_version(todo: Path, folder: Path) -> None:
    assert run(todo, "--version", cwd=folder) == f"todo {version_of(todo)}\n"


def test_installed_service_starts_writes_and_serves_its_files(todo: Path, folder: Path) -> None:
    with service(folder, command=(str(todo), "serve"), database_url="") as running:
        running.ready()
        assert running.get("/ready").status_code == 200
        assert "swagger" in running.get("/docs").text
        page = running.get("/app")
        assert page.status_code == 200
        assert '<script type="module"' in page.text
        token = run(todo, "token", "alice", cwd=folder).strip()
        document = running.get("/openapi.json", token=token).json()
        assert document["info"]["version"] == version_of(todo)
        tasks = f"http://127.0.0.1:{running.port}/api/me/tasks"
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.post(tasks, json={"title": "Buy milk"}, headers=headers).status_code == 201
        assert running.titles() == ["Buy milk"]
    assert postgres_in(folder) == []


def version_of(todo: Path) -> str:
    (installed,) = todo.parents[1].glob("lib/python*/site-packages/todo-*.dist-info")
    return installed.name.removeprefix("todo-").removesuffix(".dist-info")


def test_version_is_defined_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"] == {"path": "app/version.py"}
