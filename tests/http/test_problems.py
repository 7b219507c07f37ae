"""Every error has one format (RFC 9457), and every response has the same headers."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import text
from starlette.responses import Response, StreamingResponse

from app.config import Settings
from app.db.connection_options import ConnectOptions
from app.db.error_mapping import DATABASE_RETRY_AFTER, to_app_error
from app.errors import AppError, ErrorKind, InvalidRecurrence, StorageFull, Unavailable
from app.http.dependencies import WriteSession
from app.http.problems import STATUS_BY_KIND, STATUS_TITLES
from app.http.routing import DirectRoute
from app.main import create_app
from tests.api import test_routes
from tests.http.test_cors import preflight
from tests.processes import service
from tests.support import SECRET, Person, assert_problem, make_token

PATHS: dict[str, dict[str, Any]] = create_app(Settings(_env_file=None)).openapi()["paths"]
ROUTES = [(method.upper(), path) for path, item in PATHS.items() for method in item]
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"}
JSON = {"Content-Type": "application/json"}
HEALTH = "health"  # no slash: Person takes "/..." as a path of the user


def concrete(path: str, owner: str, task_id: int = 1) -> str:
    path = path.replace("{user_id}", owner).replace("{task_id}", str(task_id))
    return path if path.startswith("/api/") else path[1:]


class ForbiddenDatabase:
    """A database that must not be used."""

    def transaction(self, owner: str, *, read_only: bool = False) -> Any:
        raise AssertionError("a query was made")


@pytest.fixture
def fresh(app: FastAPI, settings: Settings) -> FastAPI:
    """Returns another application on the same database, for tests that change it."""
    other = create_app(settings)
    other.state.database, other.state.verifier = app.state.database, app.state.verifier
    return other


@pytest.fixture
async def visitor(fresh: FastAPI) -> AsyncIterator[Person]:
    """Yields a user of the fresh application."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fresh), base_url="http://test") as http:
        yield Person(http, "visitor")


# --- errors of the framework ---


@pytest.mark.parametrize(
    "path",
    ["/nope", "/app/x", "/api", "/api/me", "/api/me/nope", "/tasks", "/api//tasks", "/api/me/tasks/1/nope", "/%00",
     "/docs/x/y", "/API/me/tasks", "/health.json", "/api/me/tasks/1/2", "/../etc/passwd", "/openapi.yaml"],
)  # fmt: skip
async def test_an_unknown_route_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404, "route_not_found")


@pytest.mark.parametrize("path", PATHS)
async def test_an_unsupported_method_is_405_with_the_supported_ones(alice: Person, path: str) -> None:
    supported = {method.upper() for method in PATHS[path]}
    supported |= {"HEAD"} if "GET" in supported else set()
    for method in sorted(METHODS - supported):
        answer = await alice.call(method, concrete(path, alice.subject))
        assert answer.status_code == 405
        assert answer.headers["allow"] == ", ".join(sorted(supported))
        if method != "HEAD":  # which has no body
            assert_problem(answer, 405, "method_not_allowed")


# --- identity: 401, 403 ---


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return "Bearer " + jwt.encode(claims, secret, algorithm)


REFUSED: dict[str, tuple[str | None, str]] = {
    "no header": (None, "token_missing"),
    "an empty header": ("", "token_missing"),
    "basic": ("Basic YTpi", "token_not_bearer"),
    "no scheme": (make_token("me"), "token_not_bearer"),
    "no token": ("Bearer", "token_not_bearer"),
    "blanks": ("Bearer  ", "token_not_bearer"),
    "two tokens": (f"Bearer {make_token('me')} {make_token('me')}", "token_not_bearer"),
    "garbage": ("Bearer garbage", "token_invalid"),
    "dots": ("Bearer a.b.c", "token_invalid"),
    "not ASCII": ("Bearer \u00e9.\u00e9.\u00e9", "token_invalid"),
    "10,000 characters": ("Bearer " + "a." * 5000, "token_invalid"),
    "another secret": ("Bearer " + make_token("me", secret=SECRET[::-1]), "token_invalid"),
    "no signature": (signed({"sub": "me", "exp": 4_000_000_000}, "", "none"), "token_invalid"),
    "cut off": ("Bearer " + make_token("me")[:-2], "token_invalid"),
    "no subject": (signed({"exp": 4_000_000_000}), "token_invalid"),
    "no end": (signed({"sub": "me"}), "token_invalid"),
    "expired": ("Bearer " + make_token("me", ttl=-1), "token_expired"),
}


