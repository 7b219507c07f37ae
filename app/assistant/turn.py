"""One message of the user: calls of the model and of tools, until it answers or a limit is reached.

No transaction is open during a call of the model: each write has its own, before or after it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.assistant.confirmation import NEEDS_CONFIRMATION, must_wait
from app.assistant.idempotency import ChatIdempotency
from app.assistant.outcome import conclude
from app.assistant.prompt import (
    SentCall,
    call_id,
    estimate_call_tokens,
    estimate_tokens,
    offered_tools,
    sent_calls,
    tool_call_messages,
)
from app.assistant.reply import Finish, Reply, ToolCallRequest, plain_text, plain_value
from app.assistant.tools.calling import call_tool, find_tool, read_arguments
from app.config import Settings
from app.db.contention import retry_on_contention
from app.db.database import Database
from app.errors import AppError, BadArguments, SessionEnded
from app.schemas.chat import ChatOutcome
from app.services.assistant.conversations import chat_source
from app.services.assistant.token_budget import reserve_tokens

CHAT_SOURCE = "chat"
TOOL_NAME_MAX = 64  # characters of a tool's name that are stored
UNREADABLE_CALL = "The arguments are not one JSON object. Nothing was done."
INCOMPLETE_CALL = "Your reply reached its limit within these arguments. Nothing was done: call again with less text."
TOO_MANY_CALLS = {
    "error": "too_many_calls",
    "detail": "This message has used up its calls of tools. Answer the user now.",
}
# Called with the kind of an event and its data.
EventCallback = Callable[[str, Any], Awaitable[None]]


@dataclass(slots=True)
class Turn:
    """The processing of one message. ``calls`` are the calls made, also if it fails later."""

    database: Database
    settings: Settings
    model: Any
    owner: str
    conversation_id: int
    message: str
    messages: list[dict[str, Any]]
    still_valid: Callable[[], Awaitable[bool]]
    repeat: ChatIdempotency | None = None
    emit: EventCallback | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    counted: int = 0  # tokens counted in the table for today, including reserved ones
    used: int = 0  # tokens of completed calls of the model
    outcome: ChatOutcome = ChatOutcome.ANSWERED
    revision: int | None = None  # of the latest message that is stored
    asking: int = 0  # tokens sent with the running call of the model

    async def answer(self, confirmed: list[dict[str, Any]]) -> str:
        """Makes ``confirmed`` calls, then returns the answer. Raises the model's errors and ChatBudgetSpent."""
        if confirmed:
            await self._require_valid_login()
            for call in confirmed:
                await self._record({**call, "result": await self._run(call["tool"], call["arguments"], waits=False)})
            self.messages += tool_call_messages(sent_calls("confirmed", self.calls))
        for number in range(1, self.settings.chat_turns + 1):
            may_call = number < self.settings.chat_turns and len(self.calls) < self.settings.chat_tool_calls
            reply = await self._ask(may_call)
            if not reply.calls or not may_call or reply.finish is Finish.FILTER:
                return await self._conclude(reply)
            await self._do(reply)
        raise AssertionError("the last call of the model returns the answer")

    async def _conclude(self, reply: Reply) -> str:
        self.outcome, answer, notice = conclude(reply, self.calls)
        if notice and self.emit is not None:
            await self._emit_text(notice if answer == notice else f"\n\n{notice}")
        return answer

    async def _ask(self, may_call: bool) -> Reply:
        await self._require_valid_login()
        sent = estimate_call_tokens(self.messages)
        await self._reserve(self.used + sent + self.settings.chat_answer_tokens)
        self.asking = sent
        emit = None if self.emit is None else self._emit_text
        reply: Reply = await self.model.ask(self.messages, offered_tools(), may_call=may_call, emit=emit)
        received = [reply.text, [plain_value(call.arguments) for call in reply.calls]]
        self.used += reply.tokens or sent + estimate_tokens(received)
        self.asking = 0
        return reply

    async def _reserve(self, tokens: int) -> None:
        """Counts the tokens that the next call may use, before it. Raises ChatBudgetSpent."""
        if tokens > self.counted:
            await self._count(tokens - self.counted)
            self.counted = tokens

    @retry_on_contention
    async def _count(self, tokens: int) -> None:
        async with self.database.transaction(self.owner) as session:
            await reserve_tokens(session, self.owner, tokens, limit=self.settings.chat_daily_tokens)

    async def _do(self, reply: Reply) -> None:
        """Runs the calls of one reply in order: a later one may need the writes of an earlier one."""
        await self._require_valid_login()
        done: list[SentCall] = []
        for asked in reply.calls:
            arguments, result = await self._call(asked)
            call = {"tool": plain_text(asked.name)[:TOOL_NAME_MAX], "arguments": arguments, "result": result}
            await self._record(call)
            unused = asked.id and all(asked.id != other.id for other in done)
            done.append(SentCall(asked.id if unused else call_id("turn", len(self.calls)), call, asked.extra))
        self.messages += tool_call_messages(done, reply.text, reply.extra)

    async def _call(self, asked: ToolCallRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        if len(self.calls) >= self.settings.chat_tool_calls:
            return {}, TOO_MANY_CALLS
        if asked.arguments is None:
            return {}, _error_for_model(BadArguments(INCOMPLETE_CALL if asked.incomplete else UNREADABLE_CALL))
        waits = self.settings.chat_confirm == "destructive"
        return plain_value(asked.arguments), await self._run(asked.name, asked.arguments, waits=waits)

    async def _run(self, name: str, arguments: Any, *, waits: bool) -> dict[str, Any]:
        try:
            tool = find_tool(name)
            read = read_arguments(tool, arguments, description_max=self.settings.description_max)
            if waits and must_wait(tool, read, self.message):
                return {"status": NEEDS_CONFIRMATION}
            agent = chat_source(self.conversation_id)
            return await call_tool(self.database, self.owner, tool, read, source=CHAT_SOURCE, agent=agent)
        except AppError as error:
            return _error_for_model(error)

    async def _record(self, call: dict[str, Any]) -> None:
        self.calls.append(call)
        if self.emit is not None:
            await self.emit("tool_call", call)

    async def _emit_text(self, text: str) -> None:
        assert self.emit is not None
        await self.emit("delta", {"text": text})

    async def _require_valid_login(self) -> None:
        """Raises SessionEnded if the login session has ended since the request."""
        if not await self.still_valid():
            raise SessionEnded


def _error_for_model(error: AppError) -> dict[str, Any]:
    """Describes an error for the model, which may correct the call or inform the user."""
    return {"error": error.code, "detail": error.detail}
