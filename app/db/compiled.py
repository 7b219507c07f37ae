"""SQLAlchemy statements in the form asyncpg takes: SQL text, argument order, types' processors, compiled once.

Statements are written in SQLAlchemy; its execution layer costs 100 to 700 microseconds a statement, this one 2 to 30
(``bench/``). Reads internals of the compiler that are stable within SQLAlchemy 2.x and are covered by
``tests/db/test_session.py`` against SQLAlchemy's own execution for every column type in use.
"""

import json
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any, Protocol

import msgspec
from sqlalchemy import ARRAY
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.cache_key import CacheKey
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.results import Result

Processor = Callable[[Any], Any]
MAX_CACHED = 500
NO_COLUMN, SAME_REVISION = -1, -2


def _encode_json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()  # 1,000 rows of 1 KB in 1 ms, where json takes 12
    except UnicodeEncodeError:  # from a language model: half of a surrogate pair, which json escapes
        return json.dumps(value)


ASYNCPG_DIALECT = asyncpg_dialect(json_serializer=_encode_json)  # type: ignore[no-untyped-call]


def escape_colons(sql: str) -> str:
    """Escapes ``sql`` for a place in ``text()``, which takes ":x" for a parameter, in literals and names as well."""
    return sql.replace(":", "\\:")


def quote_name(name: str) -> str:
    """Quotes a name of the catalogue for a place in ``text()``."""
    return escape_colons('"' + name.replace('"', '""') + '"')


class Executor(Protocol):
    """The part of ``app.db.session.Session`` that other forms of a write use."""

    owner: str
    source: str
    distributed: bool
    joined: Any

    async def exec(self, statement: "CompiledStatement", params: Mapping[str, Any]) -> Result: ...

    async def exec_each(self, compiled: "CompiledStatement", params: Sequence[Mapping[str, Any]]) -> list[Any]: ...


class AlternativeForm(Protocol):
    """Another form of a statement: several ones for a distributed database, or one that joins other writes."""

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result: ...


class StatementSequence:
    """Statements one after the other, in place of one with a data-modifying WITH, which Citus refuses."""

    def __init__(self, *statements: Executable) -> None:
        """Stores them; they are compiled when they are used for the first time. The last one returns the rows."""
        self._statements = statements

    @cached_property
    def statements(self) -> "list[CompiledStatement]":
        return [CompiledStatement(statement) for statement in self._statements]

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result:
        for statement in self.statements:
            result = await session.exec(statement, values)
        return result


