"""The arguments of tools: schemas that every provider takes, and null for what is left out."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from app.assistant.prompt import offered_tools
from app.assistant.tools import TOOLS_BY_NAME
from app.assistant.tools.calling import read_arguments
from app.assistant.tools.tasks import ClearableField
from app.assistant.tools.tool import plain_schema
from app.models.tasks import TaskUpdate
from app.models.types import RequestModel
from tests.assistant.conftest import Talking
from tests.assistant.scripted import Says, in_turn
from tests.support import Person, assert_problem

# Both lists were read on 2026-11-29 in the documentation of the providers. Gemini's Schema object (an OpenAPI subset):
GEMINI_KEYWORDS = {
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
    "default", "items", "minimum", "maximum",
}  # fmt: skip
# The strict mode of OpenAI's function calling (Structured Outputs, supported properties):
OPENAI_KEYWORDS = {
    "type", "description", "enum", "anyOf", "properties", "required", "items", "additionalProperties", "pattern",
    "format", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "minItems", "maxItems",
}  # fmt: skip
TYPES = {"string", "integer", "number", "boolean", "array", "object"}
# Keywords of the schemas of our models that ``plain_schema`` knows; another one would disappear unseen.
KNOWN_KEYWORDS = (GEMINI_KEYWORDS | OPENAI_KEYWORDS | {"const", "examples", "$defs", "$ref"}) - {"multipleOf"}


def schemas(node: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every schema within a schema, with its place."""
    yield place, node
    for name, value in {**node.get("properties", {}), **node.get("$defs", {})}.items():
        yield from schemas(value, f"{place}.{name}")
    if "items" in node:
        yield from schemas(node["items"], f"{place}[]")
    for number, branch in enumerate(node.get("anyOf", ())):
        yield from schemas(branch, f"{place}|{number}")


