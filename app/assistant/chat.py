"""The chat: stores the user's message, runs the turn within its limits, and stores the outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.assistant.admission import Admission
from app.assistant.confirmation import is_yes, waiting_calls
from app.assistant.idempotency import ChatIdempotency, encode_answer
from app.assistant.optional import load_in_thread, load_model
from app.assistant.prompt import build_prompt, estimate_call_tokens
from app.assistant.turn import CHAT_SOURCE, EventCallback, Turn
from app.config import Settings
from app.db.contention import retry_on_contention
from app.db.database import Database
from app.errors import AppError, ChatNotConfigured, Contention, ModelTimeout
from app.schemas.chat import ChatRequest
from app.services.assistant.conversations import StartedConversation as Conversation
from app.services.assistant.conversations import begin_turn, end_turn
from app.services.assistant.token_budget import reserve_tokens
from app.services.idempotency import StoredResponse, acquire_key, settle_key
from app.services.users import lock_owner

log = logging.getLogger(__name__)

CUT_OFF = "I was interrupted before I could answer. What is listed here was done."
STORE_RETRY_DELAYS = (0.5, 1, 2, 5, 10, 30, 60)  # seconds before each further attempt to store the outcome of a message


class StartedTurn:
    """A message that is stored, and not answered yet."""

    def __init__(self, turn: Turn, confirmed: list[dict[str, Any]]) -> None:
        self.turn, self.confirmed = turn, confirmed


@dataclass(slots=True)
class Ending:
    """The outcome of a message, to be stored; ``answer`` is None for one that failed."""

    turn: Turn
    words: str
    answer: dict[str, Any] | None
    uncertain: bool = False  # a COMMIT had no response: it may be stored


class Chat:
    """The chat of one process, without any state of conversations."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self.admission = Admission(settings.chat_seconds)
        self._model: Any = None

    async def model(self) -> Any:
        """Returns the model, created at first use. Raises ChatNotConfigured and AssistantNotInstalled."""
        if not self._settings.llm_model:
            raise ChatNotConfigured
        if self._model is None:
            module = await load_in_thread(load_model)
            self._model = self._model or module.Model(self._settings)
        return self._model

    async def begin(
        self, owner: str, asked: ChatRequest, still_valid: Callable[[], Awaitable[bool]], repeat: ChatIdempotency | None
    ) -> StartedTurn | StoredResponse:
        """Stores the user's message; returns an Answer if ``repeat`` has a stored one.

        Raises ConversationNotFound, ChatBudgetSpent, and the errors of ``model`` and ``acquire_key``.
        """
        model, settings = await self.model(), self._settings
        begun = await self._store_message(owner, asked, repeat)
        if isinstance(begun, StoredResponse):
            return begun
        talk, messages, tokens = begun
        turn = Turn(
            self._database, settings, model, owner, talk.conversation_id, asked.message, messages, still_valid, repeat
        )
        turn.counted, turn.revision = tokens, talk.revision
        wants = is_yes(asked.message) if asked.confirm is None else asked.confirm
        return StartedTurn(turn, waiting_calls(talk.earlier) if wants else [])

    @retry_on_contention
    async def _store_message(
        self, owner: str, asked: ChatRequest, repeat: ChatIdempotency | None
    ) -> StoredResponse | tuple[Conversation, list[dict[str, Any]], int]:
        """Returns the conversation, the first messages to the model, and the tokens reserved for them."""
        settings = self._settings
        async with self._database.transaction(owner) as session:
            session.source = CHAT_SOURCE
            if repeat and (kept := await acquire_key(session, owner, repeat.key, repeat.fingerprint)):
                return kept
            talk = await begin_turn(session, owner, asked.conversation_id, asked.message, history=settings.chat_history)
            messages = build_prompt(talk.earlier, asked.message, talk.timezone, tokens=settings.chat_context_tokens)
            tokens = estimate_call_tokens(messages) + settings.chat_answer_tokens
            await reserve_tokens(session, owner, tokens, limit=settings.chat_daily_tokens)
        return talk, messages, tokens

    async def answer(self, begun: StartedTurn, emit: EventCallback | None = None) -> dict[str, Any]:
        """Returns a ChatAnswer. Stores the outcome in any case. Raises the errors of the model."""
        turn = begun.turn
        turn.emit = emit
        try:
            words = await self.admission.within(turn.answer(begun.confirmed))
        except BaseException as error:
            if not isinstance(error, AppError) or isinstance(error, ModelTimeout):
                turn.used += turn.asking  # the endpoint was working: a client that disconnects also pays for that
            await self.admission.finish(self._finish(Ending(turn, CUT_OFF if turn.calls else "", None)))
            raise
        answer = {
            "conversation_id": turn.conversation_id,
            "response": words,
            "outcome": turn.outcome,
            "tool_calls": turn.calls,
        }
        await self.admission.finish(self._finish(Ending(turn, words, answer)))
        return answer

    async def _finish(self, ending: Ending) -> None:
        """Stores the outcome now, or as soon as the database is available. Raises no AppError.

        The tools have run: after an error the client would send the message again and repeat their writes, and an
        idempotency key that is not settled would allow that after a while.
        """
        try:
            await self._store(ending)
        except AppError as error:
            log.warning("the outcome of a message could not be stored yet: %s", error.code)
            self.admission.run_in_background(self._store_later(ending))

    async def _store_later(self, ending: Ending) -> None:
        kept = False
        try:
            for pause in STORE_RETRY_DELAYS:
                await asyncio.sleep(pause)
                try:
                    await self._store(ending)
                    kept = True
                    return
                except AppError as error:
                    log.warning("the outcome of a message could still not be stored: %s", error.code)
        finally:
            if not kept or ending.uncertain:
                log.error("the outcome of a message may not be stored", extra={"user_id": ending.turn.owner})

    @retry_on_contention
    async def _store(self, ending: Ending) -> None:
        turn, sent = ending.turn, False
        try:
            async with self._database.transaction(turn.owner) as session:
                session.source = CHAT_SOURCE
                if not await lock_owner(session, turn.owner):
                    return  # the account was deleted concurrently
                if turn.repeat:
                    kept = None if ending.answer is None else encode_answer(turn.repeat, ending.answer)
                    await settle_key(session, turn.owner, turn.repeat.key, kept)
                if not ending.uncertain:  # a key may be settled twice; these writes may not be repeated
                    if turn.used != turn.counted:
                        await reserve_tokens(session, turn.owner, turn.used - turn.counted, limit=0)
                    if ending.words:
                        stored = await end_turn(session, turn.owner, turn.conversation_id, ending.words, turn.calls)
                        turn.revision = stored or turn.revision
                sent = True
        except AppError as error:
            ending.uncertain |= sent and not isinstance(error, Contention)
            raise

    async def aclose(self) -> None:
        await self.admission.aclose()
        if self._model is not None:
            await self._model.aclose()
