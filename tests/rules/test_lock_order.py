"""No two transactions wait for each other in a cycle: checked for the locks of this process.

At the end of a run ``tests/conftest.py`` checks the locks of all its processes together. No transaction waits for an
advisory lock, which is only tried (``app/services/idempotency.py``), nor holds locks while it waits for the lease of an
import, which is a row of a transaction of its own.
"""

import pytest

from app.services import users
from app.services.assistant import conversations
from app.services.assistant.token_budget import RESERVE_TOKENS
from app.services.idempotency import STORE_RESPONSE
from app.services.rate_limits.postgres import PRUNE_RATE_LIMITS
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


async def test_no_transactions_wait_in_a_cycle(talk: Talking) -> None:  # noqa: F811
    await talk(helpful).say("add milk tomorrow")
    found = faults(LOCKED)
    assert not found, "\n".join(found)
    assert {("users", "token_use"), ("users", "tasks")} <= {(step.held.table, step.wanted.table) for step in LOCKED}


def test_a_needless_exemption_is_found() -> None:
    delete = locks_of("delete from sessions where user_id = $1")
    (refreshed,) = locks_of("update refresh_tokens set used_at = now() where user_id = $1")
    there = dict.fromkeys(steps_of(["delete from sessions where user_id = $1"]), "services/retention/pruning.py")
    back = {Step(refreshed, delete[0], frozenset()): "services/accounts/refresh.py"}
    assert idle_excuses(there) == set(EXCUSED)
    assert idle_excuses(there | back) == {("login_attempts", "login_attempts")}
    assert faults(there | back) == []


MESSAGE_SQL, OWNER_SQL, TOKENS_SQL = conversations.INSERT_MESSAGE.sql, users.LOCK_OWNER.sql, RESERVE_TOKENS.sql
TITLE_SQL = "update tasks set title = 'x' where user_id = $1"
WEBHOOK_SQL = "update webhooks set url = 'x' where user_id = $1"


@pytest.mark.parametrize(
    "transactions",
    [
        (
            [MESSAGE_SQL, TOKENS_SQL],
            [TOKENS_SQL, MESSAGE_SQL],
        ),  # a former state of the chat: a message begins, another one ends
        ([OWNER_SQL, WEBHOOK_SQL], [WEBHOOK_SQL, OWNER_SQL]),
        ([TITLE_SQL, WEBHOOK_SQL], [WEBHOOK_SQL, TITLE_SQL]),
        ([OWNER_SQL, TITLE_SQL, WEBHOOK_SQL], [WEBHOOK_SQL, TITLE_SQL]),
        ([TITLE_SQL, WEBHOOK_SQL], [WEBHOOK_SQL, STORE_RESPONSE.sql], [OWNER_SQL, TITLE_SQL]),
        (["insert into token_use (user_id) values ($1)", "select id from users where id = $1 for update"],),
        (["delete from rate_limits where full_at < now()", "delete from rate_limits where full_at < now()"],),
    ],
    ids=range(7),
)
def test_a_wait_cycle_is_found(transactions: tuple[list[str], ...]) -> None:
    assert circles(steps_of(*transactions)) != []


@pytest.mark.parametrize(
    "transactions",
    [
        ([MESSAGE_SQL, TOKENS_SQL], [OWNER_SQL, TOKENS_SQL, MESSAGE_SQL]),
        (
            [OWNER_SQL, TITLE_SQL, WEBHOOK_SQL],
            [OWNER_SQL, WEBHOOK_SQL, TITLE_SQL],
        ),  # serialized by the lock of the user
        ([TITLE_SQL, WEBHOOK_SQL], [TITLE_SQL, WEBHOOK_SQL, OWNER_SQL]),
        ([PRUNE_RATE_LIMITS.sql, PRUNE_RATE_LIMITS.sql],),
    ],
    ids=range(4),
)
def test_serialized_transactions_are_not_a_wait_cycle(transactions: tuple[list[str], ...]) -> None:
    assert circles(steps_of(*transactions)) == []


def test_the_locks_of_a_statement_are_found_in_order() -> None:
    tables = [lock.table for lock in locks_of(conversations.DELETE_CONVERSATION.sql)]
    assert tables == ["users", "users", "conversations", "changes", "messages"]
    assert locks_of(
        "select 1 from a join webhooks on true where x in (select id from webhooks for update skip locked)"
    ) == (Lock("webhooks", "update", False),)
    assert [lock.table for lock in locks_of(STORE_RESPONSE.sql)][:3] == ["users", "users", "idempotency_keys"]
