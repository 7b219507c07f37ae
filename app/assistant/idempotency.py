"""``Idempotency-Key`` for chat messages. One transaction cannot span a message, so the key is taken with the first
write and the response stored with the last. A message that failed may be sent again.
"""

import hashlib
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from app.http.idempotency import read_idempotency_key
from app.json_codec import encode
from app.schemas.chat import ChatRequest
from app.services.idempotency import StoredResponse

EVENT_STREAM_TYPE = "text/event-stream"


class ChatIdempotency(NamedTuple):
    """The idempotency key of a message."""

    key: str
    fingerprint: bytes
    streamed: bool


def read_chat_idempotency(request: Request, asked: ChatRequest) -> ChatIdempotency | None:
    """Reads the key; returns None without the header. Raises IdempotencyKeyInvalid."""
    key, streamed = read_idempotency_key(request), wants_stream(request)
    if key is None:
        return None
    return ChatIdempotency(
        key, hashlib.sha256(f"chat {streamed} {asked.model_dump_json()}".encode()).digest(), streamed
    )


def wants_stream(request: Request) -> bool:
    return EVENT_STREAM_TYPE in request.headers.get("accept", "")


def encode_event(kind: str, data: bytes) -> bytes:
    """Encodes one server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def encode_answer(repeat: ChatIdempotency, answer: dict[str, Any]) -> StoredResponse:
    """Encodes ``answer`` for a repeated request: of a stream the last event, which has all of it."""
    headers = [["x-conversation-id", str(answer["conversation_id"])]]
    if repeat.streamed:
        return StoredResponse(
            200, [["content-type", EVENT_STREAM_TYPE], *headers], encode_event("done", encode(answer))
        )
    return StoredResponse(200, [["content-type", "application/json"], *headers], encode(answer))


def replay_answer(kept: StoredResponse) -> Response:
    return Response(kept.body, kept.status, {**dict(kept.headers), "Idempotent-Replayed": "true"})
