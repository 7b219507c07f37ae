"""The service behind a proxy that serves it below a path: each path in each response leads back to the service."""

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.http.route_index import RouteIndex
from app.http.routing import DirectRoute
from app.main import create_app
from tests.api.test_routes import BODIES, ROUTES, concrete
from tests.support import Person, make_token

HOST = "http://todo.example"
METADATA = "/.well-known/oauth-protected-resource"
# Each path is below the prefix, but for the metadata of RFC 9728 and RFC 8414, which are at the root of the host.
AT_ROOT = (METADATA, "/.well-known/oauth-authorization-server")
CREATED = {**BODIES, "/projects": {"name": "p"}, "/webhooks": {"url": "https://example.com/"}}
HARD_SUBJECTS = [
    'Łukasz "x" 50%/a?b#c', "a/b", "auth0|1;v=2", "名前 😀", "%2F", "https://id.example/u/1", "a\\b&c=d", "o'neil,",
]  # fmt: skip


class Front(NamedTuple):
    """A proxy: the prefix that it serves, and what it sends to the service for it."""

    prefix: str
    removes: bool
    sends_header: bool

    def transport(self, app: FastAPI) -> httpx.AsyncBaseTransport:
        inner = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        front = self

        class Transport(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                path = request.url.raw_path.decode()
                assert path.startswith((front.prefix, *AT_ROOT)), f"{path} leaves {front.prefix}"
                if front.removes and path.startswith(front.prefix):
                    path = path.removeprefix(front.prefix)
                    path = path if path.startswith("/") else f"/{path}"
                if front.sends_header:
                    request.headers["X-Forwarded-Prefix"] = front.prefix
                request.url = request.url.copy_with(raw_path=path.encode())
                return await inner.handle_async_request(request)

        return Transport()


FRONTS = [
    Front("/todo", removes=True, sends_header=True),
    Front("/todo", removes=False, sends_header=True),
    Front("/todo", removes=True, sends_header=False),
    Front("/todo", removes=False, sends_header=False),
    Front("/api", removes=True, sends_header=False),  # the name of a path of the service itself
    Front("/api", removes=False, sends_header=True),
    Front("/team/app", removes=True, sends_header=True),
    Front("/team/app", removes=False, sends_header=False),
    Front("", removes=False, sends_header=False),
]


@pytest.fixture(scope="module")
async def apps(settings: Settings) -> AsyncIterator[dict[str, FastAPI]]:
    """Starts one application that trusts the proxy's header, and one for each PUBLIC_URL."""
    async with AsyncExitStack() as stack:
        made: dict[str, FastAPI] = {}
        for prefix in {"header", *(front.prefix for front in FRONTS if not front.sends_header)}:
            change: dict[str, Any] = {"public_url": f"{HOST}{prefix}", "refresh_cookie": True, "pool_size": 2}
            if prefix == "header":
                change |= {"public_url": "", "forwarded_allow_ips": "127.0.0.1"}
            made[prefix] = create_app(settings.model_copy(update=change))
            await stack.enter_async_context(made[prefix].router.lifespan_context(made[prefix]))
        yield made


@pytest.fixture(params=FRONTS, ids=lambda front: f"{front.prefix}-{front.removes}-{front.sends_header}")
async def front(request: pytest.FixtureRequest, apps: dict[str, FastAPI]) -> AsyncIterator[tuple[Front, Any]]:
    found: Front = request.param
    app = apps["header" if found.sends_header else found.prefix]
    async with httpx.AsyncClient(transport=found.transport(app), base_url=HOST) as http:
        yield found, http


def paths_in(answer: httpx.Response) -> Iterator[str]:
    """Yields each path, and each URL of this host, in the headers and in the body of a response."""
    headers = answer.headers
    yield from (headers[name] for name in ("location", "content-location", "refresh") if name in headers)
    yield from re.findall(r"<([^>]*)>", headers.get("link", ""))
    yield from re.findall(r"[Pp]ath=([^;]*)", headers.get("set-cookie", ""))
    yield from re.findall(r'resource_metadata="([^"]*)"', headers.get("www-authenticate", ""))
    kind = headers.get("content-type", "")
    if kind.startswith("text/html"):
        yield from (url for url in re.findall(r'(?:href|src|url)"?[=:] ?"([^"]*)"', answer.text))
    elif "json" in kind and answer.content:
        yield from texts_in(answer.json())


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)
    elif isinstance(value, str) and value.startswith(("/", HOST)) and not value.startswith("/api/{user_id}"):
        yield value


