"""The id that a response, its error body and its log lines share, and the user of the request as a hash."""

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from hashlib import sha256
from typing import Protocol

# In the scope: when the duration of the request ended, because its stream began or it waited for a model.
OWN_TIME_KEY = "own_time_ended"
_HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class Refusals(Protocol):
    def record(self, reason: str, details: Mapping[str, object]) -> None:
        """Logs why a request is refused."""


class _Request:
    __slots__ = ("identifier", "refusals", "subject")

    def __init__(self, identifier: str, refusals: Refusals | None) -> None:
        self.identifier, self.refusals = identifier, refusals
        self.subject = ""


_current: ContextVar[_Request | None] = ContextVar("request", default=None)


def request_id() -> str:
    """Returns the id of the current request; empty outside of one."""
    request = _current.get()
    return request.identifier if request is not None else ""


def start_request(sent: str | None, refusals: Refusals | None = None) -> str:
    """Starts a request. Its id is the one sent by a client or proxy, if harmless in a log line, else a new one."""
    value = sent if sent and _HARMLESS_ID.match(sent) else os.urandom(16).hex()
    _current.set(_Request(value, refusals))
    return value


def current_refusals() -> Refusals | None:
    """Returns the log of the application that handles the current request; None outside of one."""
    request = _current.get()
    return request.refusals if request is not None else None


def set_subject(subject: str) -> None:
    """Records the subject of the request's token."""
    if (request := _current.get()) is not None:
        request.subject = subject


def subject_hash() -> str:
    """Returns the hash that stands for the caller in the log; empty without a subject."""
    request = _current.get()
    return short_hash(request.subject) if request is not None and request.subject else ""


@lru_cache(4096)
def short_hash(subject: str) -> str:
    """Returns what ``printf %s alice | sha256sum | cut -c-12`` prints: an operator can find a user's lines by it."""
    return sha256(subject.encode()).hexdigest()[:12]