def every_schema(*, output: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields those of the chat; those of MCP differ in one keyword."""
    for tool in TOOLS_BY_NAME.values():
        yield from schemas(tool.output_schema() if output else tool.offered_schema(), tool.name)


def test_chat_and_mcp_offer_one_schema_but_for_a_keyword_that_not_all_take() -> None:
    """The strict mode of OpenAI, which agents may use, requires additionalProperties; Gemini refuses it."""
    for offered in offered_tools():
        schema = offered["function"]["parameters"]
        assert "additionalProperties" not in json.dumps(schema)
        tool = TOOLS_BY_NAME[offered["function"]["name"]]
        assert tool.input_schema() == {**schema, "additionalProperties": False}


@pytest.mark.parametrize("output", [False, True])
def test_schemas_use_only_keywords_that_every_provider_takes(output: bool) -> None:
    for place, node in every_schema(output=output):
        assert node, f"{place} is empty"
        assert node.keys() <= GEMINI_KEYWORDS & OPENAI_KEYWORDS, place
        assert ("type" in node) != ("anyOf" in node), place
        assert "anyOf" not in node or (len(node["anyOf"]) > 1 and node.keys() == {"anyOf"}), place  # Vertex AI
        assert node.get("type", "string") in TYPES | ({"null"} if output else set()), place
        if "enum" in node:
            assert node["type"] == "string", place
            assert all(value and isinstance(value, str) for value in node["enum"]), place
        assert node.get("type") != "array" or "items" in node, place
        assert node.get("type") != "object" or "properties" in node, place
        assert set(node.get("required", ())) <= node.get("properties", {}).keys(), place


def test_no_keyword_of_a_model_disappears_unseen() -> None:
    for tool in TOOLS_BY_NAME.values():
        for model, mode in ((tool.arguments, "validation"), (tool.result, "serialization")):
            for place, node in schemas(model.model_json_schema(mode=mode), f"{tool.name} {mode}"):  # type: ignore[arg-type]
                assert node.keys() <= KNOWN_KEYWORDS, place


def test_what_no_keyword_may_say_is_said_in_words() -> None:
    properties = TOOLS_BY_NAME["add_task"].input_schema()["properties"]
    assert properties["title"] == {"type": "string", "description": "At most 200 characters."}
    assert properties["due_date"].keys() == {"type", "description"}
    assert properties["due_date"]["description"].endswith("YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ")
    assert properties["priority"]["description"] == "Default: medium."
    assert properties["reminders"]["items"] == {
        "type": "string",
        "description": "An instant, or a duration from the due date as in iCalendar. YYYY-MM-DDTHH:MM:SSZ",
    }
    assert TOOLS_BY_NAME["list_tasks"].input_schema()["properties"]["project_id"]["anyOf"] == [
        {"type": "integer", "minimum": 1, "description": "In this project; none: in the inbox."},
        {"type": "string", "enum": ["none"]},
    ]
    one = {"anyOf": [{"type": "null"}, {"const": "x", "type": "string"}], "default": "x"}
    assert plain_schema(one, accepts_null=False) == {"type": "string", "enum": ["x"], "description": "Default: x."}


# -- null


SAMPLES: dict[str, dict[str, Any]] = {
    "list_comments": {"task_id": 1}, "add_comment": {"task_id": 1, "body": "x"}, "add_task": {"title": "x"},
    "search_tasks": {"query": "x"}, "get_task": {"task_id": 1}, "update_task": {"task_id": 1, "title": "x"},
    "complete_task": {"task_id": 1}, "delete_task": {"task_id": 1}, "restore_task": {"task_id": 1},
    "quick_add": {"text": "x"}, "move_task": {"task_id": 1, "before": 2}, "skip_task": {"task_id": 1},
    "create_project": {"name": "x"}, "update_project": {"project_id": 1, "name": "x"},
    "duplicate_task": {"task_id": 1}, "duplicate_project": {"project_id": 1},
    "delete_project": {"project_id": 1}, "rename_tag": {"tag": "x", "name": "y"}, "delete_tag": {"tag": "x"},
}  # fmt: skip


@pytest.mark.parametrize("name", TOOLS_BY_NAME)
def test_null_for_an_optional_argument_means_left_out(name: str) -> None:
    tool, sent = TOOLS_BY_NAME[name], SAMPLES.get(name, {})
    nulls = dict.fromkeys(tool.input_schema()["properties"]) | {"unknown": None}
    read = read_arguments(tool, {**nulls, **sent}, description_max=1000)
    left_out = read_arguments(tool, sent, description_max=1000)
    assert read == left_out
    assert read.model_fields_set == left_out.model_fields_set


async def test_null_empties_no_field_in_a_tool_and_clear_does(talk: Talking) -> None:
    alice = talk(in_turn(Says("Hello.")))
    project = (await alice.person.post("/projects", {"name": "Home", "color": "#3366ff"})).json()["id"]
    filled = {"description": "d", "due_date": "2030-01-01", "project_id": project, "recurrence": "FREQ=DAILY"}
    filled |= {"start_date": "2029-12-31", "deadline": "2030-02-01", "estimate_minutes": 30}
    task = await alice.person.add("a", **filled, tags=["t"], priority="high")

    async def run(tool: str, **arguments: Any) -> Any:
        alice.model.script = in_turn(Says(calls=[(tool, arguments)]), Says("Done so."))
        (call,) = (await alice.say("go on"))["tool_calls"]
        assert "error" not in call["result"], call
        return (await alice.person.get(f"/tasks/{task['id']}")).json()

    nulls = dict.fromkeys(TOOLS_BY_NAME["update_task"].input_schema()["properties"])
    changed = await run("update_task", **{**nulls, "task_id": task["id"], "title": "b"})
    assert {name: changed[name] for name in filled} == filled
    assert (changed["title"], changed["tags"], changed["priority"]) == ("b", ["t"], "high")
    changed = await run("move_task", task_id=task["id"], parent_id="none", project_id=None)
    assert changed["project_id"] == project
    emptied = await run("update_task", task_id=task["id"], clear=[*filled])
    assert {name: emptied[name] for name in filled} == dict.fromkeys(filled)
    await run("move_task", task_id=task["id"], project_id=project)
    assert (await run("move_task", task_id=task["id"], project_id="none"))["project_id"] is None
    await run("update_project", project_id=project, clear=["color"])
    assert (await alice.person.get(f"/projects/{project}")).json()["color"] is None


@pytest.mark.parametrize("name", ["update_task", "update_project"])
def test_tools_that_update_take_no_base_version(name: str) -> None:
    """They would ignore it: an agent has just read the row."""
    arguments = TOOLS_BY_NAME[name].arguments
    assert arguments.model_fields.keys().isdisjoint({"base_version", "on_conflict"})
    with pytest.raises(ValidationError, match="extra_forbidden"):
        arguments.model_validate({name.replace("update_", "") + "_id": 1, "uid": "u", "base_version": 1})


def test_every_field_that_null_empties_can_be_cleared_by_a_tool() -> None:
    """Of lists and of fields with a default the empty value can be sent."""
    schema = TaskUpdate.model_json_schema()["properties"]
    nullable = {name for name, node in schema.items() if {"type": "null"} in node.get("anyOf", ())}
    others = {
        "tags",
        "reminders",
        "priority",
        "status",
        "recurrence_from",
        "favorite",
        "remind_channels",
    }  # no tool knows the channels
    assert set(get_args(ClearableField)) == nullable - others - TaskUpdate.TWINS.keys()


CREATES: list[tuple[str, dict[str, Any]]] = [
    ("/tasks", {"title": "x"}), ("/projects", {"name": "x"}), ("/tasks/{task}/comments", {"body": "x"}),
    ("/views", {"name": "x", "parameters": {}}), ("/views", {"name": "y", "parameters": {"status": None, "tag": None}}),
    ("/calendar", {"name": "x"}), ("/webhooks", {"url": "https://example.com/x"}),
    ("/tasks/quick", {"text": "buy milk"}),
    ("/tasks/bulk", {"ids": ["{task}"], "action": "complete"}), ("/tasks/{task}/move", {"parent_id": None}),
    ("/tasks/{task}/snooze", {"minutes": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), CREATES, ids=range(len(CREATES)))
async def test_null_for_an_optional_field_of_a_post_means_its_default(
    alice: Person, path: str, body: dict[str, Any]
) -> None:
    """The optional fields are those of the OpenAPI document, which names null as a value of each."""
    document = (await alice.client.get("/openapi.json")).json()
    task = (await alice.add(due_date="2030-01-01T09:00:00Z", reminders=["-PT5M"]))["id"]
    operation = document["paths"]["/api/{user_id}" + path.replace("{task}", "{task_id}")]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    nulls = dict.fromkeys(schema["properties"].keys() - set(schema.get("required", ())))
    sent = json.loads(json.dumps({**nulls, **body}).replace('"{task}"', str(task)))
    answer = await alice.post(path.replace("{task}", str(task)), sent)
    assert answer.status_code in (200, 201), answer.text
    for name in nulls:
        assert "null" in json.dumps(schema["properties"][name]) or "/move" in path or "/snooze" in path, name


async def test_null_keeps_its_meaning_in_a_patch(alice: Person) -> None:
    task = await alice.add("x", priority="high", description="d")
    changed = await alice.patch(f"/tasks/{task['id']}", {"priority": None, "description": None})
    assert (changed.json()["priority"], changed.json()["description"]) == ("medium", None)
    assert_problem(await alice.patch(f"/tasks/{task['id']}", {"title": None}), 422)
    assert_problem(await alice.post("/tasks", {"title": None}), 422)


def test_every_optional_field_without_null_reads_it_as_its_default() -> None:
    """Of every request model: a class that refuses null has KEEPS_NULL, and so has each PATCH."""

    def below(model: type[RequestModel]) -> Iterator[type[RequestModel]]:
        for each in model.__subclasses__():
            yield each
            yield from below(each)

    kept = {model.__name__ for model in below(RequestModel) if model.KEEPS_NULL}
    kept -= {"Snooze", "TaskConditions"}  # exactly one of two fields; a bulk write must not become wider
    assert all(name.startswith("Update") or name.endswith("Update") for name in kept)
    assert {"TaskUpdate", "ProjectUpdate", "ViewUpdate", "WebhookUpdate", "AccountUpdate"} <= kept
