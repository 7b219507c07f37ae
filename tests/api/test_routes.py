"""Every route without a token, as another user and as the owner. The list is generated, so that it has every new
route."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from app.config import Settings
from app.main import create_app
from tests.support import Person, assert_problem

PUBLIC = {("GET", "/health"), ("GET", "/ready"), ("GET", "/docs"), ("GET", "/docs/{name}"), ("GET", "/openapi.json")}
PUBLIC |= {("GET", "/.well-known/jwks.json"), ("GET", "/"), ("GET", "/app"), ("GET", "/app/{version}/{name:path}")}
PUBLIC |= {("GET", "/app/service_worker.js")}
PUBLIC |= {("GET", "/.well-known/oauth-protected-resource" + path) for path in ("", "/{resource:path}")}
PUBLIC |= {("GET", "/.well-known/oauth-authorization-server" + path) for path in ("", "/{about:path}")}
PUBLIC |= {("GET", "/api/auth/oidc")}
PUBLIC |= {("GET", "/api/auth/oidc/{provider}/" + name) for name in ("start", "callback", "logout")}
# Their clients receive and send more: tests/assistant/test_mcp.py, tests/oauth.
PROTOCOL = {("POST", "/mcp"), ("GET", "/oauth/authorize"), ("POST", "/oauth/authorize")}
PROTOCOL |= {("POST", f"/oauth/{name}") for name in ("token", "revoke", "register")}
# Login and registration: for callers without a token, or with an expired one.
ENTRANCE = {
    ("POST", "/api/auth/" + name)
    for name in (
        "register", "signup", "login", "signin", "login/factor", "login/factor/options",
        "login/passkey", "login/passkey/options", "refresh", "logout", "password/forgot",
        "password/reset", "email/confirm",
    )
}  # fmt: skip


def routes() -> Iterator[tuple[str, str]]:
    app = create_app(Settings(_env_file=None))
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        assert isinstance(route, APIRoute)
        for method in sorted(route.methods or ()):
            yield method, route.path


# Calendar apps have another login and other errors: tests/dav/test_routes.py.
EVERY_ROUTE = list(routes())
CALDAV = [route for route in EVERY_ROUTE if route[1].startswith(("/dav", "/.well-known/caldav"))]
ROUTES = [route for route in EVERY_ROUTE if route not in CALDAV]
# Routes that open with a token in their URL: tests/api/test_calendar_feeds.py.
CAPABILITY = {("GET", "/api/{user_id}/calendar.ics")}
PRIVATE = [route for route in ROUTES if route[1].startswith("/api/{user_id}/") and route not in CAPABILITY]
ACCOUNT = [route for route in ROUTES if route not in PUBLIC | ENTRANCE | PROTOCOL | CAPABILITY and route not in PRIVATE]


# Bodies of routes that take no task title, by the end of the path.
BODIES: dict[str, Any] = {
    "/complete": {"completed": True},
    "/move": {"project_id": None},
    "/settings": {"timezone": "Europe/Berlin"},
    "/snooze": {"minutes": 10},
    "/duplicate": {"comments": True},
    "/quick": {"text": "mine"},
    "/bulk": {"ids": [1], "action": "complete"},
    "/calendar": {"name": "mine"},
    "/import": {"format": "todo/1"},
    "/tags/{name:path}": {"name": "y"},
    "/views": {"name": "x", "parameters": {}},
    "/views/{view_id}": {"name": "y"},
    "/batch": {"operations": [{"operation": "create_task", "arguments": {"title": "x"}}]},
    "/channels": {"kind": "mail"},
    "/channels/{channel_id}": {"name": "y"},
    "/comments": {"body": "x"},
    "/comments/{comment_id}": {"body": "x"},
}


def concrete(path: str, owner: str, task_id: int | str, **ids: Any) -> str:
    values = dict.fromkeys(
        (
            "revision",
            "webhook_id",
            "token_id",
            "session_id",
            "comment_id",
            "view_id",
            "channel_id",
            "project_id",
            "conversation_id",
            "feed_id",
            "about",
            "app_id",
            "provider",
            "link_id",
            "passkey_id",
        ),
        1,
    )
    return path.replace(":path}", "}").format(**{**values, "name": "x", "user_id": owner, "task_id": task_id, **ids})


def body_of(path: str) -> Any:
    return next((body for ending, body in BODIES.items() if path.endswith(ending)), {"title": "x"})


async def things(person: Person, path: str, task_id: int) -> dict[str, Any]:
    """Creates what the path names besides the task, and returns the ids."""
    if "{comment_id}" in path:
        return {"comment_id": (await person.post(f"/tasks/{task_id}/comments", {"body": "x"})).json()["id"]}
    if "{view_id}" in path:
        return {"view_id": (await person.post("/views", {"name": "v", "parameters": {}})).json()["id"]}
    if "{channel_id}" in path:
        return {"channel_id": (await person.post("/channels", {"kind": "ntfy", "topic": "x"})).json()["id"]}
    if "{name:path}" in path:
        return {"name": (await person.add(tags=["a/b"]))["tags"][0]}
    return {}


def test_the_public_routes_are_exactly_those_listed() -> None:
    assert set(ROUTES) >= PUBLIC | ENTRANCE | PROTOCOL
    assert PRIVATE
    assert all(path.startswith("/api/auth/") for _, path in ACCOUNT)


@pytest.mark.parametrize(("method", "path"), PRIVATE + ACCOUNT)
async def test_a_route_returns_401_without_a_token(alice: Person, method: str, path: str) -> None:
    task = await alice.add()
    answer = await alice.client.request(method, concrete(path, alice.subject, task["id"]), json={})
    assert_problem(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await alice.get("/tasks")).json() == [task]


@pytest.mark.parametrize(("method", "path"), PRIVATE)
async def test_another_user_gets_403_for_the_path_and_404_for_the_id(
    alice: Person, bob: Person, method: str, path: str
) -> None:
    task = await alice.add()
    answer = await bob.call(method, concrete(path, alice.subject, task["id"]), json={"title": "x"})
    assert_problem(answer, 403, "forbidden")
    if "{task_id}" in path:
        url = concrete(path, bob.subject, task["id"], **await things(alice, path, task["id"]))
        assert_problem(await bob.call(method, url, json=body_of(path)), 404, "task_not_found")
    assert (await alice.get("/tasks")).json() == [task]


# An event stream does not end for a client without a socket (tests/live/test_event_stream.py), a chat needs a model
# (tests/assistant), and webhooks and projects have bodies and ids of their own (test_webhooks.py, test_projects.py).
ELSEWHERE = [
    route
    for route in PRIVATE
    if route[1].endswith(("/events", "/chat", "{feed_id}"))  # tests/api/test_calendar_feeds.py
    or "{conversation_id}" in route[1]
    or "/webhooks" in route[1]
    or route[1].startswith("/api/{user_id}/projects")
]


@pytest.mark.parametrize(("method", "path"), [route for route in PRIVATE if route not in ELSEWHERE])
async def test_a_route_succeeds_for_the_owner(alice: Person, method: str, path: str) -> None:
    task = await alice.add(**({"recurrence": "FREQ=DAILY"} if path.endswith("/skip") else {}))
    if path.endswith("/restore"):
        await alice.delete(f"/tasks/{task['id']}")
    url = concrete(path, alice.subject, task["id"], **await things(alice, path, task["id"]))
    answer = await alice.call(method, url, json=body_of(path))
    assert answer.status_code in (200, 201, 204), answer.text


UIDS: dict[str, Any] = {"task_id": "uid:t", "comment_id": "uid:c", "view_id": "uid:v", "project_id": "uid:p"}
NAMED_BY_UID = [route for route in PRIVATE if any(f"{{{name}}}" in route[1] for name in UIDS)]


async def make_named_rows(person: Person, **task: Any) -> None:
    """Creates the rows of UIDS."""
    made = await person.add(uid="t", **task)
    for path, body in (
        (f"/tasks/{made['id']}/comments", {"body": "x", "uid": "c"}),
        ("/views", {"name": "v", "parameters": {}, "uid": "v"}),
        ("/projects", {"name": "p", "uid": "p"}),
        ("/projects", {"name": "another", "uid": "q"}),
    ):
        assert (await person.post(path, body)).status_code == 201


def body_by_uid(path: str) -> Any:
    if "/projects/" in path:
        return {"after_uid": "q"} if path.endswith("/move") else {"name": "y"}
    return body_of(path)


@pytest.mark.parametrize(("method", "path"), NAMED_BY_UID)
async def test_a_route_finds_rows_by_uid_for_their_owner_alone(
    alice: Person, bob: Person, method: str, path: str
) -> None:
    await make_named_rows(alice, **({"recurrence": "FREQ=DAILY"} if path.endswith("/skip") else {}))
    if path.endswith("/restore"):
        await alice.delete("/tasks/uid:t")
    before = (await alice.get("/tasks")).headers["x-revision"]
    mine = await bob.call(method, concrete(path, bob.subject, **UIDS), json=body_by_uid(path))
    if method == "PUT":  # it creates a row of their own
        assert mine.status_code == 201
    else:
        assert_problem(mine, 404)
    assert (await alice.get("/tasks")).headers["x-revision"] == before
    answer = await alice.call(method, concrete(path, alice.subject, **UIDS), json=body_by_uid(path))
    assert answer.status_code in (200, 201, 204), answer.text


@pytest.mark.parametrize(("method", "path"), sorted(route for route in PUBLIC if "{" not in route[1]))
async def test_public_routes_need_no_token(alice: Person, method: str, path: str) -> None:
    assert (await alice.client.request(method, path, headers={"Host": "localhost"})).status_code == 200


@pytest.mark.parametrize("path", [p for m, p in PRIVATE if m == "GET" and (m, p) not in ELSEWHERE] + ["/health"])
async def test_head_returns_the_headers_of_get_without_a_body(alice: Person, path: str) -> None:
    task_id = (await alice.add())["id"]
    url = concrete(path, alice.subject, task_id, **await things(alice, path, task_id))
    get, head = [await alice.client.request(method, url, headers=alice.headers) for method in ("GET", "HEAD")]
    dropped = {"date", "x-request-id", "ratelimit"}
    assert head.status_code == 200
    assert {k: v for k, v in head.headers.items() if k not in dropped} == {
        k: v for k, v in get.headers.items() if k not in dropped
    }
