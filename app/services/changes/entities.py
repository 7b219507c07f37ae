"""The registry of entities: how each table is synced, undone, exported, imported, limited and purged.

A new table is one entry here; CONTRIBUTING.md names what else some tables need. This module imports models, schemas and
errors only, so every service may read it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Table

from app.errors import AppError, TooManyProjects, TooManyViews
from app.models.comments import COMMENTS, comment_of_change
from app.models.conversations import CONVERSATIONS, MESSAGES, conversation_of_change, message_of_change
from app.models.projects import PROJECTS, project_of_change
from app.models.task_rows import task_of_change
from app.models.tasks import TASKS
from app.models.types import IgnoresReadOnlyFields
from app.models.views import VIEWS, view_of_change
from app.schemas.transfer import CommentImport, ProjectImport, TaskImport, ViewImport

# Columns that the service computes for every row: neither an undo nor an import writes stored values of them.
MANAGED_COLUMNS = frozenset({"user_id", "id", "position", "version", "remind_at"})

# The fields of the API that these columns hold.
FIELD_NAMES = {
    "due_on": "due_date",
    "due_at": "due_date",
    "completed_at": "completed",
    "deleted_at": "deleted",
    "archived_at": "archived",
    "moved_to": "position",
    "anchor_on": "recurrence",
    "anchor_at": "recurrence",
    "occurrences_done": "recurrence",
}


class RowLimit(NamedTuple):
    """The maximum of an owner's rows that are not in the trash, and the error for one more."""

    rows: int
    error: type[AppError]


class Entity(NamedTuple):
    """A table whose writes take the owner's next revision. The defaults are those of rows that users do not edit."""

    name: str
    """The value of ``changes.entity``."""
    table: Table
    to_read_shape: Callable[[Mapping[str, Any]], Any]
    """Turns ``changes.data``, or a row of the table, into what a GET of the row returns."""
    undoable: bool = False
    undo_groups: tuple[frozenset[str], ...] = ()
    """Sets of columns that are one field: an undo restores all of them or none."""
    linked_fields: tuple[frozenset[str], ...] = ()
    """More sets of fields of which a merge takes all from one side: a value of one follows from another."""
    exported: Literal["all", "live"] | None = None
    """Whether /export holds its rows, and those in the trash."""
    long_texts: tuple[str, ...] = ()
    """The columns that bound how many rows fit on a page of an export or a snapshot."""
    live_key: str | None = None
    """A column that never changes, which precedes the id in an index of the rows that are not in the trash."""
    imported: type[IgnoresReadOnlyFields] | None = None
    """The schema of a row in a file."""
    import_key: Literal["source_id", "name"] = "source_id"
    """The column by which an import recognises a row that it has made before."""
    purge_order: int | None = None
    """Order in which the trash is emptied; None: it has no ``deleted_at``."""
    limit: RowLimit | None = None

    def read_row(self, row: Any) -> Any:
        """Turns a row of a statement into what a GET of it returns."""
        return self.to_read_shape(row._asdict() if hasattr(row, "_asdict") else row)

    @property
    def merged_together(self) -> list[frozenset[str]]:
        """Lists the sets of fields, by their names in the API, that a merge takes from one side."""
        of_columns = [frozenset(FIELD_NAMES.get(name, name) for name in group) for group in self.undo_groups]
        return [*of_columns, *self.linked_fields]


class OtherTable(NamedTuple):
    """A table of user data that is not an entity, with the reason. An erasure finds it by its ``user_id``."""

    name: str
    reason: str
    secret: frozenset[str] | Literal["all"] = frozenset()
    """Columns that the export of an account leaves out."""


PROJECT_ENTITY = Entity(
    "project",
    PROJECTS,
    project_of_change,
    undoable=True,
    exported="all",
    imported=ProjectImport,
    purge_order=4,  # tasks refer to it
    limit=RowLimit(1_000, TooManyProjects),  # a list of them has no pages
)
TASK_ENTITY = Entity(
    "task",
    TASKS,
    task_of_change,
    undoable=True,
    undo_groups=(
        frozenset({"due_on", "due_at"}),
        frozenset({"completed", "completed_at"}),
        # A recurring task has a due date, so neither is restored without the other.
        frozenset({"recurrence", "anchor_on", "anchor_at", "occurrences_done", "due_on", "due_at"}),
    ),
    linked_fields=(frozenset({"project_id", "parent_id"}),),  # a subtask is in its parent's project
    exported="all",
    long_texts=("description",),
    live_key="created_at",
    imported=TaskImport,
    purge_order=1,
)
COMMENT_ENTITY = Entity(
    "comment",
    COMMENTS,
    comment_of_change,
    undoable=True,
    exported="live",
    long_texts=("body",),
    imported=CommentImport,
    purge_order=2,
)
VIEW_ENTITY = Entity(
    "view",
    VIEWS,
    view_of_change,
    undoable=True,
    exported="live",
    imported=ViewImport,
    import_key="name",
    purge_order=3,
    limit=RowLimit(200, TooManyViews),
)
# In the order in which they are written: each after those it refers to.
ENTITY_REGISTRY = (
    PROJECT_ENTITY,
    TASK_ENTITY,
    COMMENT_ENTITY,
    VIEW_ENTITY,
    Entity("conversation", CONVERSATIONS, conversation_of_change),
    Entity("message", MESSAGES, message_of_change, long_texts=("content", "tool_calls")),
)
# By the names of their tables, as files name them.
EXPORTED_ENTITIES = {str(entity.table.name): entity for entity in ENTITY_REGISTRY if entity.exported}
IMPORTED_ENTITIES = {str(entity.table.name): entity for entity in ENTITY_REGISTRY if entity.imported}

_LOGIN_REASON = "account data: only the authentication role reads it, also for the export of an account"
OTHER_TABLES = (
    OtherTable("accounts", _LOGIN_REASON, "all"),
    OtherTable("agent_writes", "only points at revisions of its owner"),
    OtherTable("api_tokens", _LOGIN_REASON, "all"),
    OtherTable("calendar_feeds", "a credential: undo must not bring it back", frozenset({"token_hash"})),
    OtherTable("changes", "holds the revisions themselves"),
    OtherTable("email_changes", _LOGIN_REASON, "all"),
    OtherTable("idempotency_keys", "a copy of responses, with secrets in them, kept for a day", "all"),
    OtherTable("password_resets", _LOGIN_REASON, "all"),
    OtherTable("refresh_tokens", _LOGIN_REASON, "all"),
    OtherTable("sessions", _LOGIN_REASON, "all"),
    OtherTable("token_use", "a counter of the service"),
    OtherTable("webhook_deliveries", "a record of what was sent, of which the latest are kept"),
    OtherTable(
        "webhooks",
        "a subscription: clients do not sync it",
        frozenset({"secret", "previous_secret", "lease", "leased_until"}),
    ),
)
