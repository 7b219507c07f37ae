"""Rules of the architecture as programs: who may import whom, who may query, how large things may grow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "app").rglob("*.py"))
MAX_FILE, MAX_FUNCTION = 400, 50
HEAVY = {
    "app/db/embedded/__init__.py": {"app"},  # its cluster: not needed with DATABASE_URL, cannot be loaded on Windows
    "app/assistant/optional.py": {"app"},  # what needs the libraries of an extra
    "app/services/rate_limits/redis.py": {"redis"},  # an extra
    "app/db/migrations.py": {"alembic"},  # where there is something to migrate
    "app/net/outbound.py": {"httpx"},  # for webhooks
    "app/auth/jwks.py": {"httpx"},  # for an issuer elsewhere
    "app/net/mail.py": {"aiosmtplib"},  # for a mail server
}

# folder -> what nothing in it may import
NO_HTTP = ("app.http.dependencies", "app.http.problems", "app.http.routing")
FORBIDDEN = {
    "routers": {"sqlmodel", "sqlalchemy", "asyncpg", "app.db", "app.models.users", "app.models.changes"},
    "services": {"fastapi", "starlette", *NO_HTTP, "app.routers"},
    "services/transfer/formats": {"app.db", "sqlalchemy"},
    "assistant/tools": {"fastapi", "starlette", "sqlalchemy", *NO_HTTP, "app.routers"},
    "models": {"fastapi", "starlette", "asyncpg", *NO_HTTP, "app.services", "app.routers", "app.db", "app.config"},
    "schemas": {"fastapi", "starlette", "asyncpg", "sqlalchemy", "app.services", "app.routers", "app.db", "app.config"},
    "db": {"fastapi", "starlette", *NO_HTTP, "app.services", "app.routers"},
    "auth": {"fastapi", "starlette", *NO_HTTP, "app.services", "app.routers", "app.db"},
}
# a session is what a signature says, and readiness is asked of the database itself
ALLOWED = {("app/http/dependencies.py", "app.db.session")}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(tree: ast.AST) -> Iterator[str]:
    """Names of called functions and methods."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


@pytest.fixture(params=FILES, ids=name_of)
def source(request: pytest.FixtureRequest) -> tuple[str, str, ast.Module]:
    """Name, folder below app, syntax tree."""
    path: Path = request.param
    folder = path.relative_to(ROOT / "app").parts[0]
    return name_of(path), folder, ast.parse(path.read_text())


def test_layers_import_only_downwards(source: tuple[str, str, ast.Module]) -> None:
    name, folder, tree = source
    forbidden = {f for room, found in FORBIDDEN.items() if name.startswith(f"app/{room}/") for f in found}
    found = [i for i in imports(tree) if any(i == f or i.startswith(f + ".") for f in forbidden)]
    assert found == [], name
    if folder == "routers":
        assert [i for i in imports(tree) if i.startswith("app.routers")] == []


def test_models_know_only_their_base_and_the_clock(source: tuple[str, str, ast.Module]) -> None:
    name, folder, tree = source
    if folder == "models" and not name.endswith("__init__.py"):
        # a noun's own sub-nouns as well: tasks, task_fields, task_rows
        noun = Path(name).stem.partition("_")[0].removesuffix("s")
        known = {i.rpartition(".")[0] for i in imports(tree) if i.startswith("app.")}
        other = known - {"app.models.types", "app.models.columns", "app.clock"}
        assert [module for module in other if not module.startswith(f"app.models.{noun}")] == []


def test_only_db_ends_transactions(source: tuple[str, str, ast.Module]) -> None:
    name, folder, tree = source
    ending = {"commit", "rollback"} & set(calls(tree))
    # The route commits before its answer is sent; the proof of isolation rolls back what it wrote.
    if folder != "db" and name not in {"app/http/routing.py", "app/services/operations/isolation_check.py"}:
        assert ending == set()


def test_only_services_and_db_query(source: tuple[str, str, ast.Module]) -> None:
    _, folder, tree = source
    imported = {i for i in imports(tree) if i.startswith(("sqlalchemy.", "sqlmodel."))}
    if folder not in {"services", "db"}:
        assert not imported & {
            f"{p}.{n}" for p in ("sqlalchemy", "sqlmodel") for n in ("select", "insert", "update", "delete")
        }


def test_nobody_raises_http_exceptions(source: tuple[str, str, ast.Module]) -> None:
    name, _, tree = source
    if name != "app/http/problems.py":  # which renders the framework's own
        assert not [i for i in imports(tree) if i.endswith(".HTTPException")]
    assert "HTTPException" not in set(calls(tree))


def test_only_config_reads_the_environment(source: tuple[str, str, ast.Module]) -> None:
    name, _, tree = source
    if name != "app/config.py":
        found = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"}]
        assert found == []


def test_imports_stand_at_the_top(source: tuple[str, str, ast.Module]) -> None:
    name, _, tree = source
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    local = {i.partition(".")[0] for function in functions for i in imports(function)}
    if not name.startswith("app/commands/"):  # a command loads what it needs when it runs
        assert local <= HEAVY.get(name, set())


def test_the_list_of_commands_loads_no_part_of_the_service() -> None:
    program = "import sys, app.commands; print(*sorted(name for name in sys.modules if name.startswith('app.')))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not name.startswith("app.commands")] == ["app.version"]


def test_a_process_loads_only_what_it_needs() -> None:
    """Each costs every worker megabytes: what loads it says how many."""
    spared = {"alembic", "mako", "pygments", "rich", "httpx", "aiosmtplib", "redis", "openai", "mcp", "icalendar"}
    program = f"import sys, app.main; print(*{spared} & {{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_the_clock_and_the_database_say_what_time_it_is(source: tuple[str, str, ast.Module]) -> None:
    name, _, tree = source
    if name != "app/clock.py":
        assert not {"now", "utcnow", "today"} & {
            n.func.attr
            for n in ast.walk(tree)
            if isinstance(n, ast.Call)
            and isinstance(n.func, ast.Attribute)
            and isinstance(n.func.value, ast.Name)
            and n.func.value.id in {"datetime", "date"}
        }


def test_files_and_functions_stay_small(source: tuple[str, str, ast.Module]) -> None:
    name, _, tree = source
    assert (ROOT / name).read_text().count("\n") <= MAX_FILE, "split it by sub-noun"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{name}: {node.name}"


# Accounts: nobody owns a login before it succeeds, and what it counts must outlive a request that fails, so these
# open transactions of their own: with what they work with first.
ACCOUNTS = ("app/services/accounts/", "app/services/rate_limits/")
# Formats of files: pure but for the file.
FORMATS = "app/services/transfer/formats/"
PROCESS_WIDE = {"app/services/operations/isolation_check.py", "app/services/operations/readiness.py"}


def test_public_functions_of_services_take_session_and_owner_first(source: tuple[str, str, ast.Module]) -> None:
    name, folder, tree = source
    if folder != "services" or name in PROCESS_WIDE or name.startswith(FORMATS):
        return
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            arguments = [argument.arg for argument in node.args.args][:2]
            if name.startswith(ACCOUNTS):
                assert arguments[0] in {"auth", "session", "database"}, node.name
            else:
                assert arguments == ["session", "owner"], node.name


def test_project_files_name_no_package_registry() -> None:
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com")
    skipped = {"node_modules", "data", "static"} | {path.name for path in ROOT.glob(".*") if path.name != ".ci"}
    paths = [path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)]
    assert paths
    for path in paths:
        assert not [host for host in hosts if host in path.read_text(errors="ignore")], path
