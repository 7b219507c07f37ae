"""Corrections to the schemas of the OpenAPI document, where FastAPI and Pydantic leave them incomplete."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

from app.config import Settings
from app.models.tasks import TaskPage, TaskRead, TrashedTaskRead, TrashPage

Json = dict[str, Any]


def restore_examples(schemas: Json) -> Json:
    """Restores the examples: FastAPI drops every null, and without it examples violate their schema."""
    examples = dict(_examples(BaseModel))
    return {
        name: schema | {"examples": examples[name]} if name in examples and "examples" in schema else schema
        for name, schema in schemas.items()
    }


def _examples(base: type[BaseModel]) -> Iterator[tuple[str, list[Any]]]:
    for model in base.__subclasses__():
        extra = model.model_config.get("json_schema_extra")
        if model.__module__.startswith("app.") and isinstance(extra, dict) and isinstance(extra.get("examples"), list):
            yield model.__name__, deepcopy(extra["examples"])  # type: ignore[arg-type]
        yield from _examples(model)


def apply_settings(document: Json, settings: Settings) -> None:
    """Applies the settings that change the contract. Modifies ``document``."""
    in_batch = (f"{verb}TaskArguments" for verb in ("Create", "Put", "Update"))
    for name in ("TaskCreate", "TaskUpdate", "BulkChange", *in_batch):
        if schema := document["components"]["schemas"].get(name):
            _set_limit(schema["properties"]["description"], settings.description_max)
    if settings.completed_name == "both":
        for name in ("TaskRead", "TrashedTaskRead"):
            _add_second_name(document["components"]["schemas"][name])
    if settings.list_shape == "envelope":
        _use_envelopes(document)


def _add_second_name(schema: Json) -> None:
    """Describes tasks as COMPLETED_NAME=both returns them."""
    schema["properties"]["is_completed"] = {"type": "boolean", "description": "The same as `completed`."}
    schema["required"].append("is_completed")
    for example in schema.get("examples", ()):
        example["is_completed"] = example["completed"]


def _set_limit(schema: Json, limit: int) -> None:
    for branch in (schema, *schema.get("anyOf", ())):
        if "maxLength" in branch:
            branch["maxLength"] = limit


def _use_envelopes(document: Json) -> None:
    """Describes lists of tasks as LIST_SHAPE=envelope returns them."""
    for row, envelope in ((TaskRead, TaskPage), (TrashedTaskRead, TrashPage)):
        page = envelope.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        document["components"]["schemas"][envelope.__name__] = {key: page[key] for key in page if key != "$defs"}
        for operation in (each for item in document["paths"].values() for each in item.values()):
            media = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
            if media.get("schema", {}).get("items") == {"$ref": f"#/components/schemas/{row.__name__}"}:
                media["schema"] = {"$ref": f"#/components/schemas/{envelope.__name__}"}