async def walk(http: httpx.AsyncClient, prefix: str, subject: str) -> AsyncIterator[tuple[str, httpx.Response]]:
    """Calls every route as ``subject``, with what it needs where that is possible, and yields each response at once."""
    headers = {"Authorization": f"Bearer {make_token(subject)}"}
    owner = f"/api/{quote(subject, safe='')}"

    async def call(method: str, path: str, body: Any = None) -> httpx.Response:
        content = None if body is None else json.dumps(body).encode()
        more = {"Content-Type": "application/json"} if body is not None else {}
        return await http.request(method, prefix + path, headers={**headers, **more}, content=content, timeout=60)

    task = (await call("POST", f"{owner}/tasks", {"title": "t", "tags": ["a/b"]})).json()
    await call("POST", f"{owner}/tasks", {"title": "u"})
    ids = {"name": "a%2Fb", "revision": task["version"], "resource": "mcp", "version": "1"}
    comments = f"/tasks/{task['id']}/comments"
    bodies = {comments: {"body": "x"}, "/views": {"name": "v", "parameters": {}}, "/projects": {"name": "q"}}
    for where, body in bodies.items():
        noun = where.rpartition("/")[2].removesuffix("s")
        ids[f"{noun}_id"] = (await call("POST", owner + where, body)).json()["id"]
    for method, template in sorted(ROUTES, key=lambda route: (route[0] == "DELETE", route)):
        if template in {"/api/{user_id}/events", "/metrics"}:
            continue
        path = concrete(template.replace(":path}", "}"), owner.removeprefix("/api/"), task["id"], **ids)
        body = next((body for end, body in CREATED.items() if template.endswith(end)), {"title": "x"})
        answer = await call(method, path + ("?limit=1" if method == "GET" else ""), None if method == "GET" else body)
        yield f"{method} {template}", answer


async def test_every_path_in_every_response_is_below_the_prefix(front: tuple[Front, httpx.AsyncClient]) -> None:
    proxy, http = front
    subject, found = f"user-{uuid.uuid4().hex}", 0
    headers = {"Authorization": f"Bearer {make_token(subject)}"}
    async for route, answer in walk(http, proxy.prefix, subject):
        assert answer.status_code < 500, (route, answer.text)
        # Without TLS there are no passkeys, and apps cannot be connected; below a prefix: tests/oauth/test_flow.py.
        known = "{" in route or any(word in route for word in ("/me", "oauth", "passkey"))
        assert answer.status_code != 404 or known, route
        for url in paths_in(answer):
            path = urlsplit(url).path
            assert path.startswith((proxy.prefix, *AT_ROOT)), (route, url)
            found += 1
            if "GET" in route or ("POST" in route and not path.endswith("/api/auth")):
                # The base of an OpenAPI document, and the collection of files of a page, are no resources.
                seen = await http.get(url, headers={**headers, "Accept": "text/html"})
                known = seen.status_code < 400 or path in {proxy.prefix, f"{proxy.prefix}/mcp"}
                assert known, (route, url, seen.status_code)
    assert found > 60


