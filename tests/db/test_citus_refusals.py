"""Statements that Citus would refuse unchanged, according to its source: planner/multi_router_planner.c.

Nothing here was tried on Citus. The lists should become shorter, and not longer unnoticed: see docs/scaling.md.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.db.compiled import CompiledStatement
from app.db.distributed_changes import DistributedWrite
from app.services import comments, projects, views
from app.services.tasks.completion import complete_statement
from app.services.tasks.creation import create_statement
from app.services.tasks.statements import update_rows_statement, update_statement
from app.services.tasks.subtasks import write_trees_statement
from app.services.tasks.trash import delete_statement
from app.services.undo import UNDO_WRITES

MODIFYING_CTE = re.compile(r"\bas\s*\(\s*(insert|update|delete)\b", re.IGNORECASE)
# Writes that are built on request: one of each kind. The others are found in the modules.
BUILT = {
    "tasks: title": update_statement(frozenset({"title"})),
    "tasks: due date": update_statement(frozenset({"due_on", "due_at"})),
    "tasks: completed": update_statement(frozenset({"completed"}), alone=True),
    "tasks: complete": complete_statement(toggle=True, checks_version=True),
    "tasks: delete": delete_statement(checks_version=True),
    "tasks: with reminders": create_statement(frozenset({"reminders"})),
    "tasks: move below": write_trees_statement(moves=True),
    "tasks: complete below": write_trees_statement(completed=True),
    "tasks: reopen below": write_trees_statement(completed=False),
    "tasks: move and complete below": write_trees_statement(moves=True, completed=True),
    "projects: rename": projects._update_project(frozenset({"name"}), checks_version=True),
    "projects: archive": projects._update_project(frozenset({"archived_at"}), checks_version=False),
    "comments: update": comments._comment_write("updated", checks_version=True),
    "views: update": views._update_view(frozenset({"name"}), checks_version=True),
    "bulk: tags": update_rows_statement(frozenset(), frozenset({"tags"})),
}
REFUSED = {
    "function not immutable": {
        "completion.REOPEN_TASKS",
        "projects.TRASH_TASKS",
        "projects: archive",
        "reminders.FIRE_REMINDERS",
        "tasks: complete",
        "tasks: completed",
        "tasks: due date",
        "tasks: move and complete below",
        "tasks: reopen below",
        "trash.DELETE_TREE",
        "trash.DELETE_TREES",
        "trash.RESTORE_TREE",
        "trash.RESTORE_TREES",
        "undo.UNDO_WRITES[task].first",
        "undo.UNDO_WRITES[task].next",
        "user_settings.SHIFT_REMINDERS",
    },
    "insert from select": {
        "comments.INSERT_COMMENT",
        "completion.KEEP_OCCURRENCES",
        "creation.INSERT_TASKS",
        "conversations.INSERT_FIRST_MESSAGE",
        "conversations.INSERT_MESSAGE",
        "projects.INSERT_PROJECT",
        "store.INSERT_ROWS[comments]",
        "store.INSERT_ROWS[projects]",
        "store.INSERT_ROWS[tasks]",
        "store.INSERT_ROWS[views]",
        "store.INSERT_TASK[False]",
        "store.INSERT_TASK[True]",
    },
    "sub-select in returning": {
        "tasks: completed",
        "tasks: move and complete below",
        *(f"undo.UNDO_WRITES[{entity}].{which}" for entity in UNDO_WRITES for which in ("first", "next")),
    },
    "sub-select in values": {"tasks: with reminders"},
}


def statements(value: Any, name: str) -> Iterator[tuple[str, CompiledStatement]]:
    if isinstance(value, CompiledStatement):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from statements(item, f"{name}[{key}]")
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key in value._fields:
            yield from statements(getattr(value, key), f"{name}.{key}")


def all_statements() -> dict[str, CompiledStatement]:
    """Returns the statements by their defining module and their name there."""
    found = dict(BUILT)
    for module in [module for name, module in sys.modules.items() if name.startswith("app.")]:
        source = Path(str(module.__file__)).read_text()
        for name, value in vars(module).items():
            if re.search(rf"^[\w, ]*\b{name}\b[^=(\n]*=", source, re.MULTILINE):  # not imported
                found |= statements(value, f"{module.__name__.rpartition('.')[2]}.{name}")
    return found


def distributed_writes() -> dict[str, DistributedWrite]:
    return {
        name: found.alternative
        for name, found in all_statements().items()
        if isinstance(found.alternative, DistributedWrite)
    }


def refusals(sql: str) -> set[str]:
    """Returns the constructs that the planner does not route to a single server."""
    text = " ".join(sql.split())
    body, _, returned = text.partition(" RETURNING ")
    found = {
        "modifying cte": MODIFYING_CTE.search(text),
        "sub-select in returning": "select " in returned.lower(),
    }
    if text.startswith("INSERT"):
        found["insert from select"] = ") SELECT " in body  # becomes a COPY, because of the identity column
        found["sub-select in values"] = ") VALUES " in body and "SELECT" in body
    else:
        found["function not immutable"] = re.search(
            r"next_reminder\(|clock_timestamp\(|CASE WHEN (?:(?!END).)*now\(\)", body
        )
    return {kind for kind, is_so in found.items() if is_so}


def test_no_recorded_write_has_a_modifying_cte() -> None:
    for name, plain in distributed_writes().items():
        assert not MODIFYING_CTE.search(plain.write.sql + plain.log.sql + plain.take.sql), name


def test_the_other_statements_with_a_modifying_cte_are_listed() -> None:
    others = {
        name
        for name, found in all_statements().items()
        if found.alternative is None and MODIFYING_CTE.search(found.sql)
    }
    assert others == {
        "agent_writes.INSERT_AGENT_WRITES",
        "api_tokens.INSERT_API_TOKEN",
        "idempotency.STORE_RESPONSE",
        "login_throttle.FORGIVE_ATTEMPTS",
        "mailed_tokens.DELETE_MAILED_TOKENS",
        "mailed_tokens.INSERT_RESET",
        "profile.INSERT_ACCOUNT",
        "refresh.EXTEND_SESSION",
        "sessions.INSERT_SESSION",
        "token_budget.RESERVE_TOKENS",
    }


def test_the_recorded_writes_that_citus_would_refuse_are_listed() -> None:
    refused: dict[str, set[str]] = {}
    for name, plain in distributed_writes().items():
        for kind in refusals(plain.write.sql):
            refused.setdefault(kind, set()).add(name)
    assert refused == REFUSED
