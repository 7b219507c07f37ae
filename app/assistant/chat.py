"""The chat: keeps what was said, has the turn run within its limits, and keeps what came of it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from app.assistant.confirmation import is_yes, waiting_calls
from app.assistant.extra import load_model, loaded
from app.assistant.prompt import estimate_call, prompt
from app.assistant.repeats import Repeat, packed
from app.assistant.runs import Runs
from app.assistant.turn import THROUGH, Tell, Turn
from app.config import Settings
from app.db.session import Database
from app.errors import AppError, ChatNotConfigured, ModelTimeout
from app.schemas.chat import ChatRequest
from app.services.conversations import begin_turn, end_turn
from app.services.idempotency import Answer, settle_key, take_key
from app.services.token_use import reserve_tokens

log = logging.getLogger(__name__)

CUT_OFF = "I was interrupted before I could answer. What is listed here was done."


class Begun:
    """A message that is kept, and not answered yet."""

    def __init__(self, turn: Turn, confirmed: list[dict[str, Any]]) -> None:
        self.turn, self.confirmed = turn, confirmed


class Chat:
    """One for a process; nothing of a conversation is kept in it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self.runs = Runs(settings.chat_seconds)
        self._model: Any = None

    async def model(self) -> Any:
        """Raises ChatNotConfigured and AssistantNotInstalled."""
        if not self._settings.llm_model:
            raise ChatNotConfigured
        if self._model is None:
            module = await loaded(load_model)
            self._model = self._model or module.Model(self._settings)
        return self._model

    async def begin(
        self, owner: str, asked: ChatRequest, still_valid: Callable[[], Awaitable[bool]], repeat: Repeat | None
    ) -> Begun | Answer:
        """Keep the user's message; an Answer when ``repeat`` had one before.

        Raises ConversationNotFound, ChatBudgetSpent, what ``model`` raises, and what ``take_key`` raises.
        """
        model, settings = await self.model(), self._settings
        async with self._database.transaction(owner) as session:
            session.through = THROUGH
            if repeat and (kept := await take_key(session, owner, repeat.key, repeat.fingerprint)):
                return kept
            begun = await begin_turn(
                session, owner, asked.conversation_id, asked.message, history=settings.chat_history
            )
            messages = prompt(begun.earlier, asked.message, begun.timezone, tokens=settings.chat_context_tokens)
            tokens = estimate_call(messages) + settings.chat_answer_tokens
            await reserve_tokens(session, owner, tokens, limit=settings.chat_daily_tokens)
        turn = Turn(
            self._database, settings, model, owner, begun.conversation_id, asked.message, messages, still_valid, repeat
        )
        turn.counted = tokens
        wants = is_yes(asked.message) if asked.confirm is None else asked.confirm
        return Begun(turn, waiting_calls(begun.earlier) if wants else [])

    async def answer(self, begun: Begun, tell: Tell | None = None) -> dict[str, Any]:
        """A ChatAnswer. Whatever happens, what was done is kept. Raises the model's facts."""
        turn = begun.turn
        turn.tell = tell
        try:
            words = await self.runs.within(turn.answer(begun.confirmed))
        except BaseException as error:
            if not isinstance(error, AppError) or isinstance(error, ModelTimeout):
                turn.used += turn.asking  # the endpoint was at work, and whoever leaves early pays for that, too
            await self.runs.finish(self._keep_failure(turn))
            raise
        answer = {"conversation_id": turn.conversation_id, "response": words, "tool_calls": turn.calls}
        await self.runs.finish(self._keep(turn, words, answer))
        return answer

    async def _keep(self, turn: Turn, words: str, answer: dict[str, Any] | None) -> None:
        async with self._database.transaction(turn.owner) as session:
            session.through = THROUGH
            if turn.used != turn.counted:
                await reserve_tokens(session, turn.owner, turn.used - turn.counted, limit=0)
            if words:
                await end_turn(session, turn.owner, turn.conversation_id, words, turn.calls)
            if turn.repeat:
                kept = None if answer is None else packed(turn.repeat, answer)
                await settle_key(session, turn.owner, turn.repeat.key, kept)

    async def _keep_failure(self, turn: Turn) -> None:
        try:
            await self._keep(turn, CUT_OFF if turn.calls else "", None)
        except AppError as fact:
            log.warning("what a message had done before it failed could not be kept: %s", fact.code)

    async def aclose(self) -> None:
        await self.runs.aclose()
        if self._model is not None:
            await self._model.aclose()
