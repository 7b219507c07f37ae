"""A recorded write as three plain statements, for a database that is spread over several servers (Citus).

Citus does not send an INSERT inside WITH to the owner's server but materialises it as intermediate results, which
row-level security refuses. So: take the revision, write with the revision as a parameter, record what was written. The
owner's lock is held from the first statement on, and each has a snapshot of its own: concurrent writes that the
one-statement form detects have already committed here when the write begins.

The form of each statement follows from what Citus can route (``multi_router_planner.c`` there): no sub-select in an
INSERT, no function in RETURNING that is not immutable (``to_jsonb`` is not), and no INSERT from a SELECT without
a table, which becomes a COPY.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, func, insert, literal_column
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.visitors import replacement_traverse

from app.db.compiled import CompiledStatement, Executor
from app.db.joined_changes import REVISION_PARAMETER
from app.db.results import Result
from app.models.changes import Change


class DistributedWrite:
    """A recorded write in three statements. Compiled when it is used for the first time."""

    def __init__(
        self,
        write: Insert | Update | Delete,
        *,
        entity: str,
        action: str | ColumnElement[str],
        returning: Sequence[Any],
        columns: Sequence[str],
        take: CompiledStatement,
        values: Mapping[Any, Any],
    ) -> None:
        """Stores the parts. ``take`` returns the revision; ``values`` replace the sub-selects that read it."""
        self.take = take
        self._write: Any = write
        self._values = values
        self._entity, self._action = entity, action
        self._returning = list(returning)
        self._params = [f"c{place}" for place, _ in enumerate(returning)]
        names = [column.name for column in returning]
        self._key = names.index("user_id"), names.index("id")
        self._columns = {name: names.index(name) for name in columns}

    @cached_property
    def _pick_columns(self) -> Callable[[Any], Any]:
        """Picks the returned columns of a row of ``write``; of a single column its value."""
        places = list(self._columns.values())
        if len(places) == 1:
            return itemgetter(*places)
        pick, make = itemgetter(*places), namedtuple("Row", self._columns, rename=True)._make  # type: ignore[attr-defined]
        return lambda row: make(pick(row))

    @cached_property
    def write(self) -> CompiledStatement:
        """Builds the write itself. It returns the columns to keep, and the action if that depends on the row.

        The action is computed in RETURNING because the old values of the row are readable only there.
        """
        action = []
        if not isinstance(self._action, str):
            here = str(self._action).replace("written.", f"{self._write.table.name}.")
            action.append(literal_column(here, Text).label("action"))
        bound: Any = replacement_traverse(self._write, {}, lambda element, **_: self._values.get(element))
        return CompiledStatement(bound.returning(*self._returning, *action))

    @cached_property
    def log(self) -> CompiledStatement:
        """Builds the INSERT of one row of ``changes``, with ``data`` as ``to_jsonb`` would make it of the row."""
        data: list[Any] = []
        for name, column in zip(self._params, self._returning, strict=True):
            data += [literal_column(f"'{column.name}'"), bindparam(name, type_=column.type)]
        row = {
            "user_id": bindparam("owner", type_=Text),
            "revision": REVISION_PARAMETER,
            "entity": literal_column(f"'{self._entity}'"),
            "entity_id": bindparam("id", type_=BigInteger),
            "action": bindparam("action", type_=Text),
            "data": func.jsonb_build_object(*data),
            "through": bindparam("through", type_=Text),
        }
        return CompiledStatement(insert(Change).values(row).inline())

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result:
        """Runs the three statements. Returns the rows that the one-statement form would return."""
        revision = (await session.exec(self.take, values)).one()
        rows = (await session.exec(self.write, {**values, "taken_revision": revision})).all()
        await session.exec_each(self.log, [self._change(row, revision, session.source) for row in rows])
        return Result([self._pick_columns(row) for row in rows])

    def _change(self, row: Any, revision: int, through: str) -> dict[str, Any]:
        owner, key = self._key
        action = self._action if isinstance(self._action, str) else row[-1]
        own = {"owner": row[owner], "taken_revision": revision, "id": row[key], "action": action, "through": through}
        return own | dict(zip(self._params, row, strict=False))  # an action may come after the columns
