"""The small examples in curl, JavaScript and Python, run as a reader runs them."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.servers import Server, running
from tests.support import make_token

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
async def server(postgres: ConnectOptions) -> AsyncIterator[Server]:
    with running(postgres.dsn, ACCESS_TTL="1") as started:
        yield started


def run(folder: Path, *command: str, **env: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def token() -> str:
    return make_token(f"user-{uuid.uuid4().hex}")


async def test_the_curl_example_works(server: Server, tmp_path: Path) -> None:
    said = run(tmp_path, "bash", str(EXAMPLES / "tasks.sh"), TODO_URL=server.url, TODO_TOKEN=token()).splitlines()
    assert said[0].count('"title":"Buy milk"') == 1  # though it was sent twice
    assert '"title":"Buy oat milk"' in said[1]
    assert '"completed":true' in said[2]
    assert said[3].count('"action"') == 3
    assert [action in said[4] for action in ('"created"', '"updated"', '"completed"', '"deleted"')] == [True] * 4
    assert os.listdir(tmp_path) == []


async def test_the_javascript_example_works(server: Server, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/fetch.mjs was not run")
    account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(f"{server.url}/api/auth/register", json=account)).raise_for_status()
    said = run(
        tmp_path, node, str(EXAMPLES / "fetch.mjs"),
        TODO_URL=server.url, EMAIL=account["email"], PASSWORD=account["password"],
    )  # fmt: skip
    assert said.splitlines() == [
        "412 It has changed since the version in If-Match: get it again.",
        "Buy oat milk",
    ]


async def test_the_javascript_example_refreshes_an_expired_token(server: Server, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: examples/fetch.mjs was not run")
    program = tmp_path / "later.mjs"
    program.write_text(
        f"""import {{ Todo }} from "{EXAMPLES / "fetch.mjs"}";
        const todo = new Todo(process.env.URL);
        await todo.login(process.env.EMAIL, "correct horse battery", "/api/auth/register");
        const first = todo.tokens.access_token;
        await new Promise((done) => setTimeout(done, 2100));
        await Promise.all([1, 2, 3].map((n) => todo.create({{ title: `Task ${{n}}` }})));
        console.log((await todo.list()).length, first !== todo.tokens.access_token);"""
    )
    assert run(tmp_path, node, str(program), URL=server.url, EMAIL=f"{uuid.uuid4().hex}@example.com") == "3 true\n"


async def test_the_python_example_works(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "tasks.py"), "Buy milk", "Call the plumber"]
    said = run(tmp_path, *command, TODO_URL=server.url, TODO_TOKEN=token())
    assert {line.strip() for line in said.splitlines()} == {"Buy milk", "Call the plumber"}


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (["bash", "tasks.sh"], "TODO_TOKEN"),
        ([sys.executable, "tasks.py"], "TODO_TOKEN"),
        ([sys.executable, "webhook_receiver.py"], "SECRET"),
        (["node", "sync.mjs"], "TODO_TOKEN"),
        (["node", "fetch.mjs"], "EMAIL and PASSWORD"),
    ],
)
def test_an_example_says_which_variable_it_needs(command: list[str], wanted: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        command, cwd=EXAMPLES, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert f"set {wanted}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_the_page_of_the_examples_lists_each_of_them() -> None:
    page = (EXAMPLES / "README.md").read_text()
    names = {path.name for path in EXAMPLES.iterdir()} - {"README.md", "node_modules"}
    assert [name for name in sorted(names) if f"({name})" not in page] == []
