"""A service installed without the assistant starts, serves, and reports what is missing."""

from pathlib import Path

import pytest

from app.db.connection_options import ConnectOptions
from tests.processes import run_python, run_todo
from tests.support import SECRET

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys
import httpx
BLOCKED = {"mcp", "mcp_types", "openai", "httpx2"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if sys.argv[1:] != ["installed"]:
    sys.meta_path.insert(0, Block())
from app.config import Settings
from app.main import create_app
from tests.support import Person

async def main():
    app = create_app(Settings(_env_file=None, worker="off", llm_model="m"))
    async with app.router.lifespan_context(app):
        assert not BLOCKED & set(sys.modules), "loaded before anybody asked"
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            alice = Person(client, "alice-without-extra")
            await alice.add("works")
            ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            for path, body in (("/mcp", ping), ("/api/me/chat", {"message": "hello"})):
                answer = await client.post(path, json=body, headers=alice.headers)
                print(path, answer.status_code, answer.json()["code"], answer.json()["detail"])

asyncio.run(main())
"""


@pytest.fixture
def environment(postgres: ConnectOptions, migrated: str) -> dict[str, str]:
    return {"database_url": postgres.dsn, "jwt_secret": SECRET, "pythonpath": str(Path.cwd())}


def test_assistant_routes_name_the_missing_packages(environment: dict[str, str], tmp_path: Path) -> None:
    done = run_python(PROGRAM, cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["/mcp", "503", "assistant_not_installed"],
        ["/api/me/chat", "503", "assistant_not_installed"],
    ]
    assert all("pip install -c constraints.txt -e '.[assistant]'" in line for line in lines)


def test_todo_mcp_names_its_missing_settings(tmp_path: Path) -> None:
    done = run_todo("mcp", cwd=tmp_path)
    assert (done.returncode, done.stderr.strip()) == (1, "todo: set TODO_TOKEN to an API token of the service")
    done = run_todo("mcp", cwd=tmp_path, todo_token="x", todo_url="http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("todo: cannot reach http://127.0.0.1:1: set TODO_URL")
