"""A numbered write as three plain statements, for a database that is spread over several servers (Citus).

There an INSERT inside WITH is not sent to the owner's server but taken apart into intermediate results, which row-level
security refuses. So: take the number, write with the number as a parameter, record what was written. The owner's lock
is held from the first one on, and each has a snapshot of its own: what the one-statement form finds out about writes
that came in between is settled here before the write begins.

How each statement is written follows from what Citus sends on (``multi_router_planner.c`` there): no sub-select in an
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

from app.db.compiled import Executor, Prepared
from app.db.results import Result
from app.models.changes import Change

NUMBER: Any = bindparam("number", type_=BigInteger)


class DistributedWrite:
    """What ``numbered`` makes of a write, in three steps. Compiled when it is used for the first time."""

    def __init__(
        self,
        write: Insert | Update | Delete,
        *,
        entity: str,
        action: str | ColumnElement[str],
        returning: Sequence[Any],
        answer: Sequence[str],
        take: Prepared,
        values: Mapping[Any, Any],
    ) -> None:
        """``take`` answers the number; ``values`` are what takes the place of the sub-selects that look it up."""
        self.take = take
        self._write: Any = write
        self._values = values
        self._entity, self._action = entity, action
        self._returning = list(returning)
        self._params = [f"c{place}" for place, _ in enumerate(returning)]
        names = [column.name for column in returning]
        self._key = names.index("user_id"), names.index("id")
        self._answer = {name: names.index(name) for name in answer}

    @cached_property
    def _answered(self) -> Callable[[Any], Any]:
        """Of a row of ``write``, what the caller gets back: as of any statement, a single column without its row."""
        places = list(self._answer.values())
        if len(places) == 1:
            return itemgetter(*places)
        pick, make = itemgetter(*places), namedtuple("Row", self._answer, rename=True)._make  # type: ignore[attr-defined]
        return lambda row: make(pick(row))

    @cached_property
    def write(self) -> Prepared:
        """The write itself, answering the columns to keep, and the action where it depends on the row.

        What the row was before is there to be read in its RETURNING, and not later.
        """
        action = []
        if not isinstance(self._action, str):
            here = str(self._action).replace("written.", f"{self._write.table.name}.")
            action.append(literal_column(here, Text).label("action"))
        bound: Any = replacement_traverse(self._write, {}, lambda element, **_: self._values.get(element))
        return Prepared(bound.returning(*self._returning, *action))

    @cached_property
    def log(self) -> Prepared:
        """One row of ``changes``, its ``data`` made by PostgreSQL as ``to_jsonb`` would make it of the row."""
        data: list[Any] = []
        for name, column in zip(self._params, self._returning, strict=True):
            data += [literal_column(f"'{column.name}'"), bindparam(name, type_=column.type)]
        row = {
            "user_id": bindparam("owner", type_=Text),
            "revision": NUMBER,
            "entity": literal_column(f"'{self._entity}'"),
            "entity_id": bindparam("id", type_=BigInteger),
            "action": bindparam("action", type_=Text),
            "data": func.jsonb_build_object(*data),
            "through": bindparam("through", type_=Text),
        }
        return Prepared(insert(Change).values(row).inline())

    async def run(self, session: Executor, values: Mapping[str, Any]) -> Result:
        """The same rows as the one statement would have given."""
        number = (await session.exec(self.take, values)).one()
        rows = (await session.exec(self.write, {**values, "number": number})).all()
        await session.exec_each(self.log, [self._change(row, number, session.through) for row in rows])
        return Result([self._answered(row) for row in rows])

    def _change(self, row: Any, number: int, through: str) -> dict[str, Any]:
        owner, key = self._key
        action = self._action if isinstance(self._action, str) else row[-1]
        own = {"owner": row[owner], "number": number, "id": row[key], "action": action, "through": through}
        return own | dict(zip(self._params, row, strict=False))  # an action may come after the columns
