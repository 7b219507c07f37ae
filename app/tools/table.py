"""What a tool is. Chat and MCP offer the same ones, so that none can exist in one and not in the other."""

from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, StrictInt

from app.db.session import Session
from app.models.base import MAX_ID, Shape

Id = Annotated[StrictInt, Field(ge=1, le=MAX_ID)]


class Nothing(Shape):
    """No arguments."""


class Call(NamedTuple):
    """One call, inside its own transaction. ``source`` is who calls: chat:<conversation>, mcp, mcp:<client>."""

    session: Session
    owner: str
    arguments: Any
    source: str


@dataclass(frozen=True, slots=True)
class Tool:
    """``arguments`` is the shape that is validated as a JSON body would be; no tool takes a user id.

    ``destructive``: it takes something away, so that a person may want to be asked first.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Call], Awaitable[Any]]
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False

    def input_schema(self) -> dict[str, Any]:
        return plain_schema(self.arguments.model_json_schema())

    def output_schema(self) -> dict[str, Any]:
        return plain_schema(self.result.model_json_schema(mode="serialization"))


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references, titles and examples: small models stumble over the first and pay for the rest."""
    shared = schema.get("$defs", {})

    def walk(node: Any, *, names: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            own = {key: value for key, value in node.items() if key != "$ref"}
            return walk({**deepcopy(shared[node["$ref"].rpartition("/")[2]]), **own})
        dropped = set() if names else {"title", "examples", "$defs"}
        return {key: walk(value, names=key == "properties") for key, value in node.items() if key not in dropped}

    return walk(schema)  # type: ignore[no-any-return]
