"""Every statement that the service issues in this process during the tests, and whether it is pinned to one user."""

import json
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import asyncpg

from app.db.compiled import CompiledStatement, compile_statement
from app.db.connection_options import ConnectOptions
from app.db.database import WORKER_ROLE
from app.db.session import Session
from app.models import METADATA
from app.services.changes.entities import DISTRIBUTED_TABLES
from tests.citus_planner import citus_planner, texts_of
from tests.databases import AUTH
from tests.locks import Step, Transaction

APP = str(Path(__file__).parents[1] / "app")
DATABASE_ROOM = f"{APP}/db/"
# Lookups by e-mail, token or IP address, before the owner is known, use a role of their own.
USER_DATA = set(METADATA.tables) - AUTH
# It writes rows of other users deliberately, and rolls them back.
PROOF = "services/operations/isolation_check.py"
# Modules of the worker, which finds users with something due.
ACROSS_USERS = {
    "services/channels/digests.py",
    "services/channels/outbox.py",
    "services/webhooks/deliveries.py",
    "services/retention/pruning.py",
    "services/retention/trash.py",
    "services/tasks/reminders.py",
}
PLAN = """
    create or replace function pg_temp.plan(statement text) returns json language plpgsql as $$
    declare found json;
    begin
        execute 'explain (generic_plan, format json) ' || statement into found;
        return found;
    end $$"""


class Issued(NamedTuple):
    sql: str
    begin: str  # of the transaction, without its owner: the role, and whether it may write
    module: str


ISSUED: set[Issued] = set()
COMPILED: dict[str, CompiledStatement] = {}
# What is wrong with them, kept after the database that reports it has ended.
LEAKS: list[str] = []
# Those that a distributed database would refuse, with what it says.
REFUSED: list[str] = []
# Locks that transactions requested while they held others, with the module.
LOCKED: dict[Step, str] = {}
ON_WORKERS = re.compile(rf"\b(?:from|join|into|update)\s+(?:{'|'.join(DISTRIBUTED_TABLES)})\b", re.IGNORECASE)
# Reads of an owner's rows may begin on a server of a cluster, which has the distributed tables alone.
OFF_OWNER_SERVERS = re.compile(
    rf"\b(?:from|join)\s+(?:pg_\w+|{'|'.join(METADATA.tables.keys() - DISTRIBUTED_TABLES.keys())})\b", re.IGNORECASE
)
_other_roles: set[int] = set()  # sessions that continue as another role
_transactions: dict[int, Transaction] = {}
_listeners: list[list[str]] = []


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collects the statements issued in the block, in order."""
    heard: list[str] = []
    _listeners.append(heard)
    yield heard
    _listeners.remove(heard)


def record() -> None:
    """Records statements from now on. Statements that a test itself executes do not count."""
    execute, mark, become = Session.exec, Session.savepoint, Session.become

    def recorded(self: Session, statement: Any, params: Mapping[str, Any] | None = None) -> Any:
        if self._connection is None:  # a transaction begins
            _transactions[id(self)] = Transaction()
            _other_roles.discard(id(self))
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(DATABASE_ROOM):
            frame = frame.f_back  # a statement of another form of the service's one
        module = frame.f_code.co_filename if frame else ""
        if module.startswith(APP):
            prepared = statement if isinstance(statement, CompiledStatement) else compile_statement(statement)[0]
            begin = self._begin.partition("SET LOCAL app.user_id")[0]
            ISSUED.add(Issued(prepared.sql, begin, module.removeprefix(APP + "/")))
            if frame is sys._getframe(1):  # of other forms only those that a distributed database takes
                COMPILED[prepared.sql] = prepared
            if id(self) in _other_roles and ON_WORKERS.search(prepared.sql):
                REFUSED.append(f"a table on workers after a change of role: {prepared.sql}")
            if self._reads_of is not None and OFF_OWNER_SERVERS.search(prepared.sql):
                REFUSED.append(f"not a distributed table, in a read of an owner: {prepared.sql}")
            for heard in _listeners:
                heard.append(prepared.sql)
            for step in _transactions[id(self)].run(prepared.sql):
                LOCKED.setdefault(step, module.removeprefix(APP + "/"))
        return execute(self, statement, params)

    def recorded_savepoint(self: Session, **options: Any) -> Any:
        if self._connection is None:  # a transaction may begin with a savepoint
            _transactions[id(self)] = Transaction()
        return mark(self, **options)

    async def recorded_become(self: Session, role: str) -> None:
        await become(self, role)
        _other_roles.add(id(self))

    Session.become = recorded_become  # type: ignore[method-assign]
    Session.exec = recorded  # type: ignore[method-assign]
    Session.savepoint = recorded_savepoint  # type: ignore[method-assign]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def unpinned(plan: dict[str, Any]) -> list[str]:
    """Returns the tables of user data that are read without their owner's condition."""
    found = []
    for node in nodes(plan):
        table = node.get("Relation Name")
        if table in USER_DATA and node["Node Type"] != "ModifyTable":
            owner = "id" if table == "users" else "user_id"
            conditions = " ".join(str(node.get(name, "")) for name in ("Index Cond", "Recheck Cond", "Filter"))
            if not re.search(rf"\b{owner} = (\(?\$\d|'|[\w.]*user_id\b|\(InitPlan)", conditions):
                found.append(f"{table}: {conditions}")
    return found


def queries_across_users(issued: Issued) -> bool:
    """Returns whether it is a query of the worker for due users: it cannot write and reads few columns
    (tests/db/test_migrations.py)."""
    return "READ ONLY" in issued.begin and f"ROLE {WORKER_ROLE}" in issued.begin


@asynccontextmanager
async def planner(options: ConnectOptions) -> AsyncIterator[Any]:
    """Opens a superuser's connection, to whose queries no policy adds a condition."""
    connection = await asyncpg.connect(**options.arguments())
    try:
        await connection.execute(PLAN)
        yield connection
    finally:
        await connection.close()


async def plan_of(connection: Any, sql: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(await connection.fetchval("select pg_temp.plan($1)", sql))[0]["Plan"]
    return plan


async def leaks(connection: Any) -> tuple[list[str], int]:
    """Returns what is wrong with the statements issued so far, and how many of them are on user data."""
    on_user_data = set()
    found = []
    for issued in sorted(ISSUED):
        if queries_across_users(issued) and issued.module not in ACROSS_USERS:
            found.append(f"{issued.module} looks across users: {issued.sql}")
        # statements that set the transaction's role or owner have no plan
        if issued.module == PROOF or queries_across_users(issued) or issued.sql.startswith("set local "):
            continue
        try:
            plan = await plan_of(connection, issued.sql)
        except asyncpg.UndefinedTableError:
            continue  # of a table that another test had for a while
        if {node.get("Relation Name") for node in nodes(plan)} & USER_DATA:
            on_user_data.add(issued.sql)
        if missing := unpinned(plan):
            found.append(f"{issued.module} reads {missing}: {issued.sql}")
    return found, len(on_user_data)


async def refusals(options: ConnectOptions, statements: Iterable[CompiledStatement]) -> list[str]:
    """Returns the statements in the form for a distributed database that Citus would refuse, with what it refuses."""
    texts = {text for statement in statements for text in texts_of(statement)}
    found = []
    async with citus_planner(options, DISTRIBUTED_TABLES) as planner:
        for sql in sorted(texts):
            found += [f"{refused}: {sql}" for refused in await planner.refusals(sql)]
    return found
