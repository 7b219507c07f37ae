"""Tokens of a real Better Auth server, configured as in the Next.js example, are accepted.

The whole example (``next build``) takes 400 MB of packages, so only its ``lib/`` runs here, in Node.
"""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.ports import free_port
from tests.servers import running

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "nextjs"
NEEDED = ("better-auth", "typescript")
# Next.js would compile lib/ and serve Better Auth's routes.
SERVE = """
import { createServer } from "node:http";
import { toNodeHandler } from "better-auth/node";
import { auth } from "./auth.js";
createServer(toNodeHandler(auth)).listen(Number(process.env.PORT), "127.0.0.1", () => console.log("ready"));
"""
# A browser would send the cookie itself and resolve the path.
PAGE = """
const { URL: origin, COOKIE: cookie } = process.env, { fetch } = globalThis;
globalThis.fetch = (url, options) =>
  url.startsWith("/") ? fetch(origin + url, { ...options, headers: { cookie } }) : fetch(url, options);
const { todo } = await import("./todo.js");
await todo("/tasks", "POST", { title: "Buy milk" });
console.log(JSON.stringify((await todo("/tasks")).map((task) => task.title)));
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiles the example's ``lib/`` to JavaScript, next to the packages it needs."""
    if shutil.which("npm") is None:
        pytest.skip("no Node.js on this machine: Better Auth was not tried")
    folder = tmp_path_factory.mktemp("nextjs")
    package = json.loads((EXAMPLE / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    package = {"type": "module", "private": True, "dependencies": {name: versions[name] for name in NEEDED}}
    (folder / "package.json").write_text(json.dumps(package))
    shutil.copytree(EXAMPLE / "lib", folder / "lib")
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    if subprocess.run(install, cwd=folder, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip("npm could not fetch the packages: Better Auth was not tried")
    tsc = [str(folder / "node_modules" / ".bin" / "tsc"), "--outDir", "build", "--target", "es2022", "--skipLibCheck"]
    kinds = ["--module", "esnext", "--moduleResolution", "bundler", "--noCheck", "lib/auth.ts", "lib/todo.ts"]
    subprocess.run([*tsc, *kinds], cwd=folder, check=True, timeout=120)
    (folder / "build" / "serve.js").write_text(SERVE)
    (folder / "build" / "page.js").write_text(PAGE)
    return folder / "build"


@contextmanager
def better_auth(folder: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"PATH": os.environ["PATH"], "PORT": str(port), "BETTER_AUTH_URL": url, "BETTER_AUTH_SECRET": "s" * 32}
    with subprocess.Popen(["node", "serve.js"], cwd=folder, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield url
        finally:
            process.kill()


def node(folder: Path, program: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", program], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )


async def test_a_user_of_better_auth_has_tasks(compiled: Path, postgres: ConnectOptions) -> None:
    person = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery", "name": "Ann"}
    with better_auth(compiled) as issuer, running(postgres.dsn, BETTER_AUTH_URL=issuer) as server:
        async with httpx.AsyncClient(base_url=issuer, headers={"Origin": issuer}, trust_env=False) as http:
            user = (await http.post("/api/auth/sign-up/email", json=person)).raise_for_status().json()["user"]
            cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
            token = (await http.get("/api/auth/token")).raise_for_status().json()["token"]
        env = {"PATH": os.environ["PATH"], "URL": issuer, "COOKIE": cookie, "NEXT_PUBLIC_TODO_URL": server.url}
        page = node(compiled, "page.js", env)
        assert (page.stdout, page.returncode) == ('["Buy milk"]\n', 0), page.stderr
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            tasks = (await http.get("/api/me/tasks", headers={"Authorization": f"Bearer {token}"})).json()
            assert [(task["title"], task["user_id"]) for task in tasks] == [("Buy milk", user["id"])]
