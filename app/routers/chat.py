"""``/api/{user_id}/chat`` and its conversations."""

import time
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security

from app.assistant.chat import Chat
from app.assistant.idempotency import read_chat_idempotency, replay_answer, wants_stream
from app.assistant.stream import ChatStream, cancel_on_disconnect
from app.errors import AppError
from app.http.dependencies import Caller, ConversationId, Owner, ReadSession, WriteSession, bearer, limited
from app.http.problems import problem_from_error
from app.http.responses import Json, header, revision_header
from app.http.routing import DirectRoute
from app.models.conversations import ConversationRead, MessageRead
from app.observability.request_context import OWN_TIME_KEY
from app.schemas.chat import BeforeQuery, ChatAnswer, ChatRequest
from app.services.assistant import conversations
from app.services.idempotency import StoredResponse

router = APIRouter(
    prefix="/api/{user_id}", tags=["assistant"], route_class=DirectRoute, dependencies=[Security(bearer)]
)
CONVERSATION_HEADER = header("X-Conversation-Id", "The conversation, also when the answer failed.", "integer")
CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": CONVERSATION_HEADER,
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "The answer; as `text/event-stream` the events `delta`, `tool_call`, then `done` or `error`.",
    },
    404: {"description": "There is no such conversation, or it belongs to another user."},
    429: {"description": "Too many messages, too many at once, or the daily budget of tokens is used up."},
    502: {"description": "The model failed. The message is kept.", "headers": CONVERSATION_HEADER},
    503: {"description": "No model is configured (`chat_not_configured`), or it is busy."},
    504: {"description": "The model took too long. The message is kept.", "headers": CONVERSATION_HEADER},
}


@router.post("/chat", response_model=ChatAnswer, responses=CHAT_RESPONSES, dependencies=[Depends(limited("chat"))])
async def chat(request: Request, owner: Owner, caller: Caller, asked: ChatRequest) -> Response:
    """Sends a message to the assistant, which works on the tasks with its tools and answers in plain language.

    The conversation is stored, so the next message may go to any process. A deletion waits for confirmation: send "yes"
    as the next message, or `confirm`. With `Accept: text/event-stream` the answer is streamed.
    """
    service: Chat = request.app.state.chat
    still_valid = partial(request.app.state.auth.revocations.still_valid, caller)
    with ExitStack() as stack:
        stack.enter_context(service.admission.admit(owner))
        begun = await service.begin(owner, asked, still_valid, read_chat_idempotency(request, asked))
        if isinstance(begun, StoredResponse):
            return replay_answer(begun)
        named = {"X-Conversation-Id": str(begun.turn.conversation_id)}
        if wants_stream(request):
            return ChatStream(partial(service.answer, begun), named, stack.pop_all())
        request.scope[OWN_TIME_KEY] = time.perf_counter()
        try:
            response: Response = Json(await cancel_on_disconnect(service.answer(begun), request.receive))
        except AppError as error:
            response = problem_from_error(error)
        response.headers.update(named | revision_header(begun.turn.revision))
        return response


@router.get("/conversations", response_model=list[ConversationRead])
async def list_conversations(owner: Owner, session: ReadSession, query: Annotated[BeforeQuery, Query()]) -> Response:
    """Returns conversations, newest first."""
    found = await conversations.list_conversations(session, owner, before=query.before, limit=query.limit)
    return Json(found)


@router.get("/conversations/{conversation_id}", response_model=ConversationRead)
async def get_conversation(owner: Owner, session: ReadSession, conversation_id: ConversationId) -> Response:
    """Returns one conversation, without its messages."""
    return Json(await conversations.get_conversation(session, owner, conversation_id))


@router.get("/conversations/{conversation_id}/messages", response_model=list[MessageRead])
async def list_messages(
    owner: Owner, session: ReadSession, conversation_id: ConversationId, query: Annotated[BeforeQuery, Query()]
) -> Response:
    """Returns the latest messages in chronological order; earlier ones with `before`, the id of the first."""
    found = await conversations.list_messages(session, owner, conversation_id, before=query.before, limit=query.limit)
    return Json(found)


@router.delete("/conversations/{conversation_id}", status_code=204, response_class=Response)
async def delete_conversation(owner: Owner, session: WriteSession, conversation_id: ConversationId) -> Response:
    """Deletes a conversation with its messages. Writes that it made stay."""
    await conversations.delete_conversation(session, owner, conversation_id)
    return Response(status_code=204)
