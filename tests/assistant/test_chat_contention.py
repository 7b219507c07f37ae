"""Concurrent messages of one user: they wait for each other and never deadlock."""

import asyncio
import threading
from typing import Any

import asyncpg
import pytest

from app.assistant import chat
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.fair_semaphore import Lane
from app.db.session import Session
from app.errors import Contention, Unavailable
from tests.assistant.conftest import Talking, eventually
from tests.assistant.scripted import Json, Says, in_turn, last_user, results
from tests.databases import counting_waits
from tests.support import Person, assert_problem


def adds(request: Json) -> Says:
    """Responds like a model that adds a task with the message's text as its title."""
    return Says("Added.") if results(request) else Says(calls=[("add_task", {"title": last_user(request)})])


async def waiting(postgres: ConnectOptions, count: int) -> None:
    async with counting_waits(postgres) as found:

        async def reached() -> bool:
            return await found() == count

        await eventually(reached)


async def test_a_message_that_starts_while_another_ends_does_not_deadlock(
    talk: Talking, postgres: ConnectOptions
) -> None:
    """The second message waits for the lock of the user's row before the first, so it has it while the first still
    works."""
    answered = threading.Event()

    def script(request: Json) -> Says:
        if results(request) and last_user(request) == "first":
            answered.wait(10)
        return adds(request)

    alice = talk(script)

    first = asyncio.create_task(alice.send("first"))

    async def thinks() -> bool:
        return len(alice.model.asked) == 2

    await eventually(thinks)
    holder = await asyncpg.connect(**postgres.arguments())
    try:
        async with holder.transaction():
            await holder.execute("select 1 from users where id = $1 for update", alice.person.subject)
            second = asyncio.create_task(alice.as_other(alice.person).send("second"))
            await waiting(postgres, 1)
            answered.set()
            await waiting(postgres, 2)
    finally:
        answered.set()
        await holder.close()
    answers = await asyncio.gather(first, second)
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert await alice.person.titles() == ["second", "first"]


async def test_deleting_a_conversation_locks_its_owner_first(talk: Talking, postgres: ConnectOptions) -> None:
    """A concurrent message holds the lock of the owner's row and refers to the conversation."""
    alice = talk(in_turn(Says("Hello.")))
    await alice.say("hello")
    holder = await asyncpg.connect(**postgres.arguments())
    try:
        async with holder.transaction():
            await holder.execute("select 1 from users where id = $1 for no key update", alice.person.subject)
            deleting = asyncio.create_task(alice.person.delete(f"/conversations/{alice.conversation_id}"))
            await waiting(postgres, 1)
            lock = "select 1 from conversations where user_id = $1 and id = $2 for update nowait"
            await holder.execute(lock, alice.person.subject, alice.conversation_id)
    finally:
        await holder.close()
    assert (await deleting).status_code == 204


class Fault:
    """Makes the next ``left`` transactions of an owner fail, after ``passed`` successful ones."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = self.passed = 0
        self.error: type[Unavailable] = Unavailable
        begin, commit = Database.begin, Session.commit
        fault = self

        async def refusing(self: Database, statement: str, lane: Lane | None, *, reads_of: str | None = None) -> Any:
            if "app.user_id" in statement:
                fault.meet("begin")
            return await begin(self, statement, lane, reads_of=reads_of)

        async def silent(self: Session) -> None:
            sent = self._connection is not None and self.source == "chat"
            await commit(self)
            if sent:
                fault.meet("commit")

        self.where = "begin"
        patch.setattr(Database, "begin", refusing)
        patch.setattr(Session, "commit", silent)

    def meet(self, where: str) -> None:
        if self.left and where == self.where:
            if self.passed:
                self.passed -= 1
                return
            self.left -= 1
            raise self.error(retry_after=1)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    monkeypatch.setattr(chat, "STORE_RETRY_DELAYS", (0.1, 0.2))
    return Fault(monkeypatch)


@pytest.mark.parametrize("where", ["begin", "commit"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_response_is_returned_and_stored_after_a_database_failure(
    talk: Talking, fault: Fault, sql: Any, where: str, streamed: bool
) -> None:
    """Rows stored before the failure are not stored twice, and the key replays the first response."""

    def script(request: Json) -> Says:
        if results(request):
            fault.where, fault.left = where, 1
        return adds(request)

    alice = talk(script)
    headers = {"Idempotency-Key": "k"} | ({"Accept": "text/event-stream"} if streamed else {})
    # the tokens reserved for the second call come before it
    first = await alice.send("milk", headers=headers)
    assert first.status_code == 200, first.text
    assert "Added." in first.text
    assert fault.left == 0

    async def settled() -> bool:
        return bool(
            await sql.fetchval("select status from idempotency_keys where user_id = $1", alice.person.subject) == 200
        )

    await eventually(settled)
    alice.conversation_id = None
    again = await alice.send("milk", headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert "Added." in again.text
    assert await alice.person.titles() == ["milk"]
    assert [message["content"] for message in await alice.messages()] == ["milk", "Added."]
    assert await sql.fetchval("select tokens from token_use where user_id = $1", alice.person.subject) == 200


async def test_a_response_that_cannot_be_stored_is_returned_and_logged(
    talk: Talking, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    def script(request: Json) -> Says:
        if results(request):
            fault.left = 3
        return adds(request)

    alice = talk(script)
    said = await alice.say("milk")
    assert said["tool_calls"][0]["result"]["status"] == "created"

    async def given_up() -> bool:
        return "the outcome of a message may not be stored" in caplog.text

    await eventually(given_up)
    assert await alice.person.titles() == ["milk"]
    assert [message["content"] for message in await alice.messages()] == ["milk"]


async def test_each_transaction_of_a_message_is_retried_after_a_serialization_failure(
    talk: Talking, fault: Fault, alice: Person
) -> None:
    """The message, the tool, the tokens of the next call, the response; the first is given up after three failures."""
    talking = talk(adds)
    fault.error = Contention
    for passed in range(4):
        fault.left, fault.passed = 2, passed
        await talking.say(f"task {passed}")
        assert fault.left == 0
    fault.left = 3
    assert_problem(await talking.send("task 4"), 503, "contention")
    assert await alice.titles("?order=asc") == [f"task {passed}" for passed in range(4)]
    assert [message["role"] for message in await talking.messages()] == ["user", "assistant"] * 4
