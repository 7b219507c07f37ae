"""Bounds of CPU time that hold on slower machines, and while a shared one is busy."""

from collections.abc import Callable
from time import thread_time

ROUNDS = 5
REFERENCE_SECONDS = 0.0039  # the time of ``_reference_work`` on the machine on which the bounds were measured


def cpu_seconds(work: Callable[[], object]) -> float:
    """Returns the CPU time that this thread needs for ``work``, in seconds."""
    began = thread_time()
    work()
    return thread_time() - began


def _reference_work() -> None:
    sum(number * number for number in range(100_000))


def allowed(seconds: float) -> float:
    """Returns the bound for this machine at this moment.

    It grows where the reference work takes longer than it did on the machine of the bounds.
    """
    return seconds * max(1.0, min(cpu_seconds(_reference_work) for _ in range(5)) / REFERENCE_SECONDS)


def assert_takes_less_than(seconds: float, work: Callable[[], object], runs: int = 20) -> None:
    """Asserts that the fastest of some runs takes less than ``seconds`` of CPU, or what is ``allowed`` for them."""
    fastest = bound = float("inf")
    for _ in range(ROUNDS):  # the machine may have been slow for the work and fast for the reference
        for _ in range(runs):
            fastest = min(fastest, cpu_seconds(work))
            if fastest < seconds / 2:
                return
        bound = allowed(seconds)
        if fastest < bound:
            return
    raise AssertionError(f"{fastest:.4f} s of CPU, and {bound:.4f} s are allowed")
