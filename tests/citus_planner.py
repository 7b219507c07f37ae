"""A planner that refuses what that of Citus refuses, on an ordinary PostgreSQL: the rules of Citus 14 (there in
``multi_router_planner.c`` and ``insert_select_planner.c``), applied to the tree of a statement after its rewriting.

A statement that reads and writes one user's rows is sent to that user's server as it is. So whatever two servers could
compute differently is refused, and what would first have to be collected on the coordinator is refused by row-level
security.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.db.citus.session import MOMENT_PARAMETERS
from app.db.compiled import CompiledStatement, StatementSequence
from app.db.connection_options import ConnectOptions
from app.db.joined_changes import JoinedWrite

TOKEN = re.compile(r"\{|\}|\(|\)|\[[^\]]*\]|:[a-zA-Z_]\w*|(?:\\.|[^\s(){}\\])+")
SELECT, UPDATE, INSERT, DELETE = "1", "2", "3", "4"
SUBQUERY = "1"  # of a range table entry
FUNCTION_FIELDS = ("funcid", "opfuncid", "aggfnoid", "winfnoid")
# Types whose texts depend on settings of the session: casts between them and text are stable.
MUTABLE_TEXTS = {"1082", "1083", "1114", "1184", "1186", "1266"}
SIMPLE_CASE = re.compile(r"\bcase\s+(?!when\b)", re.IGNORECASE)
BOOLEAN, BOOLEAN_NODES = "16", {"BOOLEXPR", "NULLTEST", "BOOLEANTEST"}
PRINTING = (
    "statement_timeout = 0",  # the tree of a write of many rows is long
    "debug_pretty_print = off",
    "client_min_messages = log",
    "debug_print_rewritten = on",
)
REWRITTEN = "rewritten parse tree:"


def texts_of(statement: CompiledStatement) -> Iterator[str]:
    """Yields the texts that a distributed database gets for a statement."""
    form: Any = statement.joined or statement.distributed
    if isinstance(form, JoinedWrite):
        if form.is_delete:
            parts = [*form.deletion, form.record]
        elif form.lookup:
            parts = [form.lookup, form.insert_row, form.compile_insert(2), form.record]
        else:
            parts = [form.statement, form.whole, form.record, form.record_returned]
    elif isinstance(form, StatementSequence):
        parts = form.statements
    else:
        parts = [statement]
    for part in parts:
        yield part.with_calls_replaced(MOMENT_PARAMETERS).sql


class Node:
    """A node of a tree as PostgreSQL prints it: its type, and for each field what follows its name."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.fields: dict[str, list[Any]] = {}

    def one(self, name: str) -> Any:
        """Returns the value of a field; None if there is none."""
        found = self.fields.get(name)
        return found[0] if found else None

    def walk(self, *, into_queries: bool = True) -> "Iterator[Node]":
        """Yields the node and all below it."""
        yield self
        for values in self.fields.values():
            for node in nodes_in(values):
                if into_queries or node.type != "QUERY":
                    yield from node.walk(into_queries=into_queries)


def nodes_in(values: Any) -> Iterator[Node]:
    """Yields the nodes of nested lists."""
    if isinstance(values, Node):
        yield values
    elif isinstance(values, list):
        for value in values:
            yield from nodes_in(value)


def parse_tree(text: str) -> list[Any]:
    """Parses what PostgreSQL prints of a tree."""
    stack: list[Any] = [[]]
    for token in TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token == "{":
            stack.append(Node(""))
        elif token in ")}":
            done = stack.pop()
            _append(stack[-1], done)
        elif isinstance(stack[-1], Node) and not stack[-1].type:
            stack[-1].type = token
        elif token.startswith(":") and isinstance(stack[-1], Node):
            stack[-1].fields[token[1:]] = []
        else:
            _append(stack[-1], token)
    found: list[Any] = stack[0]
    return found


def _append(place: Any, value: Any) -> None:
    if isinstance(place, Node):
        next(reversed(place.fields.values())).append(value)
    else:
        place.append(value)


