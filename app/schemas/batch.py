"""One request with many writes. Each is an operation of the API with its arguments at one level: the ids of its path,
and the fields of its body or query.
"""

from copy import deepcopy
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictStr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError
from typing_extensions import TypeAliasType

from app.models.comments import CommentCreate, CommentUpdate
from app.models.projects import ProjectCreate, ProjectUpdate
from app.models.task_fields import Tag
from app.models.tasks import TaskCreate, TaskUpdate
from app.models.types import UID_PREFIX, IdOrUid, Int64, RequestModel, RowId, Uid, field_error, parse_uid
from app.schemas.duplicates import ProjectDuplicate, TaskDuplicate
from app.schemas.projects import ProjectDeletion, ProjectMove
from app.schemas.quick_add import QuickTask
from app.schemas.tags import TagUpdate
from app.schemas.task_actions import Snooze, TaskComplete, TaskMove
from app.schemas.task_bulk import BulkWrite
from app.schemas.views import ViewCreate, ViewUpdate

OPERATIONS_MAX = 500
INVALID_ERRORS_MAX = 2_000  # of the operations of a batch that is not atomic; 250,000 took 5 s


def _parse_reference(value: int | str) -> int | str:
    if isinstance(value, int):
        return value
    if not value.startswith(UID_PREFIX):
        raise PydanticCustomError("row_reference", "Send an id, such as 7, or uid: and a uid as text.")
    return UID_PREFIX + parse_uid(value.removeprefix(UID_PREFIX))


# Like the segment of a path: an id, or "uid:" and a uid.
RowReference = Annotated[IdOrUid, AfterValidator(_parse_reference)]


class Target(RequestModel):
    """The row that an operation is about, and the rows above it, each by its id or its uid."""

    NOUNS: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        for noun in self.NOUNS:
            names = {f"{noun}_id", f"{noun}_uid"}
            if len({name for name in names if getattr(self, name) is not None}) != 1:
                raise field_error(f"{noun}_id", "one_reference", "Send {noun}_id or {noun}_uid.", noun=noun)
        return self

    def find(self, noun: str) -> int | str:
        """Returns the id of a row, or its uid."""
        row_id, uid = getattr(self, f"{noun}_id"), getattr(self, f"{noun}_uid")
        if uid is not None or isinstance(row_id, int):
            return uid if row_id is None else row_id  # type: ignore[no-any-return]
        return row_id.removeprefix(UID_PREFIX)  # type: ignore[no-any-return]


class TaskTarget(Target):
    NOUNS: ClassVar[tuple[str, ...]] = ("task",)

    task_id: RowReference | None = None
    task_uid: Uid | None = None


class ProjectTarget(Target):
    NOUNS: ClassVar[tuple[str, ...]] = ("project",)

    project_id: RowReference | None = None
    project_uid: Uid | None = None


class ViewTarget(Target):
    NOUNS: ClassVar[tuple[str, ...]] = ("view",)

    view_id: RowReference | None = None
    view_uid: Uid | None = None


class CommentTarget(TaskTarget):
    NOUNS: ClassVar[tuple[str, ...]] = ("task", "comment")

    comment_id: RowReference | None = None
    comment_uid: Uid | None = None


class TagTarget(Target):
    tag: Tag


class NoFields(RequestModel):
    """No fields beside the ids."""


class OperationShape(NamedTuple):
    """The arguments of an operation. ``versioned``: it takes ``if_match``, of the last noun of its target."""

    body: type[RequestModel] = NoFields
    target: type[Target] = Target
    versioned: bool = True
    needs_body: bool = True

    def examples(self) -> list[Any]:
        """Returns examples of the arguments."""
        ids: dict[str, Any] = {f"{noun}_id": 7 for noun in self.target.NOUNS}
        named = {"tag": "errands"} if self.target is TagTarget else ids
        extra: Any = self.body.model_config.get("json_schema_extra") or {}
        return [named | example for example in extra.get("examples", [{}])]


