"""Passwords: argon2id in threads of its own, and the most common ones refused."""

import asyncio
import contextlib
import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib.resources import files
from typing import Any

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.errors import Unavailable, WeakPassword

# OWASP Password Storage Cheat Sheet: the minimum for argon2id, 28 ms here, 130 ms with the library's default.
MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES = 19_456, 2, 1
HASHER_THREADS = max(1, min(2, (os.cpu_count() or 1) - 1))
MAX_WAITING = 200  # about 6 seconds of work; more would only time out at the client
THREAD_NICENESS = 10
# The hash of no password: salt and digest are invented. Verifying against it takes as long as against a real one.
DUMMY_HASH = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}$" + "bm9ib2R5J3Mgc2FsdC4uLg" + "$" + "A" * 43
)


def normalize_password(password: str) -> str:
    """Normalizes Unicode (NIST SP 800-63B, 3.1.1.2): keyboards compose characters differently."""
    return unicodedata.normalize("NFKC", password)


@cache
def load_common_passwords() -> frozenset[str]:
    """Reads the 10,000 most common; 3,395 have 8 characters or more. Source: ``app/data/NOTICE``."""
    return frozenset(files("app").joinpath("data", "common_passwords.txt").read_text("ascii").split())


def check_new_password(password: str, *, field: str = "password") -> None:
    """Raises WeakPassword for one of the most common passwords, in any letter case."""
    if normalize_password(password).casefold() in load_common_passwords():
        raise WeakPassword(loc=("body", field))


class PasswordHasher:
    """argon2id in a few threads of lower priority than the event loop."""

    def __init__(self, threads: int = HASHER_THREADS) -> None:
        self._argon2 = PasswordHash(
            (Argon2Hasher(time_cost=ARGON2_PASSES, memory_cost=MEMORY_KIB, parallelism=ARGON2_LANES),)
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password", initializer=_lower_priority)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Raises Unavailable if too many calls are waiting."""
        hashed: str = await self._run(self._argon2.hash, normalize_password(password))
        return hashed

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Returns whether it is right, and its hash with the current parameters if ``hashed`` has others.

        With ``hashed`` None it takes as long and is wrong. Raises Unavailable.
        """
        right, renewed = await self._run(
            self._argon2.verify_and_update, normalize_password(password), hashed or DUMMY_HASH
        )
        return (right and hashed is not None), renewed

    async def _run(self, work: Callable[..., Any], *arguments: str) -> Any:
        if self._waiting >= MAX_WAITING:
            raise Unavailable(retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *arguments))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _lower_priority() -> None:
    """Lowers the priority of this thread alone, on Linux."""
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), THREAD_NICENESS)
