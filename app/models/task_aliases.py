"""Other names of parameters, fields and values of tasks, which existing front-ends send: docs/drop-in.md."""

from collections.abc import Mapping
from typing import Any

from app.models.types import field_error

DONE_ALIASES = ("is_completed", "isCompleted", "is_complete")
# Alias -> name. Of a list:
CONDITION_ALIASES = {"status_filter": "status", "completed": "status", **dict.fromkeys(DONE_ALIASES, "status")}
CONDITION_ALIASES |= {"q": "search", "query": "search", "tags": "tag"}
FILTER_ALIASES = {**CONDITION_ALIASES, **dict.fromkeys(("sort_by", "sortBy", "order_by"), "sort")}
FILTER_ALIASES |= dict.fromkeys(("sort_order", "sortOrder"), "order")
PAGE_ALIASES = {**FILTER_ALIASES, "skip": "offset", "page": "offset"}
PAGE_ALIASES |= dict.fromkeys(("per_page", "page_size", "pageSize"), "limit")
# Of a body:
BODY_ALIASES = {**dict.fromkeys(DONE_ALIASES, "completed"), "dueDate": "due_date", "due_at": "due_date"}
BODY_ALIASES |= {"projectId": "project_id", "parentId": "parent_id"}
READ_ONLY_ALIASES = frozenset({"userId", "createdAt", "updatedAt", "completedAt"})
# Value -> value.
SORT_ALIASES = {
    **dict.fromkeys(("created", "createdAt"), "created_at"),
    **dict.fromkeys(("updated", "updatedAt"), "updated_at"),
    **dict.fromkeys(("due", "dueDate"), "due_date"),
    **dict.fromkeys(("status", "completed", *DONE_ALIASES), "completed_at"),
}


def _by_name(*tables: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for alias, name in (pair for table in tables for pair in table.items()):
        found[name] = (*found.get(name, ()), alias)
    return found


SENT_NAMES = _by_name(PAGE_ALIASES, BODY_ALIASES)  # of each name its aliases: an error names the one that was sent


def resolve_aliases(
    data: Mapping[str, Any], aliases: Mapping[str, str], *, once: bool = False, drop_null: bool = False
) -> dict[str, Any]:
    """Returns ``data`` under the names of this service. Raises PydanticCustomError where two names contradict.

    Where they agree, a body is accepted: a client may send back what it was sent. A query names each thing once. With
    ``drop_null``, null contradicts no value.
    """
    if drop_null:
        have_value = {aliases.get(name, name) for name, value in data.items() if value is not None}
        data = {k: value for k, value in data.items() if value is not None or aliases.get(k, k) not in have_value}
    resolved = {name: value for name, value in data.items() if name not in aliases}
    for alias in (each for each in data if each in aliases):
        name, value = aliases[alias], data[alias]
        if (once and name in resolved) or resolved.setdefault(name, value) != value:
            both = {"alias": alias, "name": name}
            raise field_error(alias, "alias_conflict", "Send {alias} or {name}: they mean the same.", **both)
    return resolved