class CompiledStatement:
    """A statement compiled once. Its parameters are the names of its ``bindparam``\\ s.

    Built at import time for statements of a fixed shape: executing one costs no compilation and no cache key.
    """

    __slots__ = (
        "_arguments", "_defaults", "_make", "_replaced", "_results",
        "distributed", "joined", "notifies", "prepared", "revision_column", "sql",
    )  # fmt: skip

    def __init__(
        self,
        statement: Executable,
        *,
        cache_key: CacheKey | None = None,
        notifies: bool = False,
        distributed: AlternativeForm | None = None,
        joined: AlternativeForm | None = None,
        revision_column: int | None = None,
        prepared: bool = True,
    ) -> None:
        """Compiles ``statement``. With ``notifies``, listeners for the owner's changes are notified after the commit.

        Connections keep it prepared; not so if ``prepared`` is false, for texts of which there may be any number.

        ``joined`` runs in its place within ``join_writes``; where the database is distributed ``joined`` does, else
        ``distributed``.
        ``revision_column`` is the column with the revision of the write, NO_COLUMN if its rows lack it, SAME_REVISION
        if they lack that of the write which the statement joins; None of a statement that is no recorded write.
        """
        self.notifies = notifies
        self.revision_column = revision_column
        self.prepared = prepared
        self.distributed = distributed
        self.joined = joined
        compiled = statement.compile(  # type: ignore[attr-defined]
            dialect=ASYNCPG_DIALECT, cache_key=cache_key, compile_kwargs={"render_postcompile": cache_key is None}
        )
        assert isinstance(compiled, SQLCompiler)
        self.sql = compiled.string
        order = compiled.positiontup or ()
        processors: Mapping[str, Processor] = compiled._bind_processors  # type: ignore[assignment]
        self._arguments = [(name, processors.get(name)) for name in order]
        if defaults := [*compiled.insert_prefetch, *compiled.update_prefetch]:
            raise ValueError(f"Python-side defaults are not run, use server_default: {defaults}")
        self._defaults = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        if expanded := compiled._post_compile_expanded_state:  # IN (...): one parameter became many
            self._defaults |= {name: expanded.parameters[name] for name in order if name not in compiled.binds}
        results = [_result_processor(column.type) for column in compiled._result_columns or ()]
        self._results = results if any(results) else None
        self._make: Callable[[Any], Any] | None = None
        self._replaced: CompiledStatement | None = None
        if self._results is not None:  # a class each: 1 MB and 30 ms of a start if every statement had one
            names = [column.keyname for column in compiled._result_columns or ()]
            self._make = namedtuple("Row", names, rename=True)._make  # type: ignore[attr-defined]

    def arguments(self, params: Mapping[str, Any]) -> list[Any]:
        """Returns values in the order of the placeholders. Raises KeyError for a parameter that is missing."""
        values = []
        for name, process in self._arguments:
            value = params[name] if name in params else self._defaults[name]
            values.append(value if process is None else process(value))
        return values

    def with_calls_replaced(self, parameters: Mapping[str, str]) -> "CompiledStatement":
        """Returns the statement with parameters in the places of calls in its text; itself if it has none of them.

        ``parameters`` are their names by calls that return a time, the same ones each time.
        """
        if self._replaced is None and any(call in self.sql for call in parameters):
            self._replaced = replaced = copy(self)
            for call, name in parameters.items():
                if call in replaced.sql:
                    replaced._arguments = [*replaced._arguments, (name, None)]
                    replaced.sql = replaced.sql.replace(call, f"${len(replaced._arguments)}::timestamptz")
        return self._replaced or self

    def rows(self, records: list[Any]) -> list[Any]:
        """Applies the types' result processors; returns the driver's own records if there are none."""
        if self._results is None or self._make is None:
            return records
        make, processors = self._make, self._results
        return [
            make([v if p is None else p(v) for p, v in zip(processors, record.values(), strict=True)])
            for record in records
        ]


def _result_processor(type_: Any) -> Processor | None:
    if isinstance(type_, ARRAY) and _result_processor(type_.item_type) is None:
        return None  # SQLAlchemy would copy the list, item by item: 1.6 microseconds a row
    processor: Processor | None = type_._cached_result_processor(ASYNCPG_DIALECT, None)
    return processor


_cache: dict[Any, tuple[CompiledStatement, SQLCompiler]] = {}


def compile_statement(statement: Executable) -> tuple[CompiledStatement, Mapping[str, Any]]:
    """Compiles a statement built inside a request, once per shape, and extracts its values."""
    key = statement._generate_cache_key()  # type: ignore[attr-defined]
    if key is None:
        return CompiledStatement(statement), {}
    cached = _cache.get(key.key)
    if cached is None:
        compiled = statement.compile(dialect=ASYNCPG_DIALECT, cache_key=key)  # type: ignore[attr-defined]
        if compiled.post_compile_params:  # IN (...): the text depends on the number of values
            return CompiledStatement(statement), {}
        if len(_cache) >= MAX_CACHED:
            _cache.clear()
        cached = _cache[key.key] = (CompiledStatement(statement, cache_key=key), compiled)
    prepared, compiled = cached
    return prepared, compiled.construct_params(extracted_parameters=key.bindparams, _check=False)


def bind_statement(
    statement: Executable | CompiledStatement, params: Mapping[str, Any] | None
) -> tuple[CompiledStatement, Mapping[str, Any]]:
    """Returns what to run, and all of its values: those of ``params``, and those in a statement built on request."""
    if isinstance(statement, CompiledStatement):
        return statement, params or {}
    compiled, built = compile_statement(statement)
    return compiled, {**built, **(params or {})}