class CitusPlanner:
    """The rules, with the catalogue of one database. ``distributed`` are the tables that would be distributed."""

    def __init__(self, connection: asyncpg.Connection, volatility: dict[str, str], distributed: dict[str, str]) -> None:
        self._connection = connection
        self._volatility = volatility
        self._distributed = distributed
        self._printed: list[str] = []
        connection.add_log_listener(lambda _, message: self._hear(message))

    def _hear(self, message: Any) -> None:
        if message.message == REWRITTEN:
            self._printed.append(message.detail)

    async def refusals(self, sql: str) -> list[str]:
        """Returns what Citus would refuse of a statement."""
        if re.match(r"\s*select\b", sql, re.IGNORECASE) and not SIMPLE_CASE.search(sql):
            return []  # a read without a WITH goes to the user's server whatever it calls
        self._printed.clear()
        try:
            await self._connection.prepare(sql)
        except asyncpg.UndefinedTableError:
            return []  # of a table that another test had for a while
        assert self._printed, "the server did not print the tree"
        return [
            found for text in self._printed for query in nodes_in(parse_tree(text)) for found in self._of_query(query)
        ]

    def _of_query(self, query: Node) -> Iterator[str]:
        tables = [node.one("relid") for node in query.walk() if node.type == "RANGETBLENTRY" and node.one("relid")]
        ours = [oid for oid in tables if oid in self._distributed]
        command = query.one("commandType")
        if not ours:
            return
        inner = [node for node in query.walk() if node.type == "QUERY" and node is not query]
        if any(node.one("commandType") != SELECT for node in inner):
            yield "a data-modifying WITH"
        if any(self._is_boolean_case(node) for node in query.walk()):
            yield "CASE with a boolean after it"
        if command == SELECT:
            return
        if set(tables) - set(ours) - {"0"}:
            yield "a write that also uses a table that is not distributed"
        if command == INSERT:
            yield from self._of_insert(query)
        else:
            yield from self._of_update(query)
        if any(self._is_mutable(node) for node in nodes_in(query.fields.get("returningList"))):
            yield "a function in RETURNING that is not immutable"
        yield from self._of_conflict(query.one("onConflict"))

    def _of_insert(self, query: Node) -> Iterator[str]:
        source = [node for node in nodes_in(query.fields["rtable"]) if node.one("rtekind") == SUBQUERY]
        if not source:
            if any(node.type == "SUBLINK" for node in query.walk()):
                yield "a sub-select in INSERT"
            if query.fields.get("cteList") not in ([], ["<>"]):
                yield "a WITH in INSERT"
            return
        selected = source[0].one("subquery")
        if not any(node.one("relid") in self._distributed for node in selected.walk() if node.type == "RANGETBLENTRY"):
            yield "an INSERT from a SELECT that reads no distributed table"
        elif any(self._is_volatile(node) for node in query.walk()):
            yield "an INSERT from a SELECT with a volatile function, or a sequence"
        elif not self._selects_owner(query, selected):
            yield "an INSERT from a SELECT whose owner is not a column"

    def _selects_owner(self, query: Node, selected: Node) -> bool:
        """Returns whether the owner's column comes from a column, and not from a parameter."""
        into = next(node for node in nodes_in(query.fields["rtable"]) if node.one("rtekind") == "0")
        owner = self._distributed[into.one("relid")]
        target = next(node for node in nodes_in(query.fields["targetList"]) if node.one("resno") == owner)
        variable = next(node for node in target.walk() if node.type == "VAR")
        source = next(
            node for node in nodes_in(selected.fields["targetList"]) if node.one("resno") == variable.one("varattno")
        )
        expression = source.one("expr")
        column: Node = expression.one("arg") if expression.type == "RELABELTYPE" else expression
        return column.type == "VAR"

    def _of_update(self, query: Node) -> Iterator[str]:
        expressions = [*nodes_in(query.fields.get("targetList")), *nodes_in(query.one("jointree").fields.get("quals"))]
        if any(self._is_volatile(node) for expression in expressions for node in expression.walk()):
            yield "a volatile function in UPDATE or DELETE"
        for expression in expressions:
            for node in expression.walk(into_queries=False):
                if node.type in ("COALESCEEXPR", "CASEEXPR") and self._is_mutable(node):
                    yield "a function in CASE or COALESCE that is not immutable"
                if self._calls(node, "s") and any(below.type == "VAR" for below in node.walk(into_queries=False)):
                    yield "a stable function of a column"

    def _of_conflict(self, conflict: Any) -> Iterator[str]:
        if not isinstance(conflict, Node):
            return
        values = [node.one("expr") for node in nodes_in(conflict.fields["onConflictSet"])]
        conditions = nodes_in([conflict.fields["arbiterWhere"], conflict.fields["onConflictWhere"]])
        if any(self._is_mutable(node) for node in [*values, *conditions] if isinstance(node, Node)):
            yield "a function in ON CONFLICT that is not immutable"

    def _is_boolean_case(self, node: Node) -> bool:
        """Returns whether the planner simplifies the WHENs to what has no text ("case_test_expr does not exist")."""
        tested = node.one("arg") if node.type == "CASEEXPR" else None
        return isinstance(tested, Node) and (tested.type in BOOLEAN_NODES or _type_of(tested) == BOOLEAN)

    def _is_mutable(self, expression: Node) -> bool:
        return any(
            self._calls(node, "sv") or node.type in ("SQLVALUEFUNCTION", "NEXTVALUEEXPR") for node in expression.walk()
        )

    def _is_volatile(self, node: Node) -> bool:
        return self._calls(node, "v") or node.type == "NEXTVALUEEXPR"

    def _calls(self, node: Node, kinds: str) -> bool:
        """Returns whether the node itself calls a function of one of ``kinds``."""
        if node.type == "COERCEVIAIO":
            types = {node.one("resulttype"), _type_of(node.one("arg"))}
            return "s" in kinds and bool(types & MUTABLE_TEXTS)
        return any(self._volatility.get(node.one(name) or "", "i") in kinds for name in FUNCTION_FIELDS)


def _type_of(node: Node) -> str | None:
    for name in ("vartype", "paramtype", "consttype", "funcresulttype", "opresulttype", "resulttype"):
        if found := node.one(name):
            return str(found)
    return None


@asynccontextmanager
async def citus_planner(options: ConnectOptions, distributed: Collection[str]) -> Any:
    """Opens a superuser's connection to a migrated database, to which no policy adds a condition."""
    connection = await asyncpg.connect(**options.arguments(), statement_cache_size=0)
    try:
        volatility = {
            str(oid): kind for oid, kind in await connection.fetch("select oid, provolatile::text from pg_proc")
        }
        owners = await connection.fetch(
            """select attrelid::text as oid, attnum::text as number
               from pg_attribute a join pg_class c on c.oid = attrelid
               where c.relname = any($1) and relkind = 'r'
                 and attname = case when relname = 'users' then 'id' else 'user_id' end""",
            list(distributed),
        )
        for name in PRINTING:
            await connection.execute(f"set {name}")
        yield CitusPlanner(connection, volatility, {row["oid"]: row["number"] for row in owners})
    finally:
        await connection.close()