# By the operationId of the route with the same effect.
OPERATION_SHAPES = {
    "create_task": OperationShape(TaskCreate, versioned=False),
    "put_task": OperationShape(TaskUpdate, TaskTarget),
    "update_task": OperationShape(TaskUpdate, TaskTarget),
    "complete_task": OperationShape(TaskComplete, TaskTarget, needs_body=False),
    "skip_task": OperationShape(target=TaskTarget),
    "move_task": OperationShape(TaskMove, TaskTarget),
    "snooze_task": OperationShape(Snooze, TaskTarget),
    "duplicate_task": OperationShape(TaskDuplicate, TaskTarget, versioned=False, needs_body=False),
    "delete_task": OperationShape(target=TaskTarget),
    "restore_task": OperationShape(target=TaskTarget, versioned=False),
    "quick_add_task": OperationShape(QuickTask, versioned=False),
    "write_tasks": OperationShape(BulkWrite, versioned=False),
    "create_project": OperationShape(ProjectCreate, versioned=False),
    "put_project": OperationShape(ProjectUpdate, ProjectTarget),
    "update_project": OperationShape(ProjectUpdate, ProjectTarget),
    "move_project": OperationShape(ProjectMove, ProjectTarget, versioned=False),
    "duplicate_project": OperationShape(ProjectDuplicate, ProjectTarget, versioned=False, needs_body=False),
    "delete_project": OperationShape(ProjectDeletion, ProjectTarget),
    "create_comment": OperationShape(CommentCreate, TaskTarget, versioned=False),
    "update_comment": OperationShape(CommentUpdate, CommentTarget),
    "delete_comment": OperationShape(target=CommentTarget),
    "create_view": OperationShape(ViewCreate, versioned=False),
    "update_view": OperationShape(ViewUpdate, ViewTarget),
    "delete_view": OperationShape(target=ViewTarget),
    "rename_tag": OperationShape(TagUpdate, TagTarget, versioned=False),
    "delete_tag": OperationShape(target=TagTarget, versioned=False),
}
OPERATION_NAMES = list(OPERATION_SHAPES)  # compared, not hashed: what was sent may be anything


class Arguments(BaseModel):
    """The arguments of an operation, taken apart."""

    SHAPE: ClassVar[OperationShape]

    target: Any = Target()
    fields: Any

    @model_validator(mode="before")
    @classmethod
    def _take_apart(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        shape = cls.SHAPE
        if shape.target is Target:
            return {"fields": data}
        target = {name: value for name, value in data.items() if name in shape.target.model_fields}
        fields = {name: value for name, value in data.items() if name not in target}
        return {"target": target, "fields": fields if fields or shape.needs_body else None}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Returns the schema of the fields, with the names of the target among them."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        body, target = (
            deepcopy(handler.resolve_ref_schema(each["anyOf"][0] if "anyOf" in each else each))
            for each in (schema["properties"]["fields"], schema["properties"].get("target", {}))
        )
        required_target = target.get("required", [])
        schema.clear()
        schema |= {
            key: value for key, value in body.items() if key not in ("title", "examples", "description", "required")
        }
        schema["examples"] = cls.SHAPE.examples()
        schema["properties"] = target.get("properties", {}) | body.get("properties", {})
        if required := [*required_target, *(body.get("required", ()) if cls.SHAPE.needs_body else ())]:
            schema["required"] = required
        for bound in {"minProperties", "maxProperties"} & schema.keys():
            schema[bound] += len(cls.SHAPE.target.NOUNS)
        one_of_both = [
            {"oneOf": [{"required": [f"{noun}_id"]}, {"required": [f"{noun}_uid"]}]} for noun in cls.SHAPE.target.NOUNS
        ]
        if one_of_both:
            schema["allOf"] = [*schema.get("allOf", ()), *one_of_both]
        return schema


class Operation(RequestModel):
    """One write of a batch, with ``if_match`` where a shape is versioned."""

    operation: str
    arguments: Any


