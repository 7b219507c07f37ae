"""The indexes of tasks: what each is for, and which columns it has besides."""

from typing import Any

from sqlalchemy import Index, text

WHERE_LIVE = text("deleted_at is null")
WHERE_OPEN = text("deleted_at is null and not completed and state <> 'cancelled'")
WHERE_DAV_NAME = text("dav_name is not null and deleted_at is null")
WHERE_PARENT_WANTED = text("parent_wanted is not null")
# Almost all tasks: an index can hold their text and tags. An entry may have 2,704 bytes; these have at most 2,400, of
# which five tags can be 1,064.
SHORT_TEXT_CONDITION = "octet_length(user_id) <= 255 and octet_length(search_text) <= 1000 and cardinality(tags) <= 5"
LONG_TEXT_CONDITION = "(octet_length(user_id) > 255 or octet_length(search_text) > 1000 or cardinality(tags) > 5)"
WHERE_SHORT_TEXT = text(f"deleted_at is null and {SHORT_TEXT_CONDITION}")
WHERE_LONG_TEXT = text(f"deleted_at is null and {LONG_TEXT_CONDITION}")
# A list of a project in these orders is sorted by what the index has; only by title each row is read.
PROJECT_INCLUDED = ("deleted_at", "created_at", "updated_at", "due_sort", "completed_sort", "priority_sort")
TEXT_INCLUDED = ("project_id", "completed", "state", "tags", "search_text")


def _covering(name: str, *columns: str, include: tuple[str, ...], where: Any = None) -> Index:
    return Index(name, "user_id", *columns, "id", postgresql_include=include, postgresql_where=where)


def task_indexes() -> tuple[Index, ...]:
    return (
        # One index for each sort order. A page is a range of one: (sort key, id) after the cursor. Included columns are
        # what requests about many tasks read of each: the rows of one user are all over the table, a page for each.
        Index("tasks_by_created_at", "user_id", "created_at", "id", postgresql_where=WHERE_LIVE),
        Index("tasks_by_updated_at", "user_id", "updated_at", "id", postgresql_where=WHERE_LIVE),
        _covering("tasks_by_due", "due_sort", include=("created_at", "due_on", "due_at"), where=WHERE_LIVE),
        Index("tasks_by_completed_at", "user_id", "completed_sort", "id", postgresql_where=WHERE_LIVE),
        Index("tasks_by_priority", "user_id", "priority_sort", "id", postgresql_where=WHERE_LIVE),
        Index("tasks_by_title", "user_id", "title_sort", "id", postgresql_where=WHERE_LIVE),
        _covering(
            "tasks_open", "created_at", include=("due_on", "due_at", "deadline", "estimate_minutes"), where=WHERE_OPEN
        ),
        Index("tasks_open_by_due", "user_id", "due_sort", "id", postgresql_where=WHERE_OPEN),
        Index("tasks_favorites", "user_id", "created_at", "id", postgresql_where=text(f"favorite and {WHERE_LIVE}")),
        # With tasks_open_by_due: what is overdue.
        Index(
            "tasks_open_by_deadline",
            "user_id",
            "deadline",
            "id",
            postgresql_where=text(f"deadline is not null and {WHERE_OPEN}"),
        ),
        # For words, tags and counts. Under row-level security no index finds a word, but this one has all that is read.
        _covering("tasks_by_text", "created_at", include=TEXT_INCLUDED, where=WHERE_SHORT_TEXT),
        Index("tasks_by_long_text", "user_id", "created_at", "id", postgresql_where=WHERE_LONG_TEXT),
        # With the rows in the trash: a move must choose a key that no restored row has.
        Index("tasks_by_position", "user_id", "position", "id"),
        # These also serve the foreign keys, when a referenced row is deleted permanently.
        _covering("tasks_by_project", "project_id", "position", include=PROJECT_INCLUDED),  # with the inbox
        Index(
            "tasks_by_parent", "user_id", "parent_id", "position", "id", postgresql_where=text("parent_id is not null")
        ),
        Index("tasks_by_series", "user_id", "series_id", "id", postgresql_where=text("series_id is not null")),
        Index("tasks_by_remind_at", "remind_at", postgresql_where=text("remind_at is not null")),
        Index(
            "tasks_by_source_id", "user_id", "source_id", unique=True, postgresql_where=text("source_id is not null")
        ),
        Index("tasks_dav_name_key", "user_id", "dav_name", unique=True, postgresql_where=WHERE_DAV_NAME),
        Index("tasks_by_parent_wanted", "user_id", "parent_wanted", "id", postgresql_where=WHERE_PARENT_WANTED),
        Index("tasks_trash", "user_id", "deleted_at", "id", postgresql_where=text("deleted_at is not null")),
        Index("tasks_trash_by_age", "deleted_at", postgresql_where=text("deleted_at is not null")),
    )
