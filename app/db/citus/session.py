"""A database that is spread over several servers (Citus): all rows of a user are on one of them.

The coordinator sends a statement to the owner's server as it is, so it must be one that any server computes alike; its
planner refuses others (``tests/db/test_citus_refusals.py`` checks every statement). Here is what a session does in
another way; services are not aware of it.

- Recorded writes are in their joined form (``app.db.joined_changes``): no write in a WITH, no sub-select in an INSERT
  or in RETURNING. The owner's lock is held from the first of their statements on.
- The times of a transaction and of a statement are parameters, by the service's clock: the clocks of two servers
  differ, and a function that is not immutable is refused in CASE and COALESCE.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.sql.base import Executable

from app.clock import now
from app.db.compiled import CompiledStatement, bind_statement
from app.db.connection_options import ConnectOptions
from app.db.results import Result
from app.db.session import Session

SELECT_CITUS = "select exists (select from pg_extension where extname = 'citus')"
# Of each connection. Citus hides its shards by a condition on every query of the catalogue, with which the driver's
# lookups of types took 0.5 to 1.5 s, and take 10 ms without. The other is the wait for a server that does not respond.
DISTRIBUTED_SETTINGS = {"citus.override_table_visibility": "off", "citus.node_connection_timeout": "2s"}
# Seconds, just over the statement_timeout, which does not end the coordinator's wait for a server that hangs.
DISTRIBUTED_COMMAND_TIMEOUT = 6.0
MOMENT_PARAMETERS = {"now()": "transaction_moment", "clock_timestamp()": "statement_moment"}


async def is_distributed(connection: Any) -> bool:
    """Queries whether Citus is installed. Called once, when the service starts."""
    found: bool = await connection.fetchval(SELECT_CITUS)
    return found


def distributed_options(options: ConnectOptions) -> ConnectOptions:
    """Returns the options of connections to a distributed database."""
    limit = min(options.command_timeout, DISTRIBUTED_COMMAND_TIMEOUT)
    return replace(options.with_settings(DISTRIBUTED_SETTINGS), command_timeout=limit)


def set_everywhere(command: str) -> str:
    """Returns a SET LOCAL that the workers get, too: without an owner they show no rows.

    It is in a DO because Citus repeats the whole text that a SET came with, in front of each worker's transaction: also
    a BEGIN, or the COMMIT of a transaction before.
    """
    block = f"BEGIN {command}; END".replace("'", "''")
    return f"SET LOCAL citus.propagate_set_commands = 'local'; DO '{block}'"


class DistributedSession(Session):
    """One transaction of one owner, on several servers."""

    distributed = True
    __slots__ = ("_began_at",)

    async def exec(self, statement: Executable | CompiledStatement, params: Mapping[str, Any] | None = None) -> Result:
        """Runs the form of a statement that Citus accepts. Raises what ``Session.exec`` raises."""
        compiled, values = bind_statement(statement, params)
        form = compiled.joined or compiled.distributed
        if form is not None:
            self._notifies = self._notifies or compiled.notifies
            return await form.run(self, values)
        if self._connection is None:
            self._began_at = now()
        return await super().exec(compiled.with_calls_replaced(MOMENT_PARAMETERS), self._with_moments(values))

    async def exec_each(self, compiled: CompiledStatement, params: Sequence[Mapping[str, Any]]) -> list[Any]:
        localized = compiled.with_calls_replaced(MOMENT_PARAMETERS)
        return await super().exec_each(localized, [self._with_moments(values) for values in params])

    async def become(self, role: str) -> None:
        """Continues as another role, on connections of its own to the workers: those of before cannot become it."""
        await self._control(f"SET LOCAL citus.propagate_set_commands = 'none'; SET LOCAL ROLE {role}")

    async def _begin_transaction(self) -> None:
        await super()._begin_transaction()
        self._began_at = now()

    def _with_moments(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**values, "transaction_moment": self._began_at, "statement_moment": now()}

    _began_at: datetime
