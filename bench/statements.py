"""The service's own statements on the hot path, for contestants that issue the same."""

import json
from typing import Any

from app.config import Settings
from app.db.compiled import CompiledStatement
from app.db.connection_options import connect_options
from app.db.database import Database, quote_owner
from app.services import users
from app.services.tasks.completion import complete_statement
from app.services.tasks.creation import CREATE_TASK
from app.services.tasks.queries import QueryText, page_statement
from app.services.tasks.statements import SELECT_TASK


class Statement:
    """Returns text and argument names of a statement, with the defaults of those that are not given."""

    def __init__(self, prepared: CompiledStatement) -> None:
        self.sql = prepared.sql
        self.names = [name for name, _ in prepared._arguments]
        self.defaults = prepared._defaults

    def arguments(self, **values: Any) -> list[Any]:
        return [values[name] if name in values else self.defaults[name] for name in self.names]


GET_TASK = Statement(SELECT_TASK)
LIST_TASKS = Statement(page_statement(QueryText(sort="created_at", descending=True)))
CREATE_ONE_TASK = Statement(CREATE_TASK)
TOGGLE_TASK = Statement(complete_statement(toggle=True, checks_version=False))
READ_REVISION = Statement(users.SELECT_REVISION)


def begin(*, read_only: bool) -> str:
    """Returns the statement that begins a transaction, up to the quoted owner."""
    settings = Settings(_env_file=None)
    assert settings.database_url is not None
    options = connect_options(settings.database_url.get_secret_value(), settings)
    text = Database(options, size=1, timeout=1).transaction("probe", read_only=read_only)._begin
    return text.removesuffix(quote_owner("probe"))


def as_json() -> str:
    """Returns all statements as JSON, for contestants in other languages. ``begin_*`` also lack the owner."""
    found: dict[str, Any] = {"begin_read": begin(read_only=True), "begin_write": begin(read_only=False)}
    named = {
        "get": GET_TASK,
        "list": LIST_TASKS,
        "create": CREATE_ONE_TASK,
        "toggle": TOGGLE_TASK,
        "revision": READ_REVISION,
    }
    for name, statement in named.items():
        found[name] = {"sql": statement.sql, "names": statement.names, "defaults": statement.defaults}
    return json.dumps(found)


if __name__ == "__main__":
    print(as_json())
