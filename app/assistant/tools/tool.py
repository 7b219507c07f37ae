"""The definition of a tool. Chat and MCP offer the same tools."""

from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, StrictInt

from app.db.session import Session
from app.models.types import MAX_ID, RequestModel
from app.schemas.queries import CursorText, ForwardQuery, WholeNumber

TOOL_PAGE_LIMIT = 20  # rows on a page: a task costs a model about 50 tokens
ToolLimit = Annotated[int, Field(ge=1, le=100), WholeNumber]
Id = Annotated[StrictInt, Field(ge=1, le=MAX_ID)]


UNINFORMATIVE_ENTRIES = (("format", "int64"), ("maximum", MAX_ID), ("minLength", 1))
PATTERN_MAX = 60  # characters of a regular expression that a model may be expected to read


class NoArguments(RequestModel):
    """No arguments."""


class PageArguments(ForwardQuery):
    """The parameters of a page."""

    limit: ToolLimit = TOOL_PAGE_LIMIT
    cursor: CursorText | None = Field(None, description="next_cursor of the page before.")


class NextPage(BaseModel):
    next_cursor: str | None = Field(description="Where the next page begins; null: this was the last one.")


class ToolContext(NamedTuple):
    """One call, in its own transaction. ``agent`` is the caller: chat:<conversation>, mcp, mcp:<client>."""

    session: Session
    owner: str
    arguments: Any
    agent: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. ``arguments`` is the model that validates them, like a JSON body; no tool has a user id.

    ``destructive``: it deletes something, so that a user may want to confirm it.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[ToolContext], Awaitable[Any]]
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False

    def input_schema(self) -> dict[str, Any]:
        return plain_schema(self.arguments.model_json_schema())

    def output_schema(self) -> dict[str, Any]:
        return plain_schema(self.result.model_json_schema(mode="serialization"))


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Removes references and titles: small models misread references, and every part costs tokens."""
    shared = schema.get("$defs", {})

    def walk(node: Any, *, names: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "anyOf" in node and node.get("default", 0) is None:
            node = _without_null(node)
        if "$ref" in node:
            own = {key: value for key, value in node.items() if key != "$ref"}
            return walk({**deepcopy(shared[node["$ref"].rpartition("/")[2]]), **own})
        kept = node.items() if names else [pair for pair in node.items() if not _says_nothing(*pair)]
        return {key: walk(value, names=key == "properties") for key, value in kept}

    return walk(schema)  # type: ignore[no-any-return]


def _says_nothing(key: str, value: Any) -> bool:
    """Returns whether a model can do without the entry; validation still enforces it."""
    long = key == "pattern" and len(value) > PATTERN_MAX
    return long or key in ("title", "examples", "$defs") or (key, value) in UNINFORMATIVE_ENTRIES


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """Removes null from the schema of a field with default null: a model should omit it. null is still accepted."""
    own = {key: value for key, value in node.items() if key not in ("default", "anyOf")}
    others = [each for each in node["anyOf"] if each != {"type": "null"}]
    return {**others[0], **own} if len(others) == 1 else {**own, "anyOf": others}
