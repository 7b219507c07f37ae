"""A user with an account, and its requests."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

PASSWORD = "correct horse battery"


class Visitor:
    """Calls the service with the tokens of its own login."""

    def __init__(self, client: httpx.AsyncClient, email: str | None = None) -> None:
        self.client = client
        self.email = email or f"{uuid.uuid4().hex}@example.com"
        self.password = PASSWORD
        self.id = self.access = self.refresh_token = ""

    def take(self, answer: httpx.Response, status: int = 200) -> dict[str, Any]:
        """Uses the token pair in ``answer`` from now on."""
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        self.id, self.access, self.refresh_token = body["user"]["id"], body["access_token"], body["refresh_token"]
        return body

    async def register(self, **fields: Any) -> "Visitor":
        body = {"email": self.email, "password": self.password, **fields}
        self.take(await self.client.post("/api/auth/register", json=body), 201)
        return self

    async def login(self, **fields: Any) -> httpx.Response:
        body = {"email": self.email, "password": self.password, **fields}
        return await self.client.post("/api/auth/login", json=body)

    async def another_device(self, client: httpx.AsyncClient | None = None) -> "Visitor":
        """Returns the same user with another login."""
        other = Visitor(client or self.client, self.email)
        other.password = self.password
        other.take(await other.login())
        return other

    async def refresh(self, token: str | None = None) -> httpx.Response:
        return await self.client.post("/api/auth/refresh", json={"refresh_token": token or self.refresh_token})

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.access}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, headers=headers, **options)

    async def call_late(
        self, method: str, path: str, body: Any, meanwhile: Callable[[], Awaitable[Any]]
    ) -> httpx.Response:
        """Sends the body after ``meanwhile``, which runs when the service has checked the token and waits."""

        async def content() -> AsyncIterator[bytes]:
            await asyncio.ensure_future(meanwhile())  # in a context of its own
            yield json.dumps(body).encode()

        return await self.call(method, path, content=content(), headers={"Content-Type": "application/json"})

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("GET", path, **options)

    async def is_in(self, token: str | None = None) -> bool:
        """Returns whether the token is accepted."""
        answer = await self.get("/api/me/tasks", token=token)
        assert answer.status_code in (200, 401), answer.text
        return answer.status_code == 200

    async def api_token(self, **fields: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/api/auth/tokens", {"name": "script", **fields})
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body


async def settled(client: httpx.AsyncClient) -> None:
    """Waits for the background tasks that the application of ``client`` runs after its responses."""
    transport: Any = client._transport
    await asyncio.gather(*transport.app.state.auth._tasks)