@pytest.mark.parametrize(("header", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_each_401_has_its_code_and_a_challenge(client: httpx.AsyncClient, header: str | None, code: str) -> None:
    sent = {} if header is None else {"Authorization": header}
    answer = await client.get("/api/me/tasks", headers=httpx.Headers(sent, encoding="latin-1"))
    assert_problem(answer, 401, code)
    bare = code in ("token_missing", "token_not_bearer")
    assert answer.headers["www-authenticate"] == ("Bearer" if bare else 'Bearer error="invalid_token"')


async def test_the_bearer_scheme_is_case_insensitive(client: httpx.AsyncClient) -> None:
    for scheme in ("bearer", "BEARER"):
        answer = await client.get("/api/me/tasks", headers={"Authorization": f"{scheme} {make_token('someone')}"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [route for route in ROUTES if "{user_id}" in route[1] and route not in test_routes.CAPABILITY]
)
async def test_another_users_path_is_403_before_any_query_and_before_the_body(
    fresh: FastAPI, visitor: Person, method: str, path: str
) -> None:
    fresh.state.database = ForbiddenDatabase()
    answer = await visitor.call(method, concrete(path, "somebody-else"), content=b"{not json")
    problem = assert_problem(answer, 403, "forbidden")
    assert problem["detail"] == "Access denied: Not authorized to access this user's resources"


@pytest.mark.parametrize("other", ["ALICE", "ME", "me%20", "me%00", "%6De%2F", "x" * 256])
async def test_only_the_exact_subject_or_me_is_the_users_own_path(visitor: Person, other: str) -> None:
    answer = await visitor.get(f"/api/{other}/tasks")
    assert_problem(answer, 403)


# --- the format ---


async def test_a_problem_has_exactly_the_documented_members(alice: Person) -> None:
    for answer, more in (
        (await alice.get("/tasks/1/nope"), set()),
        (await alice.get("/tasks/999999999999"), set()),
        (await alice.post("/tasks", {}), {"errors"}),
        (await alice.get("/tasks?cursor=x"), {"errors"}),
    ):
        body = answer.json()
        assert set(body) == {"type", "title", "status", "status_code", "detail", "code", "request_id"} | more
        assert body["type"] == f"urn:todo:problem:{body['code']}"
        assert body["title"] == STATUS_TITLES[answer.status_code]


async def test_422_lists_every_error_with_its_location(alice: Person) -> None:
    body = {"title": "", "completed": "yes", "tags": ["ok", 5], "due_date": "soon", "colour": "red"}
    problem = assert_problem(await alice.post("/tasks", body), 422, "validation_error")
    found = {(*error["loc"],) for error in problem["errors"]}
    assert found == {
        ("body", "title"), ("body", "completed"), ("body", "tags", 1), ("body", "due_date"), ("body", "colour"),
    }  # fmt: skip
    assert all(set(error) == {"loc", "msg", "type"} for error in problem["errors"])
    assert problem["detail"].endswith("There are 4 more errors.")
    assert len(problem["errors"]) == 5


def test_every_kind_of_error_has_a_status_and_every_status_a_title() -> None:
    assert set(STATUS_BY_KIND) == set(ErrorKind)
    assert set(STATUS_BY_KIND.values()) <= set(STATUS_TITLES)


# InvalidRecurrence names the wrong part of a rule: tests/domain/test_recurrence.py.
def application_errors(base: type[AppError] = AppError) -> Iterator[type[AppError]]:
    for fact in base.__subclasses__():
        yield fact
        yield from application_errors(fact)


@pytest.mark.parametrize(
    "fact", [fact for fact in application_errors() if fact is not InvalidRecurrence], ids=lambda fact: fact.__name__
)
async def test_every_application_error_is_returned_as_a_problem(
    fresh: FastAPI, visitor: Person, fact: type[AppError]
) -> None:
    @fresh.get("/fact")
    async def fail() -> None:
        raise fact(retry_after=7)

    answer = await visitor.get("fact")
    body = assert_problem(answer, STATUS_BY_KIND[fact.kind], fact.code)
    assert body["detail"] == fact.message
    assert answer.headers["retry-after"] == "7"


# --- the database ---

SQLSTATES = {
    "invalid": "22000 22001 22003 22007 22008 22012 22021 22023 22P02 22P05 22P06 23502 23514",
    "conflict": "23505 23503",
    "not_found": "42501",
    "contention": "40001 40P01",
    "unavailable": "55P03 57014 57P01 57P02 57P03 57P04 57P05 08000 08001 08003 08004 08006 08007 08P01 "
    "25P03 53000 53200 53300 53400 58030",
    "storage_full": "53100",
    None: "0A000 21000 23000 23P01 25001 25006 25P02 26000 34000 3D000 40002 42601 42703 42883 42P01 42P18 54000 "
    "55000 58000 58P01 P0001 XX000 XX001 99999",
}


@pytest.mark.parametrize(
    ("code", "state"), [(code, state) for code, states in SQLSTATES.items() for state in states.split()]
)
def test_each_sqlstate_has_one_application_error(code: str | None, state: str) -> None:
    error = asyncpg.PostgresError.new({"C": state, "M": 'relation "secret" does not exist', "n": "tasks_secret"})
    fact = to_app_error(error)
    assert (fact.code if fact else None) == code
    assert (fact.retry_after if fact else None) == (
        DATABASE_RETRY_AFTER if code in ("unavailable", "contention") else None
    )
    assert "secret" not in str(fact)


def test_a_file_that_the_operating_system_refuses_to_the_database_is_503(caplog: pytest.LogCaptureFixture) -> None:
    """Formerly a read-only file system was a 404: PostgreSQL gives it the SQLSTATE of a missing privilege."""
    message = 'could not open file "base/5/1": Read-only file system'
    found = to_app_error(asyncpg.PostgresError.new({"C": "42501", "M": message}))
    assert isinstance(found, Unavailable)
    assert [(record.levelname, message in record.getMessage()) for record in caplog.records] == [("ERROR", True)]


def test_an_unknown_time_zone_is_distinguished_from_other_invalid_parameters() -> None:
    unknown, other = (
        ('time zone "Mars/Base" not recognized', "unknown_time_zone"),
        ('role "x" does not exist', "invalid"),
    )
    for message, code in (unknown, other):
        fact = to_app_error(asyncpg.PostgresError.new({"C": "22023", "M": message}))
        assert fact is not None
        assert fact.code == code


NO_ANSWER = [TimeoutError(), ConnectionResetError(), ConnectionRefusedError(), OSError(), socket.gaierror()]
NO_ANSWER += [asyncpg.InterfaceError("connection is closed"), asyncpg.ConnectionDoesNotExistError("gone")]


@pytest.mark.parametrize("error", NO_ANSWER, ids=lambda error: type(error).__name__)
def test_a_lost_database_connection_is_503(error: Exception) -> None:
    fact = to_app_error(error)
    assert isinstance(fact, Unavailable)
    assert fact.retry_after


@pytest.mark.parametrize(
    "error", [ValueError(), KeyError(), AssertionError(), RuntimeError(), asyncio.CancelledError()]
)
def test_a_bug_is_not_an_application_error(error: BaseException) -> None:
    assert to_app_error(error) is None


def test_a_permission_error_of_the_database_is_logged_as_critical(caplog: pytest.LogCaptureFixture) -> None:
    to_app_error(asyncpg.PostgresError.new({"C": "42501", "M": "permission denied for table tasks"}))
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


@pytest.mark.parametrize("fact", [Unavailable(retry_after=1), StorageFull()], ids=lambda fact: fact.code)
async def test_a_database_failure_is_returned_as_a_problem(
    fresh: FastAPI, visitor: Person, monkeypatch: pytest.MonkeyPatch, fact: AppError
) -> None:
    async def begin(*_: Any, **__: Any) -> Any:
        raise fact

    monkeypatch.setattr(fresh.state.database, "begin", begin)
    for answer in (await visitor.get("/tasks"), await visitor.post("/tasks", {"title": "x"})):
        assert_problem(answer, STATUS_BY_KIND[fact.kind], fact.code)
        assert ("retry-after" in answer.headers) == (answer.status_code == 503)


# --- bugs: 500 ---


def assert_hidden(answer: httpx.Response, caplog: pytest.LogCaptureFixture) -> None:
    """Asserts a generic response, and one complete log entry."""
    body = assert_problem(answer, 500, "internal_error")
    assert "hush" not in answer.text
    assert "hush" not in str(answer.headers)
    assert body["detail"] == "Something went wrong on our side; the request id finds it in the log."
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info
    assert "hush" in str(record.exc_info[1])


BUGS = [RuntimeError("hush"), KeyError("hush"), TimeoutError("hush"), ExceptionGroup("hush", [OSError()])]


@pytest.mark.parametrize("error", BUGS, ids=lambda error: type(error).__name__)
async def test_a_bug_is_500_without_its_message(
    fresh: FastAPI, visitor: Person, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    @fresh.get("/bug")
    async def fail() -> None:
        raise error

    answer = await visitor.get("bug", headers={"Origin": "http://localhost:3000"})
    assert_hidden(answer, caplog)
    # Without it a browser reports a network error to its page instead of the problem.
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert (await visitor.get(HEALTH)).status_code == 200


async def test_a_bug_after_a_write_rolls_the_write_back(
    fresh: FastAPI, visitor: Person, alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    router = APIRouter(prefix="/api/{user_id}", route_class=DirectRoute)

    @router.post("/bug")
    async def fail(session: WriteSession) -> Response:
        await session.exec(text("insert into users (id, revision) values (current_setting('app.user_id'), 17)"))
        raise RuntimeError("hush")

    fresh.router.routes.extend(router.routes)
    visitor.subject, visitor.headers = alice.subject, alice.headers
    assert_hidden(await visitor.post("/bug"), caplog)
    assert (await alice.get("/tasks")).headers["x-revision"] == "0"


async def test_a_bug_after_the_response_started_aborts_it(fresh: FastAPI, visitor: Person) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("hush")

    @fresh.get("/half")
    async def stream() -> StreamingResponse:
        return StreamingResponse(half())

    with pytest.raises(RuntimeError):
        await visitor.get("half")


# --- headers of every response ---


@pytest.mark.parametrize("sent", ["a", "01a4d0f2c3b8", "A-b_c.9", "x" * 64])
async def test_a_valid_request_id_is_kept(client: httpx.AsyncClient, sent: str) -> None:
    answer = await client.get("/nope", headers={"X-Request-ID": sent})
    assert answer.headers["x-request-id"] == sent
    assert_problem(answer, 404)


@pytest.mark.parametrize(
    "sent", ["", "x" * 65, "a b", "a\tb", "a;b", 'a"b', "<script>", "\u00e9", "a\n", "${jndi:x}", "{}", "a,b"]
)
async def test_any_other_request_id_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    answer = await client.get("/health", headers=httpx.Headers({"X-Request-ID": sent}, encoding="latin-1"))
    assert len(answer.headers["x-request-id"]) == 32
    assert sent not in answer.headers["x-request-id"] or not sent


async def test_concurrent_requests_keep_their_own_ids(client: httpx.AsyncClient) -> None:
    sent = [f"id-{number}" for number in range(50)]
    answers = await asyncio.gather(*(client.get("/nope", headers={"X-Request-ID": one}) for one in sent))
    assert [answer.json()["request_id"] for answer in answers] == sent


async def calls(person: Person) -> list[httpx.Response]:
    """Returns one response of every kind."""
    made = await person.post("/tasks", {"title": "x"})
    path = f"/tasks/{made.json()['id']}"
    return [
        made,
        await person.get(path),
        await person.get(path, headers={"If-None-Match": made.headers["etag"]}),
        await person.get("/tasks"),
        await person.get("/tasks/trash"),
        await person.get(HEALTH),
        await person.get("/api/someone/tasks"),
        await person.client.get("/api/me/tasks"),
        await person.get("/tasks/0"),
        await person.get("/nope"),
        await person.call("POST", path),
        await person.patch(path, {"title": "y"}, headers={"If-Match": '"0"'}),
        await person.call("POST", "/tasks", content=b"{", headers=JSON),
        await person.call("POST", "/tasks", content=b"{}"),
        await person.call("POST", "/tasks", content=b" " * 2_000_000, headers=JSON),
        await person.post("/tasks", {}),
        await person.client.options("/api/me/tasks", headers=preflight("http://localhost:5173", "POST")),
        await person.client.options("/api/me/tasks", headers=preflight("https://evil.example", "POST")),
        await person.delete(path),
    ]


async def test_every_response_has_nosniff_cache_control_and_a_request_id(alice: Person) -> None:
    answers = await calls(alice)
    assert {answer.status_code for answer in answers} >= {
        200,
        201,
        204,
        304,
        400,
        401,
        403,
        404,
        405,
        412,
        413,
        415,
        422,
    }
    for answer in answers:
        kept = "etag" in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
        assert answer.headers["cache-control"] == ("private, no-cache" if kept else "no-store")
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        assert all(answer.headers.get_list(name) == [value] for name, value in answer.headers.items())


# --- paths ---


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[1].startswith("/api/{user_id}/tasks")])
async def test_each_path_works_with_and_without_a_trailing_slash(
    alice: Person, new_person: Callable[[], Person], method: str, path: str
) -> None:
    answers = []
    for slash in ("", "/"):
        person = new_person()
        task = await person.add(**({"recurrence": "FREQ=DAILY"} if path.endswith("/skip") else {}))
        if path.endswith("/restore"):
            await person.delete(f"/tasks/{task['id']}")
        url = test_routes.concrete(
            path, person.subject, task["id"], **await test_routes.things(person, path, task["id"])
        )
        answers.append(await person.call(method, url + slash, json=test_routes.body_of(path)))
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].is_success or path.startswith("/api/auth/")  # those need an account: tests/accounts
    assert not any(answer.history for answer in answers)


# --- over a socket, as ``todo serve`` runs it ---


@pytest.fixture(scope="module")
def url(postgres: ConnectOptions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("problems")
    with service(folder, database_url=postgres.dsn, jwt_secret=SECRET, access_log=False) as running:
        yield f"http://127.0.0.1:{running.ready().port}"


@pytest.fixture
async def remote(url: str, alice: Person) -> AsyncIterator[Person]:
    """Yields Alice, calling over the network."""
    async with httpx.AsyncClient(base_url=url) as http:
        yield Person(http, alice.subject)


async def test_no_response_names_the_server_software(remote: Person) -> None:
    for answer in await calls(remote):
        assert "server" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("declared", [True, False])
async def test_ten_megabytes_over_a_socket_are_413_and_the_next_request_works(remote: Person, declared: bool) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b" " * 65_536

    content = b" " * 10 * 1024 * 1024 if declared else stream()
    assert_problem(await remote.call("POST", "/tasks", content=content, headers=JSON), 413, "body_too_large")
    assert (await remote.add())["version"] == 1


async def raw(url: str, request: bytes) -> bytes:
    """Returns the response to exactly these bytes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(65_536), 5)
    finally:
        writer.close()
        await writer.wait_closed()


HOSTILE = {
    "NUL in the path": b"GET /api/me/\0tasks HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\0b\r\n\r\n",
    "two lengths": b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "length of other digits": b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n",
    "negative length": b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "bad chunk": b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "not HTTP": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
    "no host": b"GET /api/me/tasks HTTP/1.1\r\n\r\n",
    "raw bytes in the path": b"GET /api/\xff\xfe/tasks HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the query": b"GET /api/me/tasks?search=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_bytes_are_a_4xx_and_the_next_request_works(
    remote: Person, url: str, request_bytes: bytes
) -> None:
    answer = await raw(url, request_bytes)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert (await remote.get(HEALTH)).status_code == 200
