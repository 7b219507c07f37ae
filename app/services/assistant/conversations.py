"""Conversations with the assistant and their messages. Every message takes a revision like any other write."""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, delete, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from app.db.changes import CURRENT_REVISION, NEXT_REVISION, OWNER, recorded_write
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import ConversationNotFound
from app.models.conversations import (
    AGENT_WRITES,
    CONVERSATION_TITLE_MAX,
    CONVERSATIONS,
    MESSAGES,
    ConversationRead,
    ConversationRow,
    MessageRead,
    MessageRow,
)
from app.models.types import MAX_ID
from app.services.users import get_timezone

CONVERSATION_COLUMNS = [CONVERSATIONS.c[name] for name in ConversationRead.model_fields]
MESSAGE_COLUMNS = [MESSAGES.c[name] for name in MessageRead.model_fields]
CONVERSATION_ID = bindparam("conversation_id", type_=BigInteger)
IS_CONVERSATION = (CONVERSATIONS.c.user_id == OWNER, CONVERSATIONS.c.id == CONVERSATION_ID)

INSERT_CONVERSATION = recorded_write(
    insert(CONVERSATIONS).values(user_id=OWNER, title=bindparam("title"), version=NEXT_REVISION),
    entity="conversation",
    action="created",
    returning=list(CONVERSATIONS.c),
    columns=["id"],
)
DELETE_CONVERSATION = recorded_write(
    delete(CONVERSATIONS).where(*IS_CONVERSATION),
    entity="conversation",
    action="deleted",
    returning=list(CONVERSATIONS.c),
    columns=["id"],
)
DELETE_AGENT_WRITES = CompiledStatement(
    delete(AGENT_WRITES).where(
        AGENT_WRITES.c.user_id == OWNER, AGENT_WRITES.c.source == bindparam("source", type_=Text)
    )
)


def _insert_message(revision: Any) -> CompiledStatement:
    """Returns the INSERT of a message; it returns no row if the conversation does not exist."""
    message = select(
        OWNER,
        CONVERSATIONS.c.id,
        bindparam("role", type_=Text),
        bindparam("content", type_=Text),
        bindparam("tool_calls", type_=JSONB),
        revision,
    ).where(*IS_CONVERSATION)
    names = ["user_id", "conversation_id", "role", "content", "tool_calls", "version"]
    return recorded_write(
        insert(MESSAGES).from_select(names, message, include_defaults=False),
        entity="message",
        action="created",
        returning=list(MESSAGES.c),
        columns=["id", "version"],
        revision=revision,
    )


INSERT_MESSAGE, INSERT_FIRST_MESSAGE = _insert_message(NEXT_REVISION), _insert_message(CURRENT_REVISION)
SELECT_MESSAGES = CompiledStatement(
    select(*MESSAGE_COLUMNS)
    .where(
        MESSAGES.c.user_id == OWNER,
        MESSAGES.c.conversation_id == CONVERSATION_ID,
        MESSAGES.c.id < bindparam("before", type_=BigInteger),
    )
    .order_by(MESSAGES.c.id.desc())
    .limit(bindparam("limit"))
)
FIND_CONVERSATION = CompiledStatement(select(CONVERSATIONS.c.id).where(*IS_CONVERSATION))
SELECT_CONVERSATION = CompiledStatement(select(*CONVERSATION_COLUMNS).where(*IS_CONVERSATION))
SELECT_CONVERSATIONS = CompiledStatement(
    select(*CONVERSATION_COLUMNS)
    .where(CONVERSATIONS.c.user_id == OWNER, CONVERSATIONS.c.id < bindparam("before", type_=BigInteger))
    .order_by(CONVERSATIONS.c.id.desc())
    .limit(bindparam("limit"))
)


class StartedConversation(NamedTuple):
    """A conversation after the user's message. ``earlier`` holds the messages before it, oldest first.

    ``revision`` is that of the message.
    """

    conversation_id: int
    earlier: list[Any]
    timezone: str
    revision: int


