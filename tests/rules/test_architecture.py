"""Rules of the architecture as programs: imports between modules, access to the database, sizes of files and
functions."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from app.errors import AppError
from app.models import METADATA

ROOT = Path(__file__).parents[2]
MAX_FILE, MAX_FUNCTION = 400, 50
MAX_MODULES = 8  # at the top of app/, without __init__ and __main__
MAX_FILES = 20  # in a folder; rooms that read like a catalogue are exempt
CATALOGUES = {"app/models", "app/routers", "app/schemas"}

# Rooms from the outside in: each may import those below it, and rooms of its own level without import cycles.
LEVELS: list[set[str]] = [
    {"__main__", "commands"},
    {"main"},
    {"lifespan", "routers"},
    {"assistant", "dav", "live", "server"},
    {"http", "jobs"},
    {"services"},
    {"schemas"},
    {"auth", "db", "domain", "pagination"},
    {"models", "net", "observability", "json_codec"},
    {"errors", "config", "clock", "version"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

# Imports within functions, which a process pays for only when it runs them. A command imports what it needs when it
# runs.
HEAVY = {
    "app/db/embedded/__init__.py": {"app"},  # its cluster: not needed with DATABASE_URL, cannot be imported on Windows
    "app/assistant/optional.py": {"app"},  # the libraries of an extra
    "app/auth/passkeys.py": {"webauthn"},  # to verify a passkey
    "app/domain/filters/grammar.py": {"lark"},  # for filters in their language
    "app/domain/qr_code.py": {"segno"},  # to set up an authenticator app
    "app/services/rate_limits/redis.py": {"redis"},  # an extra
    "app/db/migrations.py": {"alembic"},  # only with pending migrations
    "app/net/outbound.py": {"httpx", "httpcore"},  # for webhooks
    "app/auth/jwks.py": {"httpx"},  # for another issuer
    "app/net/mail.py": {"aiosmtplib"},  # for a mail server
    "app/services/transfer/formats/zone_names.py": {"icalendar"},  # for Windows names of time zones
}

# Modules that nothing in a folder may import, in addition to the rooms above it.
WEB = {"fastapi", "starlette"}
QUERIES = {"sqlmodel", "sqlalchemy", "asyncpg"}
SURROUNDINGS = {"asyncio", "io", "os", "pathlib", "random", "socket", "time"}  # of the process
FORBIDDEN = {
    "app/routers": {*QUERIES, "app.db", "app.routers", "app.models.users", "app.models.changes"},
    "app/assistant/tools": {*WEB, "sqlalchemy", "app.http"},
    "app/dav": {*QUERIES, "app.db", "app.models"},
    "app/jobs": {*WEB, "app.http"},
    "app/services": WEB,
    "app/services/transfer/formats": {*QUERIES, "app.db"},
    "app/schemas": {*WEB, "asyncpg", "sqlalchemy", "app.db", "app.config"},
    "app/domain": {*WEB, *QUERIES, *SURROUNDINGS, "app.auth", "app.clock", "app.config", "app.db", "app.net"}
    | {"app.observability"},
    "app/auth": {*WEB, *QUERIES, "app.db"},
    "app/db": WEB,
    "app/models": {*WEB, "asyncpg", "app.config"},
    "app/errors": {*WEB, *QUERIES},
}


class Source(NamedTuple):
    """One file of the application, of the tests or of the benchmarks."""

    name: str
    folder: str  # below app/, tests/ or bench/
    lines: int
    tree: ast.Module
    nodes: list[ast.AST]  # of the whole tree, each once


@cache
def sources(top: str = "app") -> list[Source]:
    found = []
    for path in sorted((ROOT / top).rglob("*.py")):
        text = path.read_text()
        tree = ast.parse(text)
        folder = path.relative_to(ROOT / top).parts[0]
        found.append(Source(path.relative_to(ROOT).as_posix(), folder, text.count("\n"), tree, list(ast.walk(tree))))
    assert found
    return found


def tools() -> list[Source]:
    """Returns the files of the tests and of the benchmarks."""
    return [*sources("tests"), *sources("bench")]


def assert_no_file_breaks(
    rule: Callable[[Source], Iterable[object]], *exempt: str, files: Iterable[Source] | None = None
) -> None:
    """Asserts that ``rule`` finds nothing in any file of ``files``, or else of app/, that is not ``exempt``."""
    checked = sources() if files is None else files
    found = [f"{source.name}: {offence}" for source in checked if source.name not in exempt for offence in rule(source)]
    assert not found, "\n".join(found)


def imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def calls(source: Source) -> Iterator[str]:
    """Yields the names of called functions and methods."""
    for node in source.nodes:
        if isinstance(node, ast.Call):
            function = node.func
            yield function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_imports_are_absolute() -> None:
    assert_no_file_breaks(lambda source: [i for i in imports(source.nodes) if i.startswith(".")])


def test_layers_import_only_allowed_modules() -> None:
    def forbidden(source: Source) -> Iterator[str]:
        names = {name for room, found in FORBIDDEN.items() if source.name.startswith(f"{room}/") for name in found}
        return (i for i in imports(source.nodes) if any(i == n or i.startswith(f"{n}.") for n in names))

    assert_no_file_breaks(forbidden)


def module_of(source: Source) -> str:
    return source.name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


@cache
def graph() -> dict[str, set[str]]:
    """Returns the modules of app/ that each of them imports."""
    modules = {module_of(source) for source in sources()}

    def known(name: str) -> str:
        while name not in modules:
            name = name.rpartition(".")[0]
        return name

    found = {}
    for source in sources():
        module = module_of(source)
        found[module] = {known(i) for i in imports(source.nodes) if i.startswith("app.")} - {module, "app"}
    return found


def circles(arrows: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """Returns one import cycle, or none."""
    try:
        list(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        return [tuple(error.args[1])]
    return []


def upward_imports() -> list[str]:
    return [
        f"{module} -> {other}"
        for module, others in graph().items()
        for other in others
        if module != "app" and LEVEL[room_of(other)] < LEVEL[room_of(module)]
    ]


def rooms() -> dict[str, set[str]]:
    """Returns the rooms that each of them imports."""
    found: dict[str, set[str]] = {}
    for module, others in graph().items():
        if module != "app":
            found.setdefault(room_of(module), set()).update({room_of(other) for other in others} - {room_of(module)})
    return found


def files_of_folders() -> dict[str, int]:
    """Returns the number of files of each folder, without ``__init__`` and ``__main__``."""
    counted: dict[str, int] = {}
    for source in sources():
        path = Path(source.name)
        if path.stem not in {"__init__", "__main__"}:
            counted[str(path.parent)] = counted.get(str(path.parent), 0) + 1
    return counted


def test_measures() -> None:
    """Prints the measures of the imports and folders, with ``pytest -n 0 -s tests/rules/test_architecture.py``."""
    arrows, files = sum(len(others) for others in rooms().values()), files_of_folders()
    crowded = max(files, key=files.__getitem__)
    measures = {
        "rooms": len(rooms()),
        "arrows between rooms": arrows,
        "upward imports": len(upward_imports()),
        "import cycles": len(circles(graph()) + circles(rooms())),
        "modules at the top of app/": files["app"],
        f"files of the largest folder, {crowded}": files[crowded],
    }
    for name, number in measures.items():
        print(f"{name}: {number}")  # noqa: T201 - shown by pytest -s
    assert measures["upward imports"] == measures["import cycles"] == 0


def test_imports_go_down_and_have_no_cycle() -> None:
    assert upward_imports() == []
    assert circles(graph()) == []
    assert circles(rooms()) == []


def test_nouns_of_services_have_no_import_cycle() -> None:
    nouns: dict[str, set[str]] = {}
    for module, others in graph().items():
        if module.startswith("app.services."):
            noun = module.split(".")[2]
            others = {other.split(".")[2] for other in others if other.startswith("app.services.")}
            nouns.setdefault(noun, set()).update(others - {noun})
    nouns["projects"].discard("tasks")  # a project moves, completes and deletes its tasks; a task looks up its project
    assert circles(nouns) == []


def test_no_folder_has_too_many_files() -> None:
    counted = files_of_folders()
    assert counted["app"] <= MAX_MODULES
    assert {folder: n for folder, n in counted.items() if n > MAX_FILES and folder not in CATALOGUES} == {}


def test_models_import_only_their_base_and_the_clock() -> None:
    def strangers(source: Source) -> Iterator[str]:
        if source.folder == "models" and not source.name.endswith("__init__.py"):
            # and the other modules of the same noun: tasks, task_fields, task_rows
            noun = Path(source.name).stem.partition("_")[0].removesuffix("s")
            known = {i.rpartition(".")[0] for i in imports(source.nodes) if i.startswith("app.")}
            other = known - {"app.models.types", "app.models.columns", "app.clock"}
            yield from (module for module in other if not module.startswith(f"app.models.{noun}"))

    assert_no_file_breaks(strangers)


def test_only_db_ends_transactions() -> None:
    def ends(source: Source) -> set[str]:
        return set() if source.folder == "db" else {"commit", "rollback"} & set(calls(source))

    # The route commits before it sends its response; the isolation check rolls back its own rows; the test of a channel
    # waits for its receiver without a transaction.
    exempt = "app/http/routing.py", "app/services/operations/isolation_check.py", "app/jobs/channels.py"
    assert_no_file_breaks(ends, *exempt)


def test_only_services_and_db_query() -> None:
    statements = {f"{p}.{n}" for p in ("sqlalchemy", "sqlmodel") for n in ("select", "insert", "update", "delete")}

    def queries(source: Source) -> set[str]:
        return set() if source.folder in {"services", "db"} else statements & set(imports(source.nodes))

    assert_no_file_breaks(queries)


def test_no_module_raises_http_exceptions() -> None:
    def raises(source: Source) -> Iterator[str]:
        if source.name != "app/http/problems.py":  # which renders the framework's own
            yield from (i for i in imports(source.nodes) if i.endswith(".HTTPException"))
        yield from (name for name in calls(source) if name == "HTTPException")

    assert_no_file_breaks(raises)


def test_application_errors_are_defined_in_app_errors() -> None:
    """So that one folder lists every code that a client can receive."""
    below: list[type[AppError]] = [AppError]
    for error in below:
        below += error.__subclasses__()
    names = {error.__name__ for error in below}

    def defines(source: Source) -> Iterator[str]:
        for node in source.nodes if source.folder != "errors" else ():
            if isinstance(node, ast.ClassDef) and names & {getattr(base, "id", "") for base in node.bases}:
                yield node.name

    assert_no_file_breaks(defines)


def test_only_config_reads_the_environment() -> None:
    def reads(source: Source) -> Iterator[str]:
        for node in source.nodes:
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
                yield f"line {node.lineno}"

    assert_no_file_breaks(reads, "app/config/__init__.py")


def test_imports_are_at_the_top_of_modules() -> None:
    def local(source: Source) -> set[str]:
        if source.folder == "commands":
            return set()
        found = {i.partition(".")[0] for function in functions(source) for i in imports(ast.walk(function))}
        return found - HEAVY.get(source.name, set())

    assert_no_file_breaks(local)


def test_the_list_of_commands_imports_no_part_of_the_service() -> None:
    program = "import sys, app.commands; print(*sorted(name for name in sys.modules if name.startswith('app.')))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not name.startswith("app.commands")] == ["app.version"]


def test_the_application_imports_no_optional_library() -> None:
    """Each costs every worker megabytes; the modules that import them state how many."""
    spared = {"alembic", "mako", "pygments", "rich", "httpx", "aiosmtplib", "redis", "openai", "mcp", "icalendar"}
    spared.add("lark")
    program = f"import sys, app.main; print(*{spared} & {{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_the_clock_and_the_database_read_the_time() -> None:
    moments = {f"{kind}.{name}" for kind in ("datetime", "date") for name in ("now", "utcnow", "today")}
    seconds = {f"time.{name}" for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")}

    def asks(source: Source) -> Iterator[str]:
        clocks = moments | (seconds if source.folder == "domain" else set())  # other rooms measure durations
        for node in source.nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in clocks:
                yield f"line {node.lineno}"

    assert_no_file_breaks(asks, "app/clock.py")


def test_files_and_functions_stay_small() -> None:
    def large(source: Source) -> Iterator[str]:
        if source.lines > MAX_FILE:
            yield f"{source.lines} lines: split it by sub-noun"
        for function in functions(source):
            if (function.end_lineno or 0) - function.lineno >= MAX_FUNCTION:
                yield function.name

    assert_no_file_breaks(large)


# Accounts: a login has no owner before it succeeds, and what it counts must be kept when the request fails, so these
# functions open transactions of their own and take what they work on first.
ACCOUNTS = ("app/services/accounts/", "app/services/oauth/", "app/services/oidc/", "app/services/rate_limits/")
# File formats: pure except for reading and writing the file.
FORMATS = "app/services/transfer/formats/"


def test_public_functions_of_services_take_session_and_owner_first() -> None:
    def differ(source: Source) -> Iterator[str]:
        is_of_users = source.folder == "services" and not source.name.startswith(FORMATS)
        for node in source.tree.body if is_of_users else ():
            if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
                arguments = [argument.arg for argument in node.args.args][:2]
                if source.name.startswith(ACCOUNTS):
                    good = arguments[:1] in (["auth"], ["session"], ["database"])
                else:
                    good = arguments == ["session", "owner"]
                if not good:
                    yield f"{node.name}({', '.join(arguments)})"

    assert_no_file_breaks(differ, "app/services/operations/isolation_check.py", "app/services/operations/readiness.py")


# Words that end like a verb in the third person and are none, at the beginning of a docstring.
NOT_VERBS = {"This", "As", "Its", "Those", "Thus", "Always", "Perhaps", "Less", "Others", "Two", "Numbers", "Tasks"}


def test_docstrings_of_functions_begin_with_a_verb() -> None:
    """In the third person, as in "Returns the page after ``cursor``."; help texts of commands are imperative, and a
    test says what is true."""

    def differs(source: Source) -> Iterator[str]:
        for function in functions(source) if not source.name.startswith("app/commands/") else ():
            first = (ast.get_docstring(function) or "Has none").split()[0]
            is_test = function.name.startswith("test_")
            if not is_test and (not re.fullmatch(r"[A-Z][a-z]+s", first) or first in NOT_VERBS):
                yield f"{function.name}: {first}"

    assert_no_file_breaks(differs, files=[*sources(), *tools()])


QUESTION_WORDS = {"What", "How", "Why", "Where", "Who", "Whose", "When", "Which", "Whether"}


def test_docstrings_of_modules_and_classes_begin_with_no_question_word() -> None:
    def differs(source: Source) -> Iterator[str]:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Module | ast.ClassDef):
                first = (ast.get_docstring(node) or "None").split()[0]
                if first in QUESTION_WORDS:
                    yield f"{getattr(node, 'name', source.name)}: {first}"

    assert_no_file_breaks(differs, files=[*sources(), *tools()])


def defined_names(source: Source) -> set[str]:
    """Returns the constants and classes that a module defines."""
    found = {node.name for node in source.tree.body if isinstance(node, ast.ClassDef)}
    for node in source.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        names = (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        found |= {name for name in names if name.isupper() and len(name) > 1}  # no type variables
    return found


# Nouns of the domain, and what every reader of such a module expects under this name.
ONE_WORD = {"OWNER", "VERSION", "METADATA", "ROUTERS", "TOOLS"}


def test_constants_have_two_words_and_a_meaning_of_their_own() -> None:
    places: dict[str, list[str]] = {}
    for source in sources():
        for name in defined_names(source):
            places.setdefault(name, []).append(source.name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
    tables = {table.name.upper() for table in METADATA.tables.values()}
    single = {name for name in places if name.isupper() and "_" not in name.strip("_")}
    assert single - tables - ONE_WORD == set()


def test_constants_of_benchmarks_have_two_words_and_a_meaning_of_their_own() -> None:
    places: dict[str, list[str]] = {}
    for source in sources("bench"):
        for name in defined_names(source) if source.folder != "drf" else ():  # the names of Django
            places.setdefault(name, []).append(source.name)
    assert {name: found for name, found in places.items() if name.isupper() and len(found) > 1} == {}
    assert [name for name in places if name.isupper() and "_" not in name.strip("_")] == []


# Names of constants that say nothing outside their line; ROOT, TASK or PASSWORD of a test are read next to their use.
VAGUE_NAMES = {"AGAIN", "ALL", "ASK", "CREATE", "GONE", "KEPT", "LAST", "LEAST", "LEFT", "LIST", "MINE", "MORE", "MOST"}
VAGUE_NAMES |= {"OURS", "ROW", "SAME", "SAY", "SEEN", "SET"}


def test_constants_of_tests_say_what_they_are() -> None:
    assert_no_file_breaks(lambda source: defined_names(source) & VAGUE_NAMES, files=sources("tests"))


def test_project_files_name_no_package_registry() -> None:
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com")
    skipped = {"node_modules", "data", "static", "__pycache__"}
    skipped |= {path.name for path in ROOT.glob(".*") if path.name != ".ci"}
    paths = [path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)]
    assert paths
    naming = [str(path) for path in paths if any(host in path.read_text(errors="ignore") for host in hosts)]
    assert not naming, "\n".join(naming)
