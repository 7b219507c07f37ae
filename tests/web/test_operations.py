"""Every operation of the OpenAPI document has a place in the web client, or a reason to have none."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from app.routers.web_client import CLIENT_FILES

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
METHODS = {"get", "post", "put", "patch", "delete"}
PLACEHOLDER = re.compile(r"\$?\{[^}]*\}")
CALL = re.compile(r"""(?:method: )?["'](GET|POST|PUT|PATCH|DELETE)["'],\s*(?:path: )?["'`]([^"'`?]+)""")
# Called by a path that is put together, so that no text of a module holds it.
OF_ENTITIES = [
    "create_task",
    "create_project",
    "create_comment",
    "create_view",
    "duplicate_task",
    "duplicate_project",
    "delete_task",
    "delete_project",
    "delete_view",
    "update_view",
    "rename_tag",
    "delete_tag",
    "export_tasks",
    "export_account",
    "import_tasks",
    "write_batch",
]
IN_REPLICA = [
    "list_projects",
    "get_project",
    "list_tags",
    "list_views",
    "get_view",
    "list_view_tasks",
    "list_comments",
    "get_comment",
    "list_channels",
    "get_channel",
    "get_webhook",
]
OF_PROGRAMS = ["get_jwks", "health", "ready", "read_calendar", "put_task", "put_project"]
WITHOUT_PLACE = ["get_conversation"]  # the list has all of it
REASONS = {*OF_ENTITIES, *IN_REPLICA, *OF_PROGRAMS, *WITHOUT_PLACE}


def operations() -> Iterator[tuple[str, str, str]]:
    """Yields the id, the method and the path of each operation, with ``{}`` for parameters."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            yield item[method]["operationId"], method.upper(), PLACEHOLDER.sub("{}", path)


def called() -> set[tuple[str, str]]:
    """Returns the methods and paths that stand next to each other in the client's modules."""
    found = set()
    for name, content in CLIENT_FILES.items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            for method, path in CALL.findall(content.decode()):
                whole = f"/{path}" if path.startswith("api/") else f"/api/{{}}{path}"
                found.add((method, PLACEHOLDER.sub("{}", whole)))
    return found


def test_every_operation_has_a_place_or_a_reason() -> None:
    calls = called()
    missing = {name for name, method, path in operations() if (method, path) not in calls}
    assert missing - REASONS == set(), "neither called by the web client nor explained"
    assert REASONS - missing == set(), "explained, and called"
