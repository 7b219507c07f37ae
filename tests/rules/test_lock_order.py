"""No two transactions wait for each other in a circle: over what this process has made the service lock.

At the end of a run ``tests/conftest.py`` asks again, over what all its processes have locked. Nobody waits for an
advisory lock, which is only tried for (``app/services/idempotency.py``), nor with locks for an import's lease, which is
a row of a transaction of its own.
"""

import pytest

from app.services import users
from app.services.assistant import conversations
from app.services.assistant.token_budget import RESERVE
from app.services.idempotency import KEEP
from app.services.rate_limits.postgres import REMOVE
from tests.assistant.conftest import Talking, talk  # noqa: F401 - a fixture
from tests.assistant.scripted import helpful
from tests.locks import EXCUSED, Lock, Step, Transaction, circles, faults, idle_excuses, locks_of
from tests.statements import LOCKED


def steps_of(*transactions: list[str]) -> set[Step]:
    found: set[Step] = set()
    for statements in transactions:
        transaction = Transaction()
        for sql in statements:
            found.update(transaction.run(sql))
    return found


async def test_nobody_waits_in_a_circle(talk: Talking) -> None:  # noqa: F811
    await talk(helpful).say("add milk tomorrow")
    found = faults(LOCKED)
    assert not found, "\n".join(found)
    assert {("users", "token_use"), ("users", "tasks")} <= {(step.held.table, step.wanted.table) for step in LOCKED}


def test_an_excuse_that_nobody_needs_is_found() -> None:
    delete = locks_of("delete from sessions where user_id = $1")
    (refreshed,) = locks_of("update refresh_tokens set used_at = now() where user_id = $1")
    there = dict.fromkeys(steps_of(["delete from sessions where user_id = $1"]), "services/retention/pruning.py")
    back = {Step(refreshed, delete[0], frozenset()): "services/refresh.py"}
    assert idle_excuses(there) == set(EXCUSED)
    assert idle_excuses(there | back) == {("login_attempts", "login_attempts")}
    assert faults(there | back) == []


SAY, LOCK, TOKENS = conversations.SAY.sql, users.LOCK.sql, RESERVE.sql
TITLE = "update tasks set title = 'x' where user_id = $1"
HOOK = "update webhooks set url = 'x' where user_id = $1"


@pytest.mark.parametrize(
    "transactions",
    [
        ([SAY, TOKENS], [TOKENS, SAY]),  # the chat as it was: a message begins, another one ends
        ([LOCK, HOOK], [HOOK, LOCK]),
        ([TITLE, HOOK], [HOOK, TITLE]),
        ([LOCK, TITLE, HOOK], [HOOK, TITLE]),
        ([TITLE, HOOK], [HOOK, KEEP.sql], [LOCK, TITLE]),
        (["insert into token_use (user_id) values ($1)", "select id from users where id = $1 for update"],),
        (["delete from rate_limits where full_at < now()", "delete from rate_limits where full_at < now()"],),
    ],
    ids=range(7),
)
def test_a_circle_would_be_found(transactions: tuple[list[str], ...]) -> None:
    assert circles(steps_of(*transactions)) != []


@pytest.mark.parametrize(
    "transactions",
    [
        ([SAY, TOKENS], [LOCK, TOKENS, SAY]),
        ([LOCK, TITLE, HOOK], [LOCK, HOOK, TITLE]),  # one after the other, whose user it is
        ([TITLE, HOOK], [TITLE, HOOK, LOCK]),
        ([REMOVE.sql, REMOVE.sql],),
    ],
    ids=range(4),
)
def test_what_is_no_circle_is_not_taken_for_one(transactions: tuple[list[str], ...]) -> None:
    assert circles(steps_of(*transactions)) == []


def test_what_a_statement_locks_and_when() -> None:
    tables = [lock.table for lock in locks_of(conversations.DELETE.sql)]
    assert tables == ["users", "users", "conversations", "changes", "messages"]
    assert locks_of(
        "select 1 from a join webhooks on true where x in (select id from webhooks for update skip locked)"
    ) == (Lock("webhooks", "update", False),)
    assert [lock.table for lock in locks_of(KEEP.sql)][:3] == ["users", "users", "idempotency_keys"]
