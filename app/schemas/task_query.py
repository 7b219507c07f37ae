"""The query of a task list, with the parameter names of other front-ends."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError

from app.domain.filters.fields import depends_on_clock, has_moments
from app.domain.filters.grammar import FILTER_MAX, parse_filter
from app.domain.filters.tree import THE_END, FilterError, FilterTooLarge, FilterTree, conditions_of
from app.models.task_aliases import (
    CONDITION_ALIASES,
    DONE_ALIASES,
    FILTER_ALIASES,
    PAGE_ALIASES,
    SENT_NAMES,
    SORT_ALIASES,
    resolve_aliases,
)
from app.models.task_fields import PLACE_TWINS, TAG_MAX, TAGS_MAX, DueDate, Priority
from app.models.tasks import TrashedTaskRead
from app.models.types import Day, RequestModel, Uid, UidTwin, cleaned, field_error, visible_text
from app.pagination import LIMIT_DEFAULT, LIMIT_MAX, OFFSET_MAX
from app.schemas.queries import IdOrNone, PageQuery, QueryFlag, is_digits, parse_flag

SEARCH_MAX = 200
FLAG_ALIASES = {"completed", *DONE_ALIASES}  # of status


class TaskStatusFilter(StrEnum):
    ALL = "all"
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


class TaskSort(StrEnum):
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    DUE_DATE = "due_date"
    PRIORITY = "priority"
    TITLE = "title"
    COMPLETED_AT = "completed_at"
    RELEVANCE = "relevance"
    POSITION = "position"


class SortDirection(StrEnum):
    ASC = "asc"
    DESC = "desc"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _choices(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _filter(text: str) -> str:
    """Checks that ``text`` is a filter, or empty."""
    if text.strip():
        visible_text(text, FILTER_MAX)
    try:
        parse_filter(text)
    except FilterTooLarge as error:
        raise PydanticCustomError("filter_too_large", "A filter has at most {limit}.", {"limit": error.limit}) from None
    except FilterError as error:
        found = error.found if error.found == THE_END else f'"{error.found}"'
        raise PydanticCustomError(
            "filter_syntax",
            "Column {column}: found {shown}, expected {choices}.",
            {
                "column": error.column, "found": error.found, "expected": [*error.expected],
                "shown": found, "choices": _choices(error.expected),
            },
        ) from None  # fmt: skip
    return text


FILTER_EXAMPLE = "(tag:home OR project:Garden) AND NOT status:waiting AND due < today+7d"
FilterText = Annotated[str, cleaned(FILTER_MAX), Field(max_length=FILTER_MAX), AfterValidator(_filter)]
TagFilter = Annotated[str, cleaned(TAG_MAX), Field(min_length=1, max_length=TAG_MAX)]


class TrashQuery(PageQuery):
    """Only a page: the trash has one order."""

    ROW: ClassVar[type[BaseModel]] = TrashedTaskRead


class TaskConditions(RequestModel):
    """The filters of tasks. All must match."""

    KEEPS_NULL: ClassVar[bool] = True  # a bulk write selects by them: a filter of null must not make it wider
    ALIASES: ClassVar[Mapping[str, str]] = CONDITION_ALIASES
    TWINS: ClassVar[Mapping[str, UidTwin]] = {**PLACE_TWINS, "series_uid": UidTwin("series_id", "task")}

    status: TaskStatusFilter = Field(
        TaskStatusFilter.ALL, description="pending: all that are open, in progress and waiting too."
    )
    search: Annotated[str, cleaned(SEARCH_MAX), Field(max_length=SEARCH_MAX)] | None = Field(
        None, description="All words, in any case and with any accents, in title, description, tags or comments."
    )
    priority: Annotated[list[Priority], Field(max_length=len(Priority)), BeforeValidator(_as_list)] = Field(
        [], description="Any of these; repeatable."
    )
    tag: Annotated[list[TagFilter], Field(max_length=TAGS_MAX), BeforeValidator(_as_list)] = Field(
        [], description="All of these; repeatable."
    )
    project_id: IdOrNone | None = Field(None, description="In this project; none: in the inbox.")
    project_uid: Uid | None = Field(None, description="In the project with this uid.")
    parent_id: IdOrNone | None = Field(None, description="Subtasks of this task; none: top-level tasks.")
    parent_uid: Uid | None = Field(None, description="Subtasks of the task with this uid.")
    series_id: IdOrNone | None = Field(
        None, description="Completed occurrences of this recurring task; none: no occurrences."
    )
    series_uid: Uid | None = Field(None, description="Completed occurrences of the recurring task with this uid.")
    due_before: DueDate | None = Field(None, description="Due before this day or instant.")
    due_after: DueDate | None = Field(None, description="Due on or after this day or instant.")
    deadline_before: Day | None = Field(None, description="With a deadline before this day.")
    deadline_after: Day | None = Field(None, description="With a deadline on or after this day.")
    overdue: QueryFlag | None = Field(
        None, description="true: open and past its due date or its deadline; false: everything else."
    )
    available: QueryFlag | None = Field(
        None, description="true: without open tasks that start later; false: only those."
    )
    favorite: QueryFlag | None = Field(None, description="true: favorites; false: the others.")
    filter: FilterText | None = Field(
        None, description="Conditions with AND, OR, NOT and parentheses: docs/filters.md.", examples=[FILTER_EXAMPLE]
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_aliases(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = cls.ALIASES.keys() | cls.model_fields
        if nulls := {name for name, value in data.items() if value is None and name in known}:
            if cls.KEEPS_NULL:
                raise field_error(min(nulls), "null_condition", "Null is no condition: leave it out.")
            data = {name: value for name, value in data.items() if name not in nulls}
        if not cls.ALIASES.keys().isdisjoint(data):
            data = resolve_aliases(_translate(data), cls.ALIASES, once=True)
        sort = data.get("sort")
        return {**data, "sort": SORT_ALIASES[sort]} if isinstance(sort, str) and sort in SORT_ALIASES else data

    @model_validator(mode="after")
    def _no_blank_condition(self) -> Self:
        for name in self.model_fields_set if self.KEEPS_NULL else ():
            value = getattr(self, name)
            if value == [] or (isinstance(value, str) and not value.strip()):
                raise field_error(name, "blank_condition", "A blank condition matches every task: leave it out.")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        properties = handler.resolve_ref_schema(schema).get("properties", {}) if cls.KEEPS_NULL else {}
        for name, field in properties.items():
            if field.get("type") == "array":
                field["minItems"] = 1
            branches = [branch for branch in field.get("anyOf", ()) if branch != {"type": "null"}]
            if name in {"search", "filter"}:
                branches = [branch | {"pattern": r"\S"} for branch in branches]
            if len(branches) == 1:
                properties[name] = branches[0] | {key: each for key, each in field.items() if key != "anyOf"}
            elif branches:
                properties[name] = field | {"anyOf": branches}
        return schema

    @property
    def stable(self) -> bool:
        """Returns whether the response changes with writes and the time zone only, and not with the clock."""
        tree = self.filter_tree
        if self.overdue is not None or self.available is not None:
            return False
        return tree is None or not any(map(depends_on_clock, conditions_of(tree)))

    @property
    def depends_on_zone(self) -> bool:
        """Returns whether the owner's time zone decides which tasks match: a day or a local time is compared."""
        if self.due_before is not None or self.due_after is not None:
            return True
        return self.filter_tree is not None and any(map(has_moments, conditions_of(self.filter_tree)))

    @property
    def filter_tree(self) -> FilterTree | None:
        return parse_filter(self.filter) if self.filter else None


