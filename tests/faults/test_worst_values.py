"""No cheap request stops the service: the worst value of each kind in every place of a request.

The places come from the OpenAPI document of all routes and from the schemas of the tools, so that new routes and fields
are included. Each request must keep three promises: a 4xx for an invalid value, a response of at most 64 KB, and a
concurrent GET /health within 250 ms.
"""

import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest

from app.assistant.tools import TOOLS_BY_NAME
from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.http.oauth.consent import CONSENT_COOKIE
from app.main import create_app
from tests.faults import careless_app, worst_forms, worst_imports
from tests.faults.probing import Answer, Finding, Prober, Survey, judge
from tests.faults.worst_requests import Case, Operation, Writer, mcp_cases, operations, other_cases, sample, tool_cases
from tests.oauth.flow import field
from tests.oidc.provider import CLIENT_ID, providing
from tests.servers import running
from tests.support import SECRET, make_token

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("anyio_backend")]

METRICS = "a-token-for-metrics"
# The longest notes of control characters take 98 KB of an answer.
SHORT_NOTES = {"DESCRIPTION_MAX": "1000"}
UNLIMITED = {
    "RATE_LIMIT_PER_MINUTE": "0",
    "RATE_LIMIT_ANONYMOUS_PER_MINUTE": "0",
    "RATE_LIMIT_CHAT_PER_MINUTE": "0",
    "RATE_LIMIT_IMPORT_PER_HOUR": "0",
    "RATE_LIMIT_EXPORT_PER_HOUR": "0",
    "IMPORT_ROWS_MAX": str(worst_imports.ROWS),
    "METRICS_TOKEN": METRICS,
    "MAIL_TO_LOG": "on",
}
GROWTH = 100 * 1_048_576  # bytes that the process may have grown by at the end
AT_LEAST = 14_000  # values of the operations and tools
PASSWORD = "correct horse battery"
# Bodies without a schema, each with the function that generates its cases.
OWN: dict[str, Callable[..., Iterator[Case]]] = {
    "POST /mcp": mcp_cases,
    "POST /api/{user_id}/import": worst_imports.cases,
    "POST /oauth/authorize": worst_forms.consent_cases,
    "POST /oauth/register": worst_forms.registration_cases,
    "POST /oauth/revoke": worst_forms.revocation_cases,
    "POST /oauth/token": worst_forms.token_cases,
}
# Files that do not depend on the request, except missing ones.
FILES = {"GET /openapi.json", "GET /docs/{name}", "GET /docs", "GET /app", "GET /app/{version}/{name}"}
FILES |= {"GET /app/service_worker.js"}


def _operations() -> list[Operation]:
    settings = Settings(_env_file=None, database_url="postgresql:///x", jwt_secret=SECRET, metrics_token=METRICS)
    return operations(create_app(settings, serving=False))


OPERATIONS = _operations()
WRITER, WHOLE = Writer(), Writer()


