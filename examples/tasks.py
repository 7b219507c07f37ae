"""Adds tasks and prints all open ones. TODO_TOKEN=$(todo token alice) python examples/tasks.py "Buy milk"."""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

RETRIED = {429, 503}


class Todo:
    """Raises httpx.HTTPStatusError; the problem is its ``response.json()``."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})

    def tasks(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yields all tasks, page by page; the Link header has the next page."""
        following: str | None = str(httpx.URL("/api/me/tasks", params={"limit": 500, **filters}))
        while following:
            response = self._call("GET", following)
            yield from response.json()
            following = response.links.get("next", {}).get("url")

    def add(self, title: str, **fields: Any) -> dict[str, Any]:
        """Creates a task once, even if the request is repeated."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        task: dict[str, Any] = self._call("POST", "/api/me/tasks", json={"title": title, **fields}, headers=key).json()
        return task

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        for pause in (1, 2, 4, None):
            response = self._http.request(method, path, **options)
            if response.status_code not in RETRIED or pause is None:
                break
            time.sleep(float(response.headers.get("Retry-After", pause)))
        return response.raise_for_status()


if __name__ == "__main__":
    url = os.environ.get("TODO_URL") or os.environ.get("URL") or "http://127.0.0.1:8000"
    token = os.environ.get("TODO_TOKEN") or os.environ.get("TOKEN")
    if not token:
        sys.exit("set TODO_TOKEN, for example to the output of: todo token alice")
    todo = Todo(url, token)
    for title in sys.argv[1:]:
        todo.add(title)
    for task in todo.tasks(status="pending", sort="due_date"):
        print(f"{task['due_date'] or '':20} {task['title']}")
