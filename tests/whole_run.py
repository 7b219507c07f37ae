"""Checks after all tests: the statements of each process, and the locks of all processes together."""

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from tests.locks import faults, idle_excuses
from tests.statements import LEAKS, LOCKED, REFUSED

WHOLE = 50  # files and more are the whole suite


class Recorded:
    """The records of the processes of a run."""

    def __init__(self) -> None:
        self.files = 0

    def hand_over(self, session: pytest.Session) -> bytes:
        """Returns the records of a worker of pytest-xdist, for the process that started it."""
        return pickle.dumps((LOCKED, LEAKS, REFUSED, _files(session)))

    def take(self, handed_over: bytes) -> None:
        locked, leaks, refused, self.files = pickle.loads(handed_over)
        LOCKED.update(locked)
        LEAKS.extend(leaks)
        REFUSED.extend(refused)

    def judge(self, session: pytest.Session) -> Iterator[tuple[str, list[str]]]:
        """Yields what is wrong, after the name of the test that checks the same in one process."""
        yield "tests/rules/test_pinned_statements.py::test_every_statement_issued_is_pinned_to_one_user", LEAKS
        yield "tests/db/test_citus_refusals.py::test_citus_refuses_no_statement", REFUSED
        yield "tests/rules/test_lock_order.py::test_no_transactions_wait_in_a_cycle", faults(LOCKED)
        if max(self.files, _files(session)) >= WHOLE and not session.testsfailed:
            needless = [f"needless: {excuse}" for excuse in sorted(idle_excuses(LOCKED))]
            yield "tests/rules/test_lock_order.py::test_a_needless_exemption_is_found", needless


def _files(session: pytest.Session) -> int:
    """Returns the number of files; 0 if some of their tests were left out."""
    chosen: Any = session.config.option
    left_out = chosen.markexpr or chosen.keyword or chosen.collectonly
    return 0 if left_out else len({item.path for item in session.items})


def fail(session: pytest.Session, name: str, found: list[str]) -> None:
    """Reports a failure as if it were one of a test."""
    report = pytest.TestReport(
        nodeid=f"{name} over the whole run",
        location=(name.partition("::")[0], None, name),
        keywords={},
        outcome="failed",
        longrepr="\n".join(found),
        when="call",
    )
    session.config.hook.pytest_runtest_logreport(report=report)
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