class LoggedInUser:
    """The logged-in user, with one row of each entity that a path names."""

    def __init__(self, http: httpx.Client, survey: Survey) -> None:
        self.http, self.survey = http, survey
        self.email = f"{uuid.uuid4().hex}@example.com"

    def _sign(self, token: str) -> None:
        self.survey.headers = ((b"Authorization", f"Bearer {token}".encode()),)

    def _post(self, path: str, body: Any) -> Any:
        headers = {name.decode(): value.decode() for name, value in self.survey.headers}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def begin(self, operation: str) -> dict[str, str]:
        """Creates a user, or an account where a login is needed, and returns the ids of its rows."""
        self.survey.sign_in = None
        names = (
            "conversation_id",
            "session_id",
            "app_id",
            "link_id",
            "passkey_id",
            "token_id",
            "revision",
            "resource",
            "about",
        )
        ids = dict.fromkeys(names, "1")
        ids |= {"user_id": "me", "name": "home", "version": "1", "provider": "default"}
        if "/api/auth/" in operation:
            self.survey.sign_in = self.log_in
            self.log_in()
            return {**ids, "token_id": str(self._post("/api/auth/tokens", {"name": "x"})["id"])}
        subject = self.sign_anew()
        if operation == "GET /metrics":
            self._sign(METRICS)
        if operation in OWN:
            self.survey.sign_in = self.sign_anew
        if "{user_id}" not in operation:
            return ids
        feed = self._post("/api/me/calendar", {})
        task = self._post("/api/me/tasks", {"title": "x", "tags": ["home"], "recurrence": "FREQ=DAILY"})["id"]
        made = {
            "task_id": task,
            "project_id": self._post("/api/me/projects", {"name": "x"})["id"],
            "comment_id": self._post(f"/api/me/tasks/{task}/comments", {"body": "x"})["id"],
            "view_id": self._post("/api/me/views", {"name": "x", "parameters": {}})["id"],
            "channel_id": self._post("/api/me/channels", {"kind": "ntfy", "topic": "x"})["id"],
            "webhook_id": self._post("/api/me/webhooks", {"url": "https://example.com/"})["id"],
            "feed_id": feed["id"],
            "token": feed["token"],
            "user_id": subject if operation.endswith("calendar.ics") else "me",
        }
        return ids | {name: str(value) for name, value in made.items()}

    def sign_anew(self) -> str:
        """Continues as a new user, and returns its id."""
        subject = f"worst-{uuid.uuid4().hex}"
        self._sign(make_token(subject))
        return subject

    def log_in(self) -> None:
        body = {"email": self.email, "password": PASSWORD}
        answer = self.http.post("/api/auth/login", json=body)
        if answer.status_code == 401:  # there is no account yet, or a case has changed its password
            self.email = f"{uuid.uuid4().hex}@example.com"
            answer = self.http.post("/api/auth/register", json=body | {"email": self.email})
        self._sign(answer.json()["access_token"])


@pytest.fixture(scope="module")
def logged_in_user(postgres: ConnectOptions, migrated: str) -> Iterator[LoggedInUser]:
    with (
        providing() as provider,
        running(
            postgres.dsn, OIDC_ISSUER=provider.issuer, OIDC_CLIENT_ID=CLIENT_ID, **SHORT_NOTES, **UNLIMITED
        ) as server,
        Prober(server.port) as prober,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as http,
    ):
        yield LoggedInUser(http, Survey(server, prober))


@pytest.fixture(autouse=True)
async def no_attempts(sql: Any) -> None:
    """Deletes failed logins of other tests from the same IP address."""
    await sql.execute("delete from login_attempts")