async def test_a_cookie_and_the_pages_are_below_the_prefix(front: tuple[Front, httpx.AsyncClient]) -> None:
    proxy, http = front
    account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    made = await http.post(f"{proxy.prefix}/api/auth/register", json=account, headers={"X-Refresh-Cookie": "1"})
    assert f"Path={proxy.prefix}/api/auth;" in made.headers["set-cookie"]
    token = made.headers["set-cookie"].partition(";")[0]
    cookie = {"Cookie": token, "Origin": HOST, "Sec-Fetch-Site": "same-origin"}
    renewed = await http.post(f"{proxy.prefix}/api/auth/refresh", headers=cookie)
    assert renewed.status_code == 200, renewed.text
    for path in ("", "/"):
        home = await http.get(proxy.prefix + path, headers={"Accept": "text/html"}) if proxy.prefix + path else None
        assert home is None or home.headers["location"] == f"{proxy.prefix}/app"
    for page in ("/app", "/docs"):
        text = (await http.get(proxy.prefix + page)).text
        files = re.findall(r'(?:href|src)="([^"]+)"', text)
        assert len(files) > 3
        for file in files:
            assert file.startswith(f"{proxy.prefix}/")
            assert (await http.get(file)).status_code == 200, file
    document = (await http.get(f"{proxy.prefix}/openapi.json")).json()
    servers = [server["url"].rstrip("/") for server in document.get("servers", [{"url": ""}])]
    assert servers == [proxy.prefix]


async def test_the_metadata_of_mcp_is_at_the_root_of_the_host(front: tuple[Front, httpx.AsyncClient]) -> None:
    """RFC 9728, 3.1: between the host and the path. Clients compare ``resource`` with the URL that they were given."""
    proxy, http = front
    host = {"Host": "localhost", "X-Forwarded-Proto": "http"}
    refused = await http.post(f"{proxy.prefix}/mcp", json={}, headers=host)
    url = re.findall(r'resource_metadata="([^"]*)"', refused.headers["www-authenticate"])[0]
    assert urlsplit(url).path == f"{METADATA}{proxy.prefix}/mcp"
    for path in (f"{METADATA}{proxy.prefix}/mcp", f"{proxy.prefix}{METADATA}/mcp", f"{proxy.prefix}{METADATA}"):
        told = await http.get(path, headers=host)
        assert told.status_code == 200, path
        assert urlsplit(told.json()["resource"]).path == f"{proxy.prefix}/mcp"
    assert (await http.get(f"{METADATA}/other/mcp", headers=host)).status_code == 404


@pytest.mark.parametrize("subject", HARD_SUBJECTS)
async def test_a_user_with_any_subject_can_follow_every_url(apps: dict[str, FastAPI], subject: str) -> None:
    subject = f"{subject}{uuid.uuid4().hex[:8]}"
    headers = {"Authorization": f"Bearer {make_token(subject)}"}
    proxy = Front("/todo", removes=True, sends_header=True)
    async with httpx.AsyncClient(transport=proxy.transport(apps["header"]), base_url=HOST) as http:
        async for route, answer in walk(http, proxy.prefix, subject):
            assert answer.status_code < 500, (route, answer.text)
            assert answer.status_code != 403 or "{user_id}" not in route, (route, answer.text)
            if (location := answer.headers.get("location")) and "{user_id}" in route:
                assert unquote(urlsplit(location).path).startswith(f"/todo/api/{subject}/")
                made = answer.json().get("task", answer.json())
                assert (await http.get(location, headers=headers)).json()["id"] == made["id"]
            for link in re.findall(r"<([^>]*)>", answer.headers.get("link", "")):
                assert (await http.get(link, headers=headers)).status_code == 200, (route, link)
            if route.endswith("POST /api/{user_id}/calendar"):
                feed = answer.json()["url"]
                assert (await http.get(feed)).status_code == 200, feed


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("prefix", ["/app", "/docs", "/mcp", "/health"])
async def test_a_prefix_may_be_a_path_of_the_service(apps: dict[str, FastAPI], prefix: str, removes: bool) -> None:
    transport = Front(prefix, removes=removes, sends_header=True).transport(apps["header"])
    async with httpx.AsyncClient(transport=transport, base_url=HOST, follow_redirects=True) as http:
        for path in ("/", "/app", "/app/", "/docs"):
            page = await http.get(prefix + path, headers={"Accept": "text/html"})
            assert page.status_code == 200, path
            assert f'"{prefix}{"/docs" if "docs" in path else "/app"}/' in page.text


