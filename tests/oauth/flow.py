"""An app as agents are written: it finds its way from a 401 of ``/mcp`` to a token, and a person answers the page."""

import html
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.accounts.support import PASSWORD, Visitor

CALLBACK = "https://agent.example/callback"


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)
    assert found, (name, page)
    return html.unescape(found[1])


def query_of(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 303, response.text
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


class Browser:
    """A person's browser: it keeps the cookie, and sends forms with the Origin of their page."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.cookies: dict[str, str] = {}
        self.page = self.url = ""

    def _take(self, response: httpx.Response) -> httpx.Response:
        for name, value in response.cookies.items():
            self.cookies[name] = value
        self.page = response.text
        return response

    def _headers(self, **others: str) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **others}

    async def open(self, url: str) -> httpx.Response:
        self.url = url
        return self._take(await self.client.get(url, headers=self._headers()))

    async def send(self, *, origin: str = "", **fields: str) -> httpx.Response:
        parts = urlsplit(self.url)
        headers = self._headers(Origin=origin or f"{parts.scheme}://{parts.netloc}")
        body = {"forgery_token": field(self.page, "forgery_token"), **fields}
        return self._take(await self.client.post(self.url, data=body, headers=headers))

    async def log_in(self, visitor: Visitor, password: str = PASSWORD) -> httpx.Response:
        return await self.send(action="login", email=visitor.email, password=password)

    async def answer(self, action: str = "allow", scope: str = "write", **fields: str) -> httpx.Response:
        sent = {"access_token": field(self.page, "access_token"), "started": field(self.page, "started")}
        return await self.send(action=action, scope=scope, **sent, **fields)


class Agent:
    """An app that registers itself. ``base`` is the URL of the service."""

    def __init__(self, client: httpx.AsyncClient, base: str) -> None:
        self.client, self.base = client, base
        self.metadata: dict[str, Any] = {}
        self.client_id = ""
        self.callback = CALLBACK
        self.verifier = secrets.token_urlsafe(48)

    async def discover(self) -> dict[str, Any]:
        """Follows the 401 to the metadata of the authorization server, whose issuer must be named the same."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        refused = await self.client.post(f"{self.base}/mcp", json=message)
        assert refused.status_code == 401, refused.text
        challenge = refused.headers["www-authenticate"]
        where = re.search(r'resource_metadata="([^"]+)"', challenge)
        assert where
        assert 'scope="read write"' in challenge
        resource = (await self.client.get(where[1])).json()
        assert resource["resource"] == f"{self.base}/mcp"
        issuer = resource["authorization_servers"][0]
        parts = urlsplit(issuer)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
        self.metadata = (await self.client.get(url)).json()
        assert self.metadata["issuer"] == issuer
        return self.metadata

    async def register(self, *redirects: str, **fields: Any) -> dict[str, Any]:
        body = {"client_name": "Agent", "redirect_uris": list(redirects or [self.callback]), **fields}
        made = await self.client.post(self.metadata["registration_endpoint"], json=body)
        assert made.status_code == 201, made.text
        registered: dict[str, Any] = made.json()
        self.client_id = registered["client_id"]
        return registered

    def authorize_url(self, **changes: str | None) -> str:
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": "read write",
            "state": "a state & more",
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "resource": f"{self.base}/mcp",
        } | changes
        named = {name: value for name, value in asked.items() if value is not None}
        return f"{self.metadata['authorization_endpoint']}?{urlencode(named)}"

    async def token(self, **fields: str | None) -> httpx.Response:
        body = {"client_id": self.client_id, **fields}
        sent = {name: value for name, value in body.items() if value is not None}
        return await self.client.post(self.metadata["token_endpoint"], data=sent)

    async def exchange(self, code: str, **changes: str | None) -> httpx.Response:
        sent: dict[str, str | None] = {"code": code, "code_verifier": self.verifier, "redirect_uri": self.callback}
        return await self.token(grant_type="authorization_code", **(sent | changes))

    async def refresh(self, token: str, **changes: str | None) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=token, **changes)

    async def ask(self, visitor: Visitor, allowed: str = "write", **changes: str | None) -> str:
        """Returns the code after ``visitor`` has logged in on the page and allowed it."""
        browser = Browser(self.client)
        page = await browser.open(self.authorize_url(**changes))
        assert page.status_code == 200, page.text
        assert (await browser.log_in(visitor)).status_code == 200, browser.page
        answered = query_of(await browser.answer(scope=allowed))
        assert answered["iss"] == self.metadata["issuer"]
        assert answered["state"] == "a state & more"
        return answered["code"]

    async def connect(self, visitor: Visitor, allowed: str = "write", **changes: str | None) -> dict[str, Any]:
        answer = await self.exchange(await self.ask(visitor, allowed, **changes))
        assert answer.status_code == 200, answer.text
        pair: dict[str, Any] = answer.json()
        return pair

    async def call(self, token: str, method: str = "tools/list", **params: Any) -> httpx.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        return await self.client.post(f"{self.base}/mcp", json=message, headers=headers)


async def agent_at(client: httpx.AsyncClient, base: str, *redirects: str) -> Agent:
    agent = Agent(client, base)
    await agent.discover()
    await agent.register(*redirects)
    return agent
