"""Parameters that queries share: pages, ids, flags, numbers."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticKnownError
from typing_extensions import TypeAliasType

from app.models.tasks import TaskRead
from app.models.types import RequestModel, RowId, field_error
from app.pagination import CURSOR_MAX, LIMIT_DEFAULT, LIMIT_MAX, OFFSET_MAX

FIELDS_MAX = 500  # characters: the names of all fields are fewer


def is_digits(value: Any) -> bool:
    """Returns whether ``value`` is a whole number: int() also accepts "+1", "1_0" and digits of other scripts."""
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) <= 19
    return isinstance(value, int) and not isinstance(value, bool)


def parse_digits(value: Any) -> Any:
    if not is_digits(value):
        raise PydanticKnownError("int_parsing")
    return value


def parse_flag(value: Any) -> Any:
    match value.lower() if isinstance(value, str) else value:
        case "true" | "1" | True:
            return True
        case "false" | "0" | False:
            return False
    raise PydanticKnownError("bool_parsing")


def _parse_id(value: Any) -> Any:
    """Parses the canonical spelling of a number; int() would accept others. The bounds of an id are checked later."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 40 and value == str(int(value)):
        return int(value)
    return value


WholeNumber = BeforeValidator(parse_digits)
QueryId = Annotated[RowId, BeforeValidator(_parse_id)]
IdOrNone = TypeAliasType("IdOrNone", QueryId | Literal["none"])
IdOrInbox = TypeAliasType("IdOrInbox", QueryId | Literal["inbox"])
QueryFlag = Annotated[bool, BeforeValidator(parse_flag)]
# The bounds come before the validator: after it the OpenAPI document would have "ge" and "le".
PageLimit = Annotated[int, Field(ge=1, le=LIMIT_MAX), WholeNumber]
Offset = Annotated[int, Field(ge=0, le=OFFSET_MAX), WholeNumber]
CursorText = Annotated[str, Field(min_length=1, max_length=CURSOR_MAX)]


class PageQuery(RequestModel):
    """The page of a list of tasks."""

    ROW: ClassVar[type[BaseModel]] = TaskRead

    limit: PageLimit = LIMIT_DEFAULT
    offset: Offset | None = Field(None, description="Rows to skip; not together with `cursor`, cheaper for deep pages.")
    cursor: CursorText | None = Field(
        None, description="Opaque; from the Link header of another page of the same list. Not together with `offset`."
    )
    count: QueryFlag | None = Field(None, description="Count all matching tasks into X-Total-Count.")
    fields: Annotated[str, Field(min_length=1, max_length=FIELDS_MAX)] | None = Field(
        None, description="Only these fields of each task, separated by commas.", examples=["id,uid,title,completed"]
    )

    @model_validator(mode="after")
    def _one_way_of_paging(self) -> Self:
        if self.cursor is not None and self.offset is not None:
            raise field_error("cursor", "paging_conflict", "Page by cursor or by offset, not by both.")
        return self

    @model_validator(mode="after")
    def _known_fields(self) -> Self:
        for name in self.field_names or ():
            if name not in self.ROW.model_fields:
                raise field_error("fields", "unknown_field", "No field of a task: {name}.", name=name)
        return self

    @property
    def field_names(self) -> list[str] | None:
        """Returns the fields that were asked for, each once; None: all."""
        return None if self.fields is None else list(dict.fromkeys(self.fields.split(",")))


class ForwardQuery(RequestModel):
    """The page of a list that has one order and is only read forwards."""

    limit: PageLimit = LIMIT_DEFAULT
    cursor: CursorText | None = Field(None, description="Opaque; from the Link header of the previous page.")
