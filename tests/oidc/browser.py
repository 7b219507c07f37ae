"""A person's browser: it keeps cookies, and goes to the provider and back."""

from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from tests.accounts.support import Visitor
from tests.oidc.provider import Provider

BASE = "https://todo.example"
START, CALLBACK = "/api/auth/oidc/default/start", "/api/auth/oidc/default/callback"


class SignInBrowser:
    def __init__(self, client: httpx.AsyncClient, provider: Provider) -> None:
        self.client, self.provider = client, provider
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return self._take(await self.client.get(path, headers={"Cookie": cookies, **headers}))

    async def post(self, path: str, token: str = "") -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies, "Origin": BASE, "X-Refresh-Cookie": "true"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        return self._take(await self.client.post(path, headers=headers, json={}))

    def _take(self, answer: httpx.Response) -> httpx.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        self.client.cookies.clear()
        return answer

    async def leave(self, next_url: str | None = None) -> dict[str, str]:
        """Goes to the provider, and returns the parameters with which it sends the browser back."""
        asked = f"?{urlencode({'next': next_url})}" if next_url is not None else ""
        answer = await self.get(START + asked)
        assert answer.status_code == 303, answer.text
        return self.provider.authorize(answer.headers["location"])

    async def come_back(self, sent: dict[str, Any], path: str = CALLBACK) -> httpx.Response:
        return await self.get(f"{path}?{urlencode(sent)}")

    async def sign_in(self, next_url: str | None = None) -> httpx.Response:
        return await self.come_back(await self.leave(next_url))

    async def visitor(self) -> Visitor:
        """Returns the user who is logged in, as the web client finds it by the cookie."""
        found = Visitor(self.client)
        answer = await self.post("/api/auth/refresh")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found.id, found.access, found.email = body["user"]["id"], body["access_token"], body["email"]
        return found

    async def enter(self) -> Visitor:
        """Signs in, and returns the user."""
        answer = await self.sign_in()
        assert_signed_in(answer)
        return await self.visitor()

    async def link(self, visitor: Visitor) -> httpx.Response:
        begun = await self.post("/api/auth/oidc/default/link", visitor.access)
        assert begun.status_code == 200, begun.text
        return await self.come_back(self.provider.authorize(begun.json()["url"]))


def assert_signed_in(answer: httpx.Response, next_url: str = "/app") -> None:
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"{next_url}#signed-in=default"
    assert "code=" not in urlsplit(answer.headers["location"]).query


def assert_refused(answer: httpx.Response, status: int, words: str, back: str = "/app") -> None:
    """Asserts a page with a way back, and no login."""
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert f'<a href="{back}">Go back</a>' in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not [line for line in answer.headers.get_list("set-cookie") if line.startswith("todo_refresh")]
