"""Conversations with the assistant and their messages. Every message takes a revision like any other write."""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, delete, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from app.db.changes import OWNER, REVISION, TAKEN, numbered
from app.db.compiled import Prepared
from app.db.session import Session
from app.errors import ConversationNotFound
from app.models.conversations import (
    AGENT_WRITES,
    CONVERSATIONS,
    MESSAGES,
    TITLE_MAX,
    ConversationRead,
    ConversationRow,
    MessageRead,
    MessageRow,
)
from app.models.types import MAX_ID
from app.services.users import get_timezone

READ = [CONVERSATIONS.c[name] for name in ConversationRead.model_fields]
READ_MESSAGE = [MESSAGES.c[name] for name in MessageRead.model_fields]
CONVERSATION_ID = bindparam("conversation_id", type_=BigInteger)
MINE = (CONVERSATIONS.c.user_id == OWNER, CONVERSATIONS.c.id == CONVERSATION_ID)

CREATE = numbered(
    insert(CONVERSATIONS).values(user_id=OWNER, title=bindparam("title"), version=REVISION),
    entity="conversation",
    action="created",
    returning=list(CONVERSATIONS.c),
    answer=["id"],
)
DELETE = numbered(
    delete(CONVERSATIONS).where(*MINE),
    entity="conversation",
    action="deleted",
    returning=list(CONVERSATIONS.c),
    answer=["id"],
)
FORGET_WRITES = Prepared(
    delete(AGENT_WRITES).where(
        AGENT_WRITES.c.user_id == OWNER, AGENT_WRITES.c.source == bindparam("source", type_=Text)
    )
)


def _say(revision: Any) -> Prepared:
    """Returns the INSERT of a message; it returns no row if the conversation does not exist."""
    message = select(
        OWNER,
        CONVERSATIONS.c.id,
        bindparam("role", type_=Text),
        bindparam("content", type_=Text),
        bindparam("tool_calls", type_=JSONB),
        revision,
    ).where(*MINE)
    names = ["user_id", "conversation_id", "role", "content", "tool_calls", "version"]
    return numbered(
        insert(MESSAGES).from_select(names, message, include_defaults=False),
        entity="message",
        action="created",
        returning=list(MESSAGES.c),
        answer=list(MessageRead.model_fields),
        revision=revision,
    )


SAY, SAY_FIRST = _say(REVISION), _say(TAKEN)
LAST = Prepared(
    select(*READ_MESSAGE)
    .where(
        MESSAGES.c.user_id == OWNER,
        MESSAGES.c.conversation_id == CONVERSATION_ID,
        MESSAGES.c.id < bindparam("before", type_=BigInteger),
    )
    .order_by(MESSAGES.c.id.desc())
    .limit(bindparam("limit"))
)
EXISTS = Prepared(select(CONVERSATIONS.c.id).where(*MINE))
LIST = Prepared(
    select(*READ)
    .where(CONVERSATIONS.c.user_id == OWNER, CONVERSATIONS.c.id < bindparam("before", type_=BigInteger))
    .order_by(CONVERSATIONS.c.id.desc())
    .limit(bindparam("limit"))
)


class Begun(NamedTuple):
    """A conversation after the user's message. ``earlier`` holds the messages before it, oldest first."""

    conversation_id: int
    earlier: list[Any]
    timezone: str


def source_of(conversation_id: int) -> str:
    """Returns the source (``agent_writes``) of the writes that "undo that" means in this conversation."""
    return f"chat:{conversation_id}"


async def begin_turn(session: Session, owner: str, conversation_id: int | None, message: str, *, history: int) -> Begun:
    """Stores the user's message, in a new conversation when there is no id. Raises ConversationNotFound."""
    params: dict[str, Any] = {"owner": owner, "role": "user", "content": message, "tool_calls": []}
    earlier: list[Any] = []
    if conversation_id is None:
        title = " ".join(message.split())[:TITLE_MAX]
        conversation_id = (await session.exec(CREATE, {"owner": owner, "title": title})).one()
        await session.exec(SAY_FIRST, {**params, "conversation_id": conversation_id})
    else:
        stored = (await session.exec(SAY, {**params, "conversation_id": conversation_id})).first()
        if stored is None:
            raise ConversationNotFound
        earlier = await _last(session, owner, conversation_id, before=stored.id, limit=history)
    return Begun(conversation_id, earlier, await get_timezone(session, owner))


async def end_turn(
    session: Session, owner: str, conversation_id: int, content: str, tool_calls: list[dict[str, Any]]
) -> None:
    """Stores the assistant's message, unless the conversation has been deleted since the turn began."""
    params = {"owner": owner, "conversation_id": conversation_id, "role": "assistant", "content": content}
    if (await session.exec(EXISTS, {"owner": owner, "conversation_id": conversation_id})).first() is not None:
        await session.exec(SAY, {**params, "tool_calls": tool_calls})


async def list_conversations(session: Session, owner: str, *, before: int | None, limit: int) -> list[Any]:
    """Returns a page of conversations, newest first."""
    params = {"owner": owner, "before": before or MAX_ID, "limit": limit}
    return [ConversationRow(*row) for row in (await session.exec(LIST, params)).all()]


async def list_messages(
    session: Session, owner: str, conversation_id: int, *, before: int | None, limit: int
) -> list[Any]:
    """Returns the latest messages before ``before``, oldest first. Raises ConversationNotFound."""
    found = await _last(session, owner, conversation_id, before=before or MAX_ID, limit=limit)
    if not found and (await session.exec(EXISTS, {"owner": owner, "conversation_id": conversation_id})).first() is None:
        raise ConversationNotFound
    return found


async def delete_conversation(session: Session, owner: str, conversation_id: int) -> None:
    """Deletes a conversation and its messages, not what was done in it. Raises ConversationNotFound."""
    mine = {"owner": owner, "conversation_id": conversation_id}
    if (await session.exec(DELETE, mine)).first() is None:
        raise ConversationNotFound
    await session.exec(FORGET_WRITES, {"owner": owner, "source": source_of(conversation_id)})


async def _last(session: Session, owner: str, conversation_id: int, *, before: int, limit: int) -> list[Any]:
    params = {"owner": owner, "conversation_id": conversation_id, "before": before, "limit": limit}
    rows = (await session.exec(LAST, params)).all()
    return [MessageRow(*row) for row in reversed(rows)]
