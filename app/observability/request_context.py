"""The id that a response, its error body and its log lines share, and the user of the request as a hash."""

import os
import re
from contextvars import ContextVar
from functools import lru_cache
from hashlib import sha256

STREAM_START_KEY = "streaming"  # in the scope: when a stream began, where its request's duration ends
_HARMLESS_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class _Request:
    __slots__ = ("identifier", "subject")

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        self.subject = ""


_current: ContextVar[_Request | None] = ContextVar("request", default=None)


def request_id() -> str:
    """Returns the id of the current request; empty outside of one."""
    request = _current.get()
    return request.identifier if request is not None else ""


def start_request(sent: str | None) -> str:
    """Starts a request. Its id is the one sent by a client or proxy, if harmless in a log line, else a new one."""
    value = sent if sent and _HARMLESS_ID.match(sent) else os.urandom(16).hex()
    _current.set(_Request(value))
    return value


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