def chat_source(conversation_id: int) -> str:
    """Returns the source (``agent_writes``) of the writes that "undo that" means in this conversation."""
    return f"chat:{conversation_id}"


async def begin_turn(
    session: Session, owner: str, conversation_id: int | None, message: str, *, history: int
) -> StartedConversation:
    """Stores the user's message, in a new conversation when there is no id. Raises ConversationNotFound."""
    params: dict[str, Any] = {"owner": owner, "role": "user", "content": message, "tool_calls": []}
    earlier: list[Any] = []
    if conversation_id is None:
        title = " ".join(message.split())[:CONVERSATION_TITLE_MAX]
        conversation_id = (await session.exec(INSERT_CONVERSATION, {"owner": owner, "title": title})).one()
        stored = (await session.exec(INSERT_FIRST_MESSAGE, {**params, "conversation_id": conversation_id})).one()
    else:
        stored = (await session.exec(INSERT_MESSAGE, {**params, "conversation_id": conversation_id})).first()
        if stored is None:
            raise ConversationNotFound
        earlier = await _last_messages(session, owner, conversation_id, before=stored.id, limit=history)
    return StartedConversation(conversation_id, earlier, await get_timezone(session, owner), stored.version)


async def end_turn(
    session: Session, owner: str, conversation_id: int, content: str, tool_calls: list[dict[str, Any]]
) -> int | None:
    """Stores the assistant's message and returns its revision; None if the conversation has since been deleted."""
    params = {"owner": owner, "conversation_id": conversation_id, "role": "assistant", "content": content}
    if (await session.exec(FIND_CONVERSATION, {"owner": owner, "conversation_id": conversation_id})).first() is None:
        return None
    stored = (await session.exec(INSERT_MESSAGE, {**params, "tool_calls": tool_calls})).one()
    return int(stored.version)


async def list_conversations(session: Session, owner: str, *, before: int | None, limit: int) -> list[Any]:
    """Returns a page of conversations, newest first."""
    params = {"owner": owner, "before": before or MAX_ID, "limit": limit}
    return [ConversationRow(*row) for row in (await session.exec(SELECT_CONVERSATIONS, params)).all()]


async def get_conversation(session: Session, owner: str, conversation_id: int) -> Any:
    """Returns a conversation. Raises ConversationNotFound."""
    found = (await session.exec(SELECT_CONVERSATION, {"owner": owner, "conversation_id": conversation_id})).first()
    if found is None:
        raise ConversationNotFound
    return ConversationRow(*found)


async def list_messages(
    session: Session, owner: str, conversation_id: int, *, before: int | None, limit: int
) -> list[Any]:
    """Returns the latest messages before ``before``, oldest first. Raises ConversationNotFound."""
    found = await _last_messages(session, owner, conversation_id, before=before or MAX_ID, limit=limit)
    if (
        not found
        and (await session.exec(FIND_CONVERSATION, {"owner": owner, "conversation_id": conversation_id})).first()
        is None
    ):
        raise ConversationNotFound
    return found


async def delete_conversation(session: Session, owner: str, conversation_id: int) -> None:
    """Deletes a conversation and its messages, not what was done in it. Raises ConversationNotFound."""
    mine = {"owner": owner, "conversation_id": conversation_id}
    if (await session.exec(DELETE_CONVERSATION, mine)).first() is None:
        raise ConversationNotFound
    await session.exec(DELETE_AGENT_WRITES, {"owner": owner, "source": chat_source(conversation_id)})


async def _last_messages(session: Session, owner: str, conversation_id: int, *, before: int, limit: int) -> list[Any]:
    params = {"owner": owner, "conversation_id": conversation_id, "before": before, "limit": limit}
    rows = (await session.exec(SELECT_MESSAGES, params)).all()
    return [MessageRow(*row) for row in reversed(rows)]
