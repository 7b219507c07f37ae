"""The service conforms to its OpenAPI document. Schemathesis derives requests from it and checks each response."""

import uuid
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.main import create_app
from app.models.types import MAX_YEAR, MIN_YEAR
from tests.processes import service
from tests.support import SECRET, make_token

# Schemathesis' items do not request the fixtures' event loop
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("anyio_backend")]

CONFIG: dict[str, Any] = {
    "generation": {
        "deterministic": True,  # the same requests in each run: a failure is caused by the change under test
        "database": "none",
        "max-examples": 60,
        "with-security-parameters": False,  # each request has a valid token; `ignored_auth` repeats it without
    },
    "checks": {
        # 412: whether If-Match holds depends on stored data. 413: no schema limits the bytes of a body.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", 412]},
        "negative_data_rejection": {
            "expected-statuses": ["400", "401", "403", "404", "405", "412", "413", "415", "422"]
        },
    },
}
# Rules that JSON Schema cannot express, by the type of the validation error: the only 422 for a valid request.
BEYOND_SCHEMA = {
    "blank_text": "at least one character that can be seen",
    "nul_character": "no NUL",
    "lone_surrogate": "no half of a surrogate pair",
    "string_too_long": "the length is that of the NFC form, which may be longer",
    "date_text": "a day or instant that is there, without a leap second",
    "no_entity_tag": "a condition is an ETag in quotes, or an asterisk",
    "filter_syntax": "the language of filters",
    "unknown_field": "each of `fields` is a field of the list",
    "filter_too_large": "the number of conditions in a filter, and how deep they are",
    "relevance_of_nothing": "sorting by relevance needs a search",
    "empty_title": "of a quick add, something is left to do",
    "quick_add_invalid": "of a quick add, title and names are as long as they may be",
    "reminder_range": "at most 366 days from the due date",
    "reminder_passed": "a moment to be reminded at lies ahead",
    "date_range": "years 1900 to 2199 in UTC",
    "move_where": "tasks=move and to go together",
    "unknown_reference": "what is referred to is there",
    "bulk_move": "only a place to move to",
    "other_project": "a subtask is in its parent's project",
    "due_date_needed": "a recurring task keeps a due date",
    "timezone": "a name of the IANA database",
    "empty_update": "a field that is null where that is the default is not sent",
    "ids_contradict": "an id and a uid next to it are of one row",
    "other_uid": "a uid is that of the row",
    "invalid_recurrence": "a rule of RFC 5545",
}


def document() -> dict[str, Any]:
    """Returns the OpenAPI document with only the user path that the token opens: others are 403, and are sent as
    negatives."""
    own = deepcopy(create_app(Settings(_env_file=None)).openapi())
    # No schema can state whether a password or a token is valid, and these need an account: tests/accounts.
    own["paths"] = {path: item for path, item in own["paths"].items() if not path.startswith("/api/auth/")}
    for parameter in (p for path in own["paths"].values() for op in path.values() for p in op.get("parameters", ())):
        if parameter["name"] == "user_id":
            parameter["schema"] = {"type": "string", "enum": ["me"]}
    # Random bytes are no zip: tests/api/products.
    del own["paths"]["/api/{user_id}/import"]["post"]["requestBody"]["content"]["application/zip"]
    return own


DAYS = st.dates(date(MIN_YEAR, 1, 2), date(MAX_YEAR, 12, 30))
CLOCK = st.times().map(lambda time: time.isoformat("seconds"))
OFFSET = st.sampled_from(["Z", "+00:00", "+05:45", "-11:30", "+14:00"])
schemathesis.openapi.format("date", DAYS.map(str))
schemathesis.openapi.format("date-time", st.builds("{}T{}{}".format, DAYS, CLOCK, OFFSET))

Case = schemathesis.Case[Any]
schema = schemathesis.openapi.from_dict(document(), config=schemathesis.Config.from_dict(CONFIG))


@pytest.fixture(scope="module")
def url(postgres: ConnectOptions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("contract")
    # There are thousands of requests, and some are longer than the server itself would accept.
    limits = {"rate_limit_per_minute": 0, "rate_limit_anonymous_per_minute": 0, "url_limit": 200_000}
    limits |= {f"rate_limit_{name}": 0 for name in ("import_per_hour", "export_per_hour", "chat_per_minute")}
    limits |= {"header_limit": 200_000}
    with service(folder, database_url=postgres.dsn, jwt_secret=SECRET, access_log=False, **limits) as running:
        yield f"http://127.0.0.1:{running.ready().port}"


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(f'contract-{uuid.uuid4().hex}')}"}


def is_valid(case: Case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def rule_beyond_schema(answer: schemathesis.Response) -> bool:
    return answer.status_code == 422 and {error["type"] for error in answer.json()["errors"]} <= BEYOND_SCHEMA.keys()


def existing_task(case: Case, tasks: str, http: requests.Session, headers: dict[str, str]) -> int:
    """Creates a task on which the operation can succeed."""
    made = http.post(tasks, json={"title": "x"}, headers=headers)
    task_id: int = made.json()["id"]
    if isinstance(case.body, dict) and "base_version" in case.body:
        case.body["base_version"] = made.json()["version"]
    if case.path.endswith("/restore"):
        http.delete(f"{tasks}/{task_id}", headers=headers)
    return task_id


# Whether these succeed depends on stored data, or on rules for URLs that no schema can express.
DEPENDS = (
    "{revision}", "{webhook_id}", "{comment_id}", "{conversation_id}", "/tags/{name}", "/views", "/webhooks",
    "/changes", "/channels", "/history", "/projects", "/move", "/skip", "/import", "/batch", "/duplicate",
    "/calendar",
)  # fmt: skip


# A stream does not end: tests/live/test_event_stream.py. A chat needs a model: tests/assistant.
@schema.exclude(path_regex="/(events|chat)$").parametrize()
def test_responses_conform_to_the_openapi_document(
    case: Case, url: str, http: requests.Session, headers: dict[str, str]
) -> None:
    if is_valid(case):
        case.query.pop("cursor", None)  # opaque: only the service can make a valid one
        case.headers.pop("Idempotency-Key", None)  # a used key is refused: tests/http/test_idempotency.py
        if "task_id" in case.path_parameters:
            case.path_parameters["task_id"] = existing_task(case, f"{url}/api/me/tasks", http, headers)
        if case.method == "POST" and isinstance(case.body, dict) and "uid" in case.body:
            case.body["uid"] = uuid.uuid4().hex  # one that is not taken
        if "project_id" in case.path_parameters:
            made = http.post(f"{url}/api/me/projects", json={"name": uuid.uuid4().hex}, headers=headers)
            case.path_parameters["project_id"] = made.json()["id"]
    answer = case.call(base_url=url, session=http, headers=headers)
    depends = rule_beyond_schema(answer) or any(part in case.path for part in DEPENDS)
    excluded: list[schemathesis.CheckFunction] = [checks.positive_data_acceptance] if depends else []
    if "fields" in (case.query or {}):  # its rows lack the others, which the schema requires
        excluded.append(checks.response_schema_conformance)
    case.validate_response(answer, headers=headers, excluded_checks=excluded, transport_kwargs={"session": http})
