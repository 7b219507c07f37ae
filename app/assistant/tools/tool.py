"""The definition of a tool. Chat and MCP offer the same tools."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import MISSING, BaseModel, Field, StrictInt, ValidatorFunctionWrapHandler, WrapValidator

from app.db.session import Session
from app.models.types import MAX_ID, UID_PREFIX, RequestModel, parse_uid
from app.schemas.queries import CursorText, ForwardQuery, WholeNumber
from app.services.uids import NamedRow

TOOL_PAGE_LIMIT = 20  # rows on a page: a task costs a model about 50 tokens
ToolLimit = Annotated[int, Field(ge=1, le=100), WholeNumber]


def _row_id(entity: str) -> tuple[Any, ...]:
    """Returns the annotations of an id for which ``uid:...`` may stand, as in paths; schemas offer the id alone."""

    def parse(value: Any, read_id: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, str) and value.startswith(UID_PREFIX):
            return NamedRow(entity, parse_uid(value.removeprefix(UID_PREFIX)))
        return read_id(value)

    return Field(ge=1, le=MAX_ID), WrapValidator(parse)


TaskNumber = Annotated[StrictInt, *_row_id("task")]
ProjectNumber = Annotated[StrictInt, *_row_id("project")]

# What both Gemini and the strict mode of OpenAI accept, and therefore the rest of compatible servers; neither takes an
# empty schema. Validation enforces what is left out.
SCHEMA_KEYWORDS = ("type", "enum", "minimum", "maximum", "minItems", "maxItems")
FORMAT_WORDS = {"date": "YYYY-MM-DD", "date-time": "YYYY-MM-DDTHH:MM:SSZ"}
NULL_TYPE = {"type": "null"}
PATTERN_MAX, LENGTH_WORTH_SAYING = 30, 1000  # characters that a model may be expected to read, and to count


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
    keeps_null: frozenset[str] = frozenset()  # arguments of which null is a value; any other null is left out

    def input_schema(self) -> dict[str, Any]:
        """Returns the schema for agents; the strict mode of OpenAI requires ``additionalProperties``."""
        return {**self.offered_schema(), "additionalProperties": False}

    def offered_schema(self) -> dict[str, Any]:
        """Returns the schema for the chat, where Gemini refuses ``additionalProperties``."""
        return plain_schema(self.arguments.model_json_schema(), accepts_null=False)

    def output_schema(self) -> dict[str, Any]:
        return plain_schema(self.result.model_json_schema(mode="serialization"), accepts_null=True)


def changed_values(arguments: Any) -> dict[str, Any]:
    """Returns the fields that an update sets: those sent, and null for each in ``clear``."""
    cleared: dict[str, Any] = {} if arguments.clear is MISSING else dict.fromkeys(arguments.clear)
    return cleared | {
        name: getattr(arguments, name) for name in arguments.model_fields_set - arguments.ABOUT - {"clear"}
    }


def plain_schema(schema: dict[str, Any], *, accepts_null: bool) -> dict[str, Any]:
    """Returns the schema in SCHEMA_KEYWORDS, objects, lists and ``anyOf``, without references and titles.

    Small models misread references, and every part costs tokens. Without ``accepts_null`` nothing says that null can be
    sent: a model should leave the argument out.
    """
    shared = schema.get("$defs", {})

    def walk(node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            return walk({**shared[node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}})
        kept: dict[str, Any] = {name: node[name] for name in SCHEMA_KEYWORDS if name in node}
        if kept.get("maximum") == MAX_ID:
            del kept["maximum"]
        if "const" in node:
            kept["enum"] = [node["const"]]
        branches = (
            [] if "type" in node else [each for each in node.get("anyOf", ()) if accepts_null or each != NULL_TYPE]
        )
        words = [node.get("description", ""), *_words(node)]
        if branches:
            kept, more = _join([walk(branch) for branch in branches])
            words += more
        # Vertex AI takes nothing next to anyOf: a description of all branches stands in the first one.
        described = kept["anyOf"][0] if "anyOf" in kept else kept
        if words := list(filter(None, [*words, described.get("description")])):
            described["description"] = " ".join(words)
        if "properties" in node:
            kept["properties"] = {name: walk(value) for name, value in node["properties"].items()}
            kept |= {"required": node["required"]} if "required" in node else {}
        if "items" in node:
            kept["items"] = walk(node["items"])
        return kept

    return walk(schema)


def _words(node: dict[str, Any]) -> Iterator[str]:
    """Yields in words what no keyword may say."""
    if node.get("format") in FORMAT_WORDS:
        yield FORMAT_WORDS[node["format"]]
    if len(pattern := node.get("pattern", "")) in range(1, PATTERN_MAX):
        yield f"Matches {pattern}."
    free = node.keys().isdisjoint({"format", "pattern"})
    if free and node.get("maxLength", LENGTH_WORTH_SAYING + 1) <= LENGTH_WORTH_SAYING:
        yield f"At most {node['maxLength']} characters."
    if node.get("default") not in (None, []):
        yield f"Default: {str(node['default']).lower()}."


def _join(branches: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Returns one schema for any of ``branches``, with words: of texts that differ in their words alone, one text."""
    if len(branches) > 1 and any(branch.keys() - {"type", "description"} for branch in branches):
        return {"anyOf": branches}, []
    if any(branch.get("type") != branches[0].get("type") for branch in branches):
        return {"anyOf": branches}, []
    words = " or ".join(branch.pop("description") for branch in branches if "description" in branch)
    return branches[0], [words]