def assert_held(findings: list[Finding]) -> None:
    if findings:
        pytest.fail("\n".join(str(finding) for finding in findings), pytrace=False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_no_value_of_a_request_stops_the_service(logged_in_user: LoggedInUser, operation: Operation) -> None:
    ids = logged_in_user.begin(operation.name)
    cases = list(WRITER.cases(operation, ids))
    judged = judge_file if operation.name in FILES else judge
    assert_held(logged_in_user.survey.run(operation.method, cases, judged))


def judge_file(case: Case, answer: Answer) -> str:
    return judge(case, answer._replace(size=0) if answer.status == 200 else answer)


@pytest.mark.parametrize("name", TOOLS_BY_NAME)
def test_no_tool_argument_stops_the_service(logged_in_user: LoggedInUser, name: str) -> None:
    logged_in_user.begin("POST /mcp")
    assert_held(logged_in_user.survey.run("POST", tool_cases(name), judge_message))


def test_no_mcp_message_stops_the_service(logged_in_user: LoggedInUser) -> None:
    logged_in_user.begin("POST /mcp")
    assert_held(logged_in_user.survey.run("POST", mcp_cases(), judge_message))


def judge_message(case: Case, answer: Answer) -> str:
    """Judges an MCP response: an error of a tool is a 200 in this protocol."""
    failed = b'"isError":true' in answer.body or b'"error":' in answer.body
    return judge(case, answer._replace(status=400) if answer.status == 200 and failed else answer)


@pytest.mark.parametrize(
    ("method", "path"), [("OPTIONS", b"/api/me/tasks"), ("HEAD", b"/api/me/tasks"), ("POST", b"/nowhere")]
)
def test_no_value_of_an_unknown_route_stops_the_service(logged_in_user: LoggedInUser, method: str, path: bytes) -> None:
    logged_in_user.begin("POST /mcp")
    assert_held(logged_in_user.survey.run(method, other_cases(path)))


def test_the_process_does_not_grow_beyond_the_limit(
    logged_in_user: LoggedInUser, capsys: pytest.CaptureFixture[str]
) -> None:
    survey = logged_in_user.survey
    grown = survey.rss() - survey.rss_at_start
    most = [f"{seconds:.2f} s of CPU: {what}\n" for seconds, what in sorted(survey.costs, reverse=True)[:5]]
    with capsys.disabled():
        sys.stdout.write(f"\n{survey.sent:,} values sent; the process grew by {grown / 1e6:.0f} MB\n{''.join(most)}")
    assert grown < GROWTH


def test_no_import_file_stops_the_service(logged_in_user: LoggedInUser) -> None:
    logged_in_user.begin("POST /api/{user_id}/import")
    assert_held(logged_in_user.survey.run("POST", worst_imports.cases(), worst_imports.judge_report))


@pytest.mark.parametrize("operation", ["POST /oauth/register", "POST /oauth/revoke", "POST /oauth/token"])
def test_no_body_of_an_app_stops_the_service(logged_in_user: LoggedInUser, operation: str) -> None:
    logged_in_user.begin(operation)
    assert_held(logged_in_user.survey.run("POST", OWN[operation]()))


def test_no_form_of_the_consent_stops_the_service(logged_in_user: LoggedInUser) -> None:
    logged_in_user.begin("POST /oauth/authorize")
    http = logged_in_user.http
    registered = http.post("/oauth/register", json={"redirect_uris": [worst_forms.REDIRECT]}).json()["client_id"]
    url = f"/oauth/authorize?{worst_forms.authorization_query(registered).decode()}"
    page = http.get(url)
    token = field(page.text, "forgery_token")
    assert http.post(url, data=worst_forms.LOGIN | {"forgery_token": token}).status_code == 401  # and so it is read
    cookie = f"{CONSENT_COOKIE}={page.cookies[CONSENT_COOKIE]}".encode()
    cases = list(worst_forms.consent_cases(registered, ((b"Cookie", cookie),), token))
    assert_held(logged_in_user.survey.run("POST", cases))
    assert_held(logged_in_user.survey.run("GET", [case for case in cases if case.place.startswith("query")]))


def test_bodies_without_a_schema_are_listed() -> None:
    own = {each.name for each in OPERATIONS if each.spec.get("requestBody") and each.body is None}
    own |= {each.name for each in OPERATIONS if each.hidden and each.method != "GET" and each.body is None}
    assert own == OWN.keys()


def test_every_place_has_values() -> None:
    ids: dict[str, str] = defaultdict(lambda: "1")
    made = [case for operation in OPERATIONS for case in Writer().cases(operation, ids) if case.body is not None]
    assert len({(case.target, case.place) for case in made}) >= 200
    counted = sum(len(list(WHOLE.cases(operation, ids))) for operation in OPERATIONS)
    counted += sum(len(list(tool_cases(name))) for name in TOOLS_BY_NAME)
    assert counted >= AT_LEAST


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.body], ids=lambda operation: operation.name)
def test_the_sample_around_a_value_is_valid(operation: Operation) -> None:
    """Else something else would be refused before the value is examined."""
    assert operation.body is not None
    whole = {**operation.body, "components": operation.document["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    validator.validate(sample(operation.document, operation.body))


CARELESS = {
    ("body.title", "combining marks of 60 KB"): "a pause",
    ("body.title", "combining marks of 1 MB"): "no answer",
    ("body.tags", "lists of numbers"): "a long answer",
    ("body.color", "letters of 1 MB"): "accepted",
    ("body.color", "digits, 255 of them"): "an error of the service",
}


def test_a_vulnerable_service_is_found(postgres: ConnectOptions) -> None:
    (operation,) = (each for each in operations(careless_app.create_app()) if each.name == "POST /notes")
    cases = [each for each in Writer().cases(operation, {}) if (each.place, each.kind) in CARELESS]
    with (
        running(postgres.dsn, app="tests.faults.careless_app:create_app") as server,
        Prober(server.port) as prober,
    ):
        findings = Survey(server, prober, answer_within=2.0).run("POST", cases)
    assert {(each.case.place, each.case.kind): each.what for each in findings} == CARELESS
