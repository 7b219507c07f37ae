"""Fixtures for the service with a model that a test scripts."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.assistant.chat import Chat
from app.config import Settings
from app.main import create_app
from tests.assistant.scripted import Script, Scripted, scripted
from tests.support import Person


class Talk:
    """A user who chats with the service, and the model behind it."""

    def __init__(self, person: Person, model: Scripted, app: FastAPI) -> None:
        self.person, self.model, self.app = person, model, app
        self.conversation_id: int | None = None

    def as_other(self, person: Person) -> "Talk":
        person.client = self.person.client
        return Talk(person, self.model, self.app)

    async def send(self, message: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """Sends the next message of the conversation."""
        if self.conversation_id is not None:
            body = {"conversation_id": self.conversation_id, **body}
        answer = await self.person.post("/chat", {"message": message, **body}, headers=headers)
        if "x-conversation-id" in answer.headers:
            self.conversation_id = int(answer.headers["x-conversation-id"])
        return answer

    async def say(self, message: str, **body: Any) -> Any:
        answer = await self.send(message, **body)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["conversation_id"] == self.conversation_id
        return said

    async def stream(self, message: str, **body: Any) -> list[tuple[str, Any]]:
        """Returns the events of a streamed response."""
        answer = await self.send(message, headers={"Accept": "text/event-stream"}, **body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
        return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in events]

    async def messages(self) -> list[Any]:
        answer = await self.person.get(f"/conversations/{self.conversation_id}/messages")
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()
        return found


Condition = Callable[[], Awaitable[bool]]


async def eventually(condition: Condition, seconds: float = 10) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


Talking = Callable[..., Talk]


@pytest.fixture
async def talk(app: FastAPI, settings: Settings, alice: Person) -> Any:
    """Returns ``talk(script, **settings)``: alice with a service that uses that model, on the same database."""
    with ExitStack() as stack:
        chats: list[Chat] = []

        def start(script: Script, **changed: Any) -> Talk:
            model = stack.enter_context(scripted(script))
            told = settings.model_copy(update={"llm_model": "m", "llm_base_url": model.url, **changed})
            other = create_app(told)
            for name in ("verifier", "database", "auth", "mcp", "hub"):
                setattr(other.state, name, getattr(app.state, name))
            other.state.chat = Chat(app.state.database, told)
            other.state.limits.counts = app.state.limits.counts
            chats.append(other.state.chat)
            alice.client = httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://test")
            return Talk(alice, model, other)

        yield start
        for chat in chats:
            await chat.aclose()
