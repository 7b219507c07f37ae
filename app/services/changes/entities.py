"""The registry of entities: how each table is synced, undone, exported, imported, limited and purged.

A new table is one entry here; CONTRIBUTING.md names what else some tables need. This module imports models, schemas and
errors only, so every service may read it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from sqlalchemy import Table

from app.errors import AppError, TooManyChannels, TooManyProjects, TooManyTagColors, TooManyViews
from app.models.channels import CHANNELS, channel_of_change
from app.models.comments import COMMENTS, comment_of_change
from app.models.conversations import CONVERSATIONS, MESSAGES, conversation_of_change, message_of_change
from app.models.projects import PROJECTS, project_of_change
from app.models.tags import TAG_COLORS, tag_of_change
from app.models.task_rows import task_of_change
from app.models.tasks import TASKS
from app.models.types import IgnoresReadOnlyFields
from app.models.views import VIEWS, view_of_change
from app.schemas.transfer import ChannelImport, CommentImport, ProjectImport, TagImport, TaskImport, ViewImport

# Columns that the service computes for every row: neither an undo nor an import writes stored values of them.
MANAGED_COLUMNS = frozenset({"user_id", "id", "position", "version", "remind_at", "next_digest_at", "secrets"})

# The fields of the API that these columns hold.
FIELD_NAMES = {
    "due_on": "due_date",
    "due_at": "due_date",
    "start_on": "start_date",
    "start_at": "start_date",
    "completed_at": "completed",
    "state": "status",
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
    placement: Literal["distributed", "coordinator"] = "distributed"
    """Where its rows are in a distributed database: with the other rows of their user, or on the coordinator. Accounts
    and logins are looked up before anybody knows whose they are."""


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
CHANNEL_ENTITY = Entity(
    "channel",
    CHANNELS,
    channel_of_change,
    undoable=True,
    undo_groups=(frozenset({"active", "disabled_reason"}), frozenset({"quiet_from", "quiet_to"})),
    exported="live",
    imported=ChannelImport,
    import_key="name",
    purge_order=5,
    limit=RowLimit(50, TooManyChannels),
)
TAG_ENTITY = Entity(
    "tag",
    TAG_COLORS,
    tag_of_change,
    undoable=True,
    exported="live",
    imported=TagImport,
    import_key="name",
    purge_order=6,
    limit=RowLimit(1_000, TooManyTagColors),
)
TASK_ENTITY = Entity(
    "task",
    TASKS,
    task_of_change,
    undoable=True,
    undo_groups=(
        frozenset({"due_on", "due_at"}),
        frozenset({"start_on", "start_at"}),
        frozenset({"completed", "completed_at", "state"}),
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
    CHANNEL_ENTITY,
    TAG_ENTITY,
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
    OtherTable("accounts", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("agent_writes", "only points at revisions of its owner"),
    OtherTable("api_tokens", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("calendar_feeds", "a credential: undo must not bring it back", frozenset({"token_hash"})),
    OtherTable("changes", "holds the revisions themselves"),
    OtherTable("channel_secrets", "secrets are write-only: nothing that shows a change may hold them", "all"),
    OtherTable("deliveries", "what is to be sent, and the record of it", frozenset({"lease", "leased_until"})),
    OtherTable("email_changes", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("idempotency_keys", "a copy of responses, with secrets in them, kept for a day", "all"),
    OtherTable("login_challenges", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("oauth_codes", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("oidc_links", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("passkeys", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("password_resets", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("recovery_codes", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("refresh_tokens", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("sessions", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("totp_secrets", _LOGIN_REASON, "all", "coordinator"),
    OtherTable("token_use", "a counter of the service"),
    OtherTable("webhook_deliveries", "a record of what was sent, of which the latest are kept"),
    OtherTable(
        "webhooks",
        "a subscription: clients do not sync it",
        frozenset({"secret", "previous_secret", "lease", "leased_until"}),
    ),
)
# The tables that are distributed, all rows of a user on one server, and the column that says whose a row is.
DISTRIBUTED_TABLES = {"users": "id"}
DISTRIBUTED_TABLES |= {str(entity.table.name): "user_id" for entity in ENTITY_REGISTRY}
DISTRIBUTED_TABLES |= {other.name: "user_id" for other in OTHER_TABLES if other.placement == "distributed"}
