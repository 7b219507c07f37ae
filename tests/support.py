"""Shared helpers of the tests: tokens, users, assertions."""

import asyncio
import time
from typing import Any

import httpx
import jwt

SECRET = "a-test-secret-that-is-long-enough-0123456789"


def make_token(subject: str, *, ttl: int = 3600, secret: str = SECRET) -> str:
    """Returns a token as signed by a front-end that shares the secret."""
    now = int(time.time())
    return jwt.encode({"sub": subject, "iat": now, "exp": now + ttl}, secret, "HS256")


class Person:
    """A user with a token, calling the service over HTTP."""

    def __init__(self, client: httpx.AsyncClient, subject: str) -> None:
        self.client, self.subject = client, subject
        self.headers = {"Authorization": f"Bearer {make_token(subject)}"}

    async def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Calls ``path`` below /api/<user_id>, or an absolute one."""
        url = path if path.startswith("/api/") or not path.startswith("/") else f"/api/{self.subject}{path}"
        return await self.client.request(method, url, headers={**self.headers, **(headers or {})}, **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return (
            await self.call("POST", path, json=body, **options)
            if body is not None
            else await self.call("POST", path, **options)
        )

    async def patch(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return (
            await self.call("PATCH", path, json=body, **options)
            if body is not None
            else await self.call("PATCH", path, **options)
        )

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.call("DELETE", path, **options)

    async def add(self, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
        """Creates a task and returns it."""
        answer = await self.post("/tasks", {"title": title, **fields})
        assert answer.status_code == 201, answer.text
        task: dict[str, Any] = answer.json()
        return task

    async def add_many(self, count: int, **fields: Any) -> None:
        """Creates tasks, each with a request of its own. They are sent in groups: a request waits for a connection
        only so long."""
        for first in range(0, count, 20):
            await asyncio.gather(*(self.add(f"t{n}", **fields) for n in range(first, min(first + 20, count))))

    async def titles(self, query: str = "") -> list[str]:
        """Returns the titles of the list, in order."""
        answer = await self.get(f"/tasks{query}")
        assert answer.status_code == 200, answer.text
        return [task["title"] for task in answer.json()]


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Asserts that the response is an RFC 9457 problem of this status; returns its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    if code is not None:
        assert body["code"] == code
    return body
