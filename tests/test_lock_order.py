"""No two transactions wait for each other in a circle: over what all other tests made the service lock.

Runs last, with ``test_statements.py``; by itself, over a message to the assistant. Nobody waits for an advisory lock,
which is only tried for (``app/services/idempotency.py``), nor with locks for an import's lease, which is a row of a
transaction of its own.
"""

import pytest

from app.services import users
from app.services.assistant import conversations
from app.services.assistant.token_budget import RESERVE
from app.services.idempotency import KEEP
from app.services.rate_limits.postgres import REMOVE
from tests.assistant.conftest import Talking, talk  # noqa: F401 - a fixture
from tests.assistant.scripted import helpful
from tests.locks import Lock, Step, Transaction, circles, locks_of
from tests.statements import LOCKED

# Modules whose circles are no fault.
EXCUSED_MODULES = {
    "services/operations/isolation_check.py",  # rows of an owner whom nobody else can be
    "services/accounts/erasure.py",  # locks all rows of an account, and is run again when it was the victim
}
# What is held, what is wanted, and why nobody waits for that.
EXCUSED = {
    (
        "sessions",
        "refresh_tokens",
    ): "those that are deleted, with their session or alone, are too old for anybody to use",
    ("login_attempts", "login_attempts"): "rows of one account in the order of their keys, then the address's own row",
}


def steps_of(*transactions: list[str]) -> set[Step]:
    found: set[Step] = set()
    for statements in transactions:
        transaction = Transaction()
        for sql in statements:
            found.update(transaction.run(sql))
    return found


def judged(steps: dict[Step, str]) -> set[Step]:
    return {
        step
        for step, module in steps.items()
        if module not in EXCUSED_MODULES and (step.held.table, step.wanted.table) not in EXCUSED
    }


async def test_nobody_waits_in_a_circle(talk: Talking) -> None:  # noqa: F811
    await talk(helpful).say("add milk tomorrow")
    found = circles(judged(LOCKED))
    assert found == [], [[(step, LOCKED[step]) for step in circle] for circle in found]
    assert {("users", "token_use"), ("users", "tasks")} <= {(step.held.table, step.wanted.table) for step in LOCKED}


def test_every_excuse_is_needed(request: pytest.FixtureRequest) -> None:
    if len({item.path for item in request.session.items}) < 50:
        pytest.skip("only over the whole run")
    everything = circles(step for step, module in LOCKED.items() if module not in EXCUSED_MODULES)
    needed = {(step.held.table, step.wanted.table) for circle in everything for step in circle}
    assert set(EXCUSED) <= needed


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
