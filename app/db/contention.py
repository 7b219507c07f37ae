"""Retries of transactions that the database rolled back because of a deadlock or a serialization failure."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from app.errors import Contention

MAX_ATTEMPTS = 3
P = ParamSpec("P")
T = TypeVar("T")


def retry_on_contention(transact: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Runs ``transact`` up to MAX_ATTEMPTS times while it raises Contention.

    For a coroutine function that is one transaction and has no other effect. Nothing is done twice: PostgreSQL reports
    a deadlock or a serialization failure, also in response to COMMIT, only of a transaction that it has rolled back. A
    COMMIT without a response is Unavailable, and is not retried.
    """

    @wraps(transact)
    async def retrying(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return await transact(*args, **kwargs)
            except Contention:
                continue
        return await transact(*args, **kwargs)

    return retrying
