"""Every statement that the service issues while the tests run, in this process."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from app.db.compiled import Prepared, prepare
from app.db.session import Session
from tests.locks import Step, Transaction

APP = str(Path(__file__).parents[1] / "app")


class Issued(NamedTuple):
    sql: str
    begin: str  # of the transaction, without its owner: the role, and whether it may write
    module: str


ISSUED: set[Issued] = set()
# What transactions locked while they had locks, with a module that did.
LOCKED: dict[Step, str] = {}
_transactions: dict[int, Transaction] = {}
_listeners: list[list[str]] = []


@contextmanager
def listening() -> Iterator[list[str]]:
    """What is issued meanwhile, in order."""
    heard: list[str] = []
    _listeners.append(heard)
    yield heard
    _listeners.remove(heard)


def record() -> None:
    """From now on. What a test itself executes is not counted."""
    execute = Session.exec

    def recorded(self: Session, statement: Any, params: Mapping[str, Any] | None = None) -> Any:
        if self._connection is None:  # a transaction begins
            _transactions[id(self)] = Transaction()
        module = sys._getframe(1).f_code.co_filename
        if module.startswith(APP):
            prepared = statement if isinstance(statement, Prepared) else prepare(statement)[0]
            begin = self._begin.partition("; SET LOCAL app.user_id")[0]
            ISSUED.add(Issued(prepared.sql, begin, module.removeprefix(APP + "/")))
            for heard in _listeners:
                heard.append(prepared.sql)
            for step in _transactions[id(self)].run(prepared.sql):
                LOCKED.setdefault(step, module.removeprefix(APP + "/"))
        return execute(self, statement, params)

    Session.exec = recorded  # type: ignore[method-assign]
