"""Every 422 names what was sent, and says in one sentence what is expected: for each kind of wrong value, at every
parameter and field of the OpenAPI document and of the tools' schemas."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from app.assistant.tools import TOOLS_BY_NAME
from app.assistant.tools.calling import read_arguments
from app.assistant.tools.tool import Tool
from app.config import Settings
from app.errors import BadArguments, ErrorKind
from app.main import create_app
from app.models.types import MAX_ID
from tests.accounts.support import Visitor
from tests.docs.test_generated_tables import application_errors
from tests.faults.worst_requests import Operation, fields, operations, sample
from tests.support import SECRET, Person, assert_problem

Json = dict[str, Any]
Place = tuple[str | int, ...]
OPERATIONS = operations(create_app(Settings(_env_file=None, jwt_secret=SECRET, database_url="postgresql:///x")))
WITH_FINDINGS = [each for each in OPERATIONS if each.path.startswith("/api/") and "422" in each.spec["responses"]]
HUGE = 2**63
LISTS_OF_ONE = {"tag", "priority"}  # a filter may have one value where a list is meant
# Words of Pydantic, of Python and of this code.
INTERNALS = re.compile(
    r"Input should|Field required|Extra inputs|Value error|String should|List should|function-|constrained|literal\["
    r"|validation|instance of|dictionary|\bdict\b|\bstr\b|\bint\b|\bNone\b|\bTrue\b|sentinel|MISSING|[a-z][A-Z][a-z]+\("
)
CLASS_NAMES = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
PROPER_NAMES = {"TickTick", "YouTube"}


class Wrong(NamedTuple):
    """A value that is not acceptable, and where the response must locate it."""

    kind: str
    value: Any
    below: Place = ()


def assert_sentence(text: str) -> None:
    assert INTERNALS.search(text) is None, text
    assert set(CLASS_NAMES.findall(text)) <= PROPER_NAMES, text
    assert text.endswith("."), text
    assert re.match(r"[A-Z]|[\w.-]+: [A-Z]", text), text  # a detail begins with the place of its first finding
    assert len(text) > 10, text


def branches(root: Json, schema: Json) -> list[Json]:
    """Returns the alternatives of a schema."""
    if "$ref" in schema:
        node: Any = root
        for step in schema["$ref"].split("/")[1:]:
            node = node[step]
        return branches(root, node)
    several = [each for word in ("anyOf", "oneOf") for each in schema.get(word, ())]
    if several and "type" not in schema:
        return [branch for each in several for branch in branches(root, each)]
    return [schema]


WRONG_HEADERS = {
    "Idempotency-Key": ("", "x" * 256, "a\tb"),
    "If-Match": ("no", "7"),
    "If-None-Match": (),  # any text is a condition that holds or does not
    "Last-Event-ID": ("no", "-1", "1.5", "9" * 30),
}
TYPES = {"string": "no", "number": 1.5, "boolean": True, "array": [[]], "object": {}}


def wrong_values(root: Json, schema: Json) -> Iterator[Wrong]:
    """Yields one value of each kind that no branch of ``schema`` accepts."""
    found = branches(root, schema)
    types = {branch.get("type") for branch in found}
    if None in types:
        return
    yield from (Wrong(f"a {name}", value) for name, value in TYPES.items() if name not in types)
    if "null" not in types:
        yield Wrong("null", None)
    texts = [branch for branch in found if branch.get("type") == "string"]
    if texts:
        yield from wrong_texts(texts)
    for branch in found:
        match branch.get("type"):
            case "integer":
                yield Wrong("too small", branch.get("minimum", -HUGE) - 1)
                yield Wrong("too large", branch.get("maximum", HUGE) + 1)
            case "array":
                yield from wrong_lists(root, branch)
            case "object" if branch.get("additionalProperties") is False:
                yield Wrong("an unknown field", {**sample(root, branch), "nope": 1}, ("nope",))
                for name in branch.get("required", ()):
                    whole = {key: value for key, value in sample(root, branch).items() if key != name}
                    yield Wrong("a missing field", whole, (name,))


def wrong_texts(texts: list[Json]) -> Iterator[Wrong]:
    if all({"enum", "const", "format", "pattern"} & branch.keys() for branch in texts):
        patterns = [branch["pattern"] for branch in texts if "pattern" in branch]
        other = (text for text in ("no !", " ") if not any(re.search(pattern, text) for pattern in patterns))
        yield Wrong("other text", next(other))
    if all("maxLength" in branch for branch in texts):
        yield Wrong("too long", "x" * (max(branch["maxLength"] for branch in texts) + 1))
    if all(branch.get("minLength", 0) or {"enum", "const", "format"} & branch.keys() for branch in texts):
        yield Wrong("empty", "")


def wrong_lists(root: Json, branch: Json) -> Iterator[Wrong]:
    if branch.get("minItems"):
        yield Wrong("too short", [])
    if "maxItems" in branch:
        yield Wrong("too many", [sample(root, branch["items"])] * (8 * branch["maxItems"] + 1))


def place_of(text: str) -> Place:
    """Returns ``("body", "tags", 0)`` for ``body.tags[]``."""
    return tuple(0 if part == "[]" else part for part in re.findall(r"\[\]|[^.\[\]]+", text))


class Sender:
    """Sends wrong values to one operation and counts the refusals by place."""

    def __init__(self, call: Callable[..., Any], operation: Operation) -> None:
        self.call, self.operation = call, operation
        self.refused: Counter[Place] = Counter()

    async def send(self, place: Place, kind: str, path: str, **options: Any) -> None:
        answer: httpx.Response = await self.call(self.operation.method, path, **options)
        assert answer.status_code < 500 or answer.status_code == 503, (place, kind, answer.text)
        if answer.status_code != 422:
            return
        problem = assert_problem(answer, 422)
        where = [tuple(error["loc"]) for error in problem["errors"]]
        assert place in where, (self.operation.name, place, kind, problem)
        assert len(set(where)) == len(where), problem
        for error in problem["errors"]:
            assert_sentence(error["msg"])
            assert error["type"] == error["type"].lower()
        assert_sentence(problem["detail"].replace("`", ""))
        self.refused[place] += 1


@pytest.fixture
async def call(
    client: httpx.AsyncClient, new_person: Callable[[], Person], sql: Any
) -> Callable[[Operation], Callable[..., Any]]:
    """Returns the way to call an operation: as a user, or as one with an account where a login is needed."""
    await sql.execute("delete from login_attempts")
    ann = await Visitor(client).register()

    def choose(operation: Operation) -> Callable[..., Any]:
        account = {"Authorization": f"Bearer {ann.access}"}

        async def send(method: str, path: str, **options: Any) -> httpx.Response:
            # A user of its own for each request: some are rate-limited.
            own = {**(account if "/auth/" in operation.path else new_person().headers), **options.pop("headers", {})}
            return await client.request(method, path, headers=own, **options)

        return send

    return choose


def path_of(operation: Operation, **ids: Any) -> str:
    names = re.findall(r"\{(\w+)\}", operation.path)
    return operation.path.format_map({name: "me" if name == "user_id" else "1" for name in names} | ids)


def query_texts(root: Json, schema: Json) -> Iterator[tuple[str, str]]:
    """Yields wrong values as they stand in a URL, where everything is text."""
    found = branches(root, schema)
    if any(branch.get("type") == "array" for branch in found):
        found = [each for branch in found for each in branches(root, branch.get("items", branch))]
    texts = [branch for branch in found if branch.get("type") == "string"]
    if not texts or all({"enum", "const", "format", "pattern"} & branch.keys() for branch in texts):
        yield from (("other text", "no !"), ("a negative number", "-1"), ("a fraction", "1.5"), ("null", "\0"))
        yield "a huge number", "9" * 30
    elif (longest := max(branch.get("maxLength", 0) for branch in texts)) and longest < 5_000:
        yield "too long", "x" * (longest + 1)
    if texts and all(branch.get("minLength") for branch in texts):
        yield "empty", ""


@pytest.mark.parametrize("operation", WITH_FINDINGS, ids=lambda operation: operation.name)
async def test_a_wrong_value_is_named_as_it_was_sent(
    call: Callable[[Operation], Callable[..., Any]], operation: Operation
) -> None:
    sender, path, root = Sender(call(operation), operation), path_of(operation), operation.document
    capability = f"?{operation.capability}=x" if operation.capability else ""
    documented = {each["name"]: each["schema"] for each in operation.parameters("query")}
    for name, schema in documented.items():
        for kind, value in query_texts(root, schema) if name != operation.capability else ():
            await sender.send(("query", name), kind, f"{path}?{name}={quote(value)}")
        if (kinds := {branch.get("type") for branch in branches(root, schema)}) and "array" not in kinds:
            await sender.send(("query", name), "twice", f"{path}?{name}=1&{name}=2")
        assert sender.refused["query", name] or name == operation.capability, (operation.name, name)
    for name in operation.query_names - documented.keys():
        await sender.send(("query", name), "other text", f"{path}?{name}=%00")
        assert sender.refused["query", name], (operation.name, name)
    if operation.query_names:
        await sender.send(("query", "nope"), "unknown", f"{path}?nope=1")
        assert sender.refused["query", "nope"]
    for parameter in operation.parameters("header"):
        name = parameter["name"]
        for value in WRONG_HEADERS[name]:
            body = {"json": sample(root, operation.body)} if operation.body else {}
            await sender.send(("header", name), value, path + capability, headers={name: value}, **body)
        assert sender.refused["header", name] == len(WRONG_HEADERS[name]), (operation.name, name)
    if operation.body is not None:
        await send_bodies(sender, path)


async def send_bodies(sender: Sender, path: str) -> None:
    """Sends wrong values in a body: of the whole, of every field, and of the items of lists."""
    operation, root = sender.operation, sender.operation.document
    assert operation.body is not None
    for field in fields(root, operation.body, "body", lambda value: value):
        place, sent = place_of(field.place), 0
        for kind, value, below in wrong_values(root, field.schema):
            if kind == "a string" and place[-1] in LISTS_OF_ONE:
                continue
            content = json.dumps(field.wrap(value)).encode()
            await sender.send(place + below, kind, path, content=content, headers={"Content-Type": "application/json"})
            sent += 1
        assert sent == 0 or sender.refused, (operation.name, place)
        assert sent == 0 or any(found[: len(place)] == place for found in sender.refused), (operation.name, place)


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if re.search(r"\{(\w+_id|revision)\}", each.path.replace("{user_id}", ""))],
    ids=lambda operation: operation.name,
)
async def test_an_id_of_another_form_is_absent_like_any_other(
    call: Callable[[Operation], Callable[..., Any]], operation: Operation
) -> None:
    names = [name for name in re.findall(r"\{(\w+)\}", operation.path) if name != "user_id"]
    body = {"json": sample(operation.document, operation.body)} if operation.body else {}
    send = call(operation)
    absent = await send(operation.method, path_of(operation, **dict.fromkeys(names, "999999999")), **body)
    for value in ("no", "0", "-1", "1.5", "01", "9" * 30, "0b0d9c5e-7e64-4f6e-9e0e-6f3a52e4f6c1", "x" * 300):
        answer = await send(operation.method, path_of(operation, **{names[0]: value}), **body)
        found = assert_problem(answer, 404)
        if absent.status_code == 404 and len(names) == 1:
            assert (found["detail"], found["code"]) == (absent.json()["detail"], absent.json()["code"])


@pytest.mark.parametrize("name", TOOLS_BY_NAME)
def test_a_wrong_argument_of_a_tool_is_named_in_the_same_words(name: str) -> None:
    tool = TOOLS_BY_NAME[name]
    schema = tool.arguments.model_json_schema()
    sent = 0
    for field in fields(schema, schema, "arguments", lambda value: value):
        place = place_of(field.place)[1:]
        for kind, value, below in wrong_values(schema, field.schema):
            if kind == "null":  # is the same as left out
                continue
            if (detail := refusal(tool, field.wrap(value))) is not None:
                where = ".".join(map(str, place + below)) or "arguments"
                assert f"{where}: " in detail, (kind, detail)
                assert_sentence(detail)
                sent += 1
    assert sent


def refusal(tool: Tool, arguments: Any) -> str | None:
    """Returns why a tool does not take ``arguments``; None when it does."""
    try:
        read_arguments(tool, arguments, description_max=1000)
    except BadArguments as error:
        return error.detail
    return None


async def test_findings_of_an_import_have_the_same_words(alice: Person) -> None:
    tasks = [{"title": "", "priority": "no", "tags": [1], "nope": 1}, {"completed": "no"}, [], {"title": None}]
    rows = {"tasks": tasks, "projects": [{"name": 1}], "comments": [{"body": []}], "views": [{"name": "v"}]}
    report = (await alice.post("/import", {"format": "todo/1", **rows})).json()
    assert report["failed"] == 7
    found = [(row["entity"], row["row"], error) for row in report["errors"] for error in row["errors"]]
    assert {(entity, number, ".".join(map(str, error["loc"]))) for entity, number, error in found} >= {
        ("tasks", 1, "title"), ("tasks", 2, "title"), ("tasks", 4, "title"), ("projects", 1, "name"),
        ("views", 1, "parameters"),
    }  # fmt: skip
    for _, _, error in found:
        assert_sentence(error["msg"])


async def test_warnings_of_an_import_have_the_same_words(alice: Person) -> None:
    fields = {"priority": "no", "tags": [1], "due_date": 7, "reminders": ["x"], "nope": 1}
    report = (await alice.post("/import", {"format": "todo/1", "tasks": [{"title": "x", **fields}]})).json()
    assert report["created"]["tasks"] == report["warned"] == 1
    assert {each["field"].partition(".")[0] for each in report["warnings"]} == fields.keys()
    for each in report["warnings"]:
        assert INTERNALS.search(each["message"]) is None, each
        assert each["message"].endswith("."), each


async def test_findings_of_quick_add_have_the_same_words(alice: Person) -> None:
    answer = await alice.post("/tasks/quick", {"text": "x" * 400})
    assert_sentence(assert_problem(answer, 422, "quick_add_invalid")["detail"])


def test_application_errors_of_a_request_are_sentences() -> None:
    for error in application_errors():
        if error.kind is ErrorKind.INVALID:
            assert_sentence(error.message)


async def test_a_sentence_is_true_of_the_number_that_was_sent(alice: Person) -> None:
    for number, sentence in (
        ("0", 'Expected a number of at least 1 or "none".'),
        ("9" * 30, f'Expected a number of at most {MAX_ID} or "none".'),
        ("07", 'Expected a whole number or "none".'),
    ):
        (error,) = assert_problem(await alice.get(f"/tasks?project_id={number}"), 422)["errors"]
        assert error["msg"] == sentence


async def test_a_place_next_to_no_row_is_a_sentence(alice: Person) -> None:
    task = await alice.add()
    (error,) = assert_problem(await alice.post(f"/tasks/{task['id']}/move", {"before": task["id"]}), 422)["errors"]
    assert (error["loc"], error["msg"]) == (["body", "before"], "There is no such row to move before.")


async def test_a_missing_body_is_a_finding_of_the_body(app: FastAPI, alice: Person) -> None:
    (error,) = assert_problem(await alice.post("/tasks"), 422)["errors"]
    assert error == {"loc": ["body"], "msg": "Expected an object, such as {}, not null.", "type": "object_type"}
