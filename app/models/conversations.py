"""Conversations with the assistant: messages, writes of agents that can be undone, and the tokens used in a day."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field as Col
from sqlmodel import SQLModel

from app.models.columns import ChangeReader, identity, table_of, written_at
from app.models.types import Instant, Int64

CONVERSATION_TITLE_MAX = 80  # characters of the first message


def _owner(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["user_id"], ["users.id"], name=f"{table}_user_id_fkey", ondelete="CASCADE")


class Conversation(SQLModel, table=True):
    """``title`` is the beginning of its first message."""

    __tablename__ = "conversations"
    __table_args__ = (_owner("conversations"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    title: str = Col(sa_type=Text)
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()


CONVERSATIONS = table_of(Conversation)


class Message(SQLModel, table=True):
    """A message of the user or the assistant. ``tool_calls`` are the calls that the assistant made before it."""

    __tablename__ = "messages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name="messages_conversation_fkey",
            ondelete="CASCADE",
        ),
        CheckConstraint("role in ('user', 'assistant')", name="messages_role_check"),
        Index("messages_by_conversation", "user_id", "conversation_id", "id"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: int = identity()
    conversation_id: int = Col(sa_type=BigInteger)
    role: str = Col(sa_type=Text)
    content: str = Col(sa_type=Text)
    tool_calls: list[Any] = Col(sa_column=Column("tool_calls", JSONB, nullable=False, server_default=text("'[]'")))
    version: int = Col(sa_type=BigInteger)
    created_at: datetime = written_at()


MESSAGES = table_of(Message)


class AgentWrite(SQLModel, table=True):
    """The revision of an agent's write that has not been undone. ``source`` is chat:<id>, mcp, mcp:<name>.

    Has no revision of its own: it only marks the write that "undo that" reverts.
    """

    __tablename__ = "agent_writes"
    __table_args__ = (_owner("agent_writes"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    source: str = Col(primary_key=True, sa_type=Text)
    revision: int = Col(primary_key=True, sa_type=BigInteger)


AGENT_WRITES = table_of(AgentWrite)


class TokenUse(SQLModel, table=True):
    """The tokens of the model that an owner has used, or reserved for a run, on a day in UTC."""

    __tablename__ = "token_use"
    __table_args__ = (_owner("token_use"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    day: date = Col(primary_key=True, sa_type=Date)
    tokens: int = Col(sa_type=BigInteger)


class ToolCallRead(BaseModel):
    """A call of a tool by the assistant. ``result`` is the result of the tool, or ``{error, detail}``."""

    tool: str
    arguments: dict[str, Any]
    result: dict[str, Any]


TOOL_CALL_EXAMPLE: dict[str, Any] = {
    "tool": "add_task",
    "arguments": {"title": "Buy milk", "priority": "high", "due_date": "2026-11-21"},
    "result": {"task_id": 5, "status": "created", "title": "Buy milk"},
}


class ConversationRead(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": 3, "title": "add buy milk tomorrow, high priority", "created_at": "2026-11-20T09:30:00.123456Z"}
            ]
        }
    )

    id: Int64
    title: str = Field(description="The beginning of its first message.")
    created_at: Instant


class MessageRead(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 9,
                    "conversation_id": 3,
                    "role": "assistant",
                    "content": 'I added "Buy milk" for tomorrow.',
                    "created_at": "2026-11-20T09:30:02.123456Z",
                    "tool_calls": [TOOL_CALL_EXAMPLE],
                }
            ]
        }
    )

    id: Int64
    conversation_id: Int64
    role: str = Field(description="user or assistant.")
    content: str
    created_at: Instant
    tool_calls: list[ToolCallRead] = Field(description="The calls that the assistant made before this message.")


# The shapes above without validation: returned by services and encoded.
ConversationRow: Any = msgspec.defstruct("ConversationRow", list(ConversationRead.model_fields), frozen=True)
MessageRow: Any = msgspec.defstruct("MessageRow", list(MessageRead.model_fields), frozen=True)
CONVERSATION_IN_CHANGES = ChangeReader(CONVERSATIONS, list(ConversationRead.model_fields))
MESSAGE_IN_CHANGES = ChangeReader(MESSAGES, list(MessageRead.model_fields))


def conversation_of_change(data: Mapping[str, Any]) -> Any:
    """Returns a row in ``changes.data``, or of the table, as a GET returns it."""
    return ConversationRow(*CONVERSATION_IN_CHANGES.read(data))


def message_of_change(data: Mapping[str, Any]) -> Any:
    """Returns a row in ``changes.data``, or of the table, as a GET returns it."""
    return MessageRow(*MESSAGE_IN_CHANGES.read(data))