class TaskFilter(TaskConditions):
    """The filters and the order of tasks."""

    KEEPS_NULL: ClassVar[bool] = False
    ALIASES: ClassVar[Mapping[str, str]] = FILTER_ALIASES

    sort: TaskSort = Field(
        TaskSort.CREATED_AT,
        description="A task without the date of the order counts as later than any that has one. `relevance` needs "
        "`search`: title before tags, description and comments, the beginning of words before their middle.",
    )
    order: SortDirection | None = Field(None, description="Default: desc; asc for title, due_date and position.")

    @model_validator(mode="after")
    def _relevance_of_something(self) -> Self:
        if self.sort is TaskSort.RELEVANCE and not (self.search and self.search.strip()):
            raise field_error(
                "sort", "relevance_of_nothing", "Sorting by relevance needs words to look for, in search."
            )
        return self

    @property
    def direction(self) -> SortDirection:
        """Returns the requested order, or the default of the sort key."""
        ascending = self.sort in (TaskSort.TITLE, TaskSort.DUE_DATE, TaskSort.POSITION)
        return self.order or (SortDirection.ASC if ascending else SortDirection.DESC)


class TaskQuery(PageQuery, TaskFilter):
    """Filters, order and page."""

    ALIASES: ClassVar[Mapping[str, str]] = PAGE_ALIASES


def _translate(data: dict[str, Any]) -> dict[str, Any]:
    """Returns ``data`` with the values of flags and pages as those of the parameters that they are aliases of."""
    translated = {**data, **{alias: _status(alias, data[alias]) for alias in FLAG_ALIASES & data.keys()}}
    if "page" in data:
        limit = next((data[name] for name in ("limit", *SENT_NAMES["limit"]) if name in data), None)
        translated["page"] = _offset(data["page"], limit)
    return translated


def _status(alias: str, value: Any) -> TaskStatusFilter:
    try:
        return TaskStatusFilter.COMPLETED if parse_flag(value) else TaskStatusFilter.PENDING
    except PydanticKnownError:
        raise field_error(alias, "bool_parsing", "Expected true or false.") from None


def _offset(page: Any, limit: Any) -> int:
    """Returns the first row of a page. No ``limit`` and a wrong one, which is reported itself, count as the default."""
    rows = int(limit) if is_digits(limit) and 1 <= int(limit) <= LIMIT_MAX else LIMIT_DEFAULT
    last = OFFSET_MAX // rows + 1
    if not is_digits(page) or not 1 <= int(page) <= last:
        raise field_error("page", "page", "Expected a whole number from 1 to {last}.", last=last)
    return (int(page) - 1) * rows