async def test_an_empty_header_names_no_prefix(settings: Settings) -> None:
    """Some proxies cannot remove a header, only empty it."""
    change = {"public_url": f"{HOST}/todo", "forwarded_allow_ips": "127.0.0.1"}
    transport = httpx.ASGITransport(create_app(settings.model_copy(update=change)))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
        for sent, location in (("", "/todo/app"), ("/", "/app"), ("/other", "/other/app")):
            home = await http.get("/", headers={"X-Forwarded-Prefix": sent, "Accept": "text/html"})
            assert home.headers["location"] == location


NO_PREFIXES = [
    "//evil.example",
    "/a/../b",
    "/a;b",
    "/a b",
    "/\\evil",
    "/a\rb",
    "/" + "a" * 300,
    "/%2e%2e",
    '/">',
    "x:?",
]


@pytest.mark.parametrize("sent", NO_PREFIXES)
async def test_a_prefix_that_is_not_one_does_not_reach_a_response(apps: dict[str, FastAPI], sent: str) -> None:
    transport = httpx.ASGITransport(apps["header"])
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
        sent_headers = {"X-Forwarded-Prefix": sent.encode().decode("latin-1"), "Accept": "text/html"}
        location = (await http.get("/", headers=sent_headers)).headers["location"]
    assert location in {"/app", "/evil.example/app"}


async def test_only_a_trusted_proxy_names_a_prefix(apps: dict[str, FastAPI]) -> None:
    for app, address, expected in (
        (apps["header"], "127.0.0.1", "/first/second/app"),
        (apps["header"], "::ffff:127.0.0.1", "/first/second/app"),
        (apps["header"], "192.0.2.1", "/app"),
        (apps["/todo"], "127.0.0.1", "/todo/app"),
    ):
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
            headers = [("X-Forwarded-Prefix", "/first/"), ("X-Forwarded-Prefix", "second"), ("Accept", "text/html")]
            assert (await http.get("/", headers=headers)).headers["location"] == expected


async def test_every_route_with_a_token_uses_the_users_limit(settings: Settings) -> None:
    """Not that of the IP address, which colleagues share; also below a prefix."""
    limits = {"rate_limit_anonymous_per_minute": 1, "forwarded_allow_ips": "127.0.0.1", "pool_size": 2}
    app = create_app(settings.model_copy(update=limits))
    async with app.router.lifespan_context(app):
        for prefix in ("", "/todo"):
            proxy = Front(prefix, removes=True, sends_header=True)
            async with httpx.AsyncClient(transport=proxy.transport(app), base_url=HOST) as http:
                answers = [each async for each in walk(http, prefix, f"user-{uuid.uuid4().hex}")]
            private = [(route, answer) for route, answer in answers if "{user_id}" in route]
            assert len(private) > 50
            for route, answer in private:
                if not route.endswith("calendar.ics"):
                    policy = answer.headers["ratelimit-policy"]
                    assert policy.startswith('"default"'), (route, policy)
                    assert "anonymous" not in policy, (route, policy)


async def test_the_index_has_every_direct_route(app: FastAPI) -> None:
    index = app.router.middleware_stack
    assert isinstance(index, RouteIndex)
    for route in app.router.routes:
        if isinstance(route, DirectRoute):
            path = re.sub(r"\{[^}]+\}", "1", route.path)
            for scope in ({"path": path, "raw_path": path.encode()}, {"path": f"/a/b{path}", "root_path": "/a/b"}):
                node, _ = index._find(scope)
                for method in route.methods or ():
                    assert node[("method", method)][0].path == route.path


async def test_an_encoded_slash_belongs_to_a_users_id(client: httpx.AsyncClient) -> None:
    person = Person(client, f"a/tasks/{uuid.uuid4().hex}")
    path = f"/api/{quote(person.subject, safe='')}/tasks"
    made = await client.post(path, json={"title": "a"}, headers=person.headers)
    assert made.headers["location"] == f"{path}/{made.json()['id']}"
    assert (await client.get(made.headers["location"], headers=person.headers)).json() == made.json()
    assert (await client.get(f"{path}/", headers=person.headers)).status_code == 200
    assert (await client.get(f"/api/{person.subject}/tasks", headers=person.headers)).status_code == 404