VersionCondition = TypeAliasType(
    "VersionCondition", RowId | Annotated[StrictStr, Field(min_length=1, max_length=1_000)]
)
IfMatchField = Annotated[
    VersionCondition | None,
    Field(description="The version before the batch, or text as in the header If-Match.", examples=[41]),
]


def _operation_model(name: str, shape: OperationShape) -> type[Operation]:
    words = name.title().replace("_", "")
    body: Any = shape.body if shape.needs_body else shape.body | None
    target: Any = {} if shape.target is Target else {"target": (shape.target, ...)}
    arguments = create_model(f"{words}Arguments", __base__=Arguments, __module__=__name__, fields=(body, ...), **target)
    arguments.SHAPE = shape
    arguments.model_config = ConfigDict(json_schema_extra={"examples": shape.examples()})  # found there, with nulls
    fields: dict[str, Any] = {"operation": (Literal[name], ...), "arguments": (arguments, ...)}
    if shape.versioned:
        fields["if_match"] = (IfMatchField, None)
    return create_model(f"{words}Operation", __base__=Operation, __module__=__name__, **fields)


ERRORS_COUNT_KEY = "errors"  # in the context of a validation


class InvalidOperation(NamedTuple):
    """An operation of a batch that is not atomic, as it was ``sent``, and why it is not acceptable."""

    error: ValidationError
    sent: Any


def _keep_invalid(sent: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Returns an InvalidOperation if the batch is not atomic: else the whole of it is refused.

    So it is if the errors of its operations are more than INVALID_ERRORS_MAX, which the context counts.
    """
    try:
        return handler(sent)
    except ValidationError as error:
        if info.data.get("atomic", True):
            raise
        context = info.context or {}
        context[ERRORS_COUNT_KEY] = context.get(ERRORS_COUNT_KEY, 0) + error.error_count()
        if context[ERRORS_COUNT_KEY] > INVALID_ERRORS_MAX:
            raise
        return InvalidOperation(error, sent)


def _require_known(operation: Any) -> Any:
    """Raises the error of an operation without a name that is known, which a union would not locate."""
    if not isinstance(operation, dict):
        raise PydanticKnownError("dict_type")
    if operation.get("operation") not in OPERATION_NAMES:
        raise field_error("operation", "unknown_operation", "There is no such operation: docs/changes.md lists them.")
    return operation


if TYPE_CHECKING:
    AnyOperation = Operation
else:
    AnyOperation = Annotated[
        Union[tuple(_operation_model(*each) for each in OPERATION_SHAPES.items())],  # noqa: UP007
        Discriminator("operation"),
        BeforeValidator(_require_known),
        WrapValidator(_keep_invalid),
    ]
BATCH_EXAMPLE: Any = {
    "operations": [
        {"operation": "create_project", "arguments": {"uid": "garden", "name": "Garden"}},
        {"operation": "create_task", "arguments": {"uid": "tulips", "title": "Plant tulips", "project_uid": "garden"}},
        {"operation": "update_task", "arguments": {"task_id": "uid:tulips", "priority": "high"}},
    ]
}


class Batch(RequestModel):
    """Up to 500 operations, in their order. A later one may name by its uid what an earlier one makes."""

    model_config = ConfigDict(json_schema_extra={"examples": [BATCH_EXAMPLE]})

    atomic: StrictBool = Field(
        True, description="true: all of them or none, as one write with one revision. false: each on its own."
    )
    # Only the first operation that is malformed is named: 500 times 200 unknown names took 1 s.
    operations: Annotated[list[AnyOperation], Field(min_length=1, max_length=OPERATIONS_MAX, fail_fast=True)]
    dry_run: StrictBool = Field(False, description="Only say what would happen.")


class OperationResult(BaseModel):
    """The response that the operation would have had alone."""

    status: int = Field(examples=[201])
    body: Any = Field(None, description="As of the route; null where it has none.")
    problem: dict[str, Any] | None = Field(None, description="Why it was refused; only without `atomic`.")


class BatchResult(BaseModel):
    """In the order of the operations."""

    results: list[OperationResult]
    revision: Int64 | None = Field(description="The last revision taken; null: nothing changed.")
