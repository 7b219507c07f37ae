"""The id that joins an answer, its error body and its log lines; and whose request it is, as a hash."""

import os
import re
from contextvars import ContextVar
from functools import lru_cache
from hashlib import sha256

STREAMING = "streaming"  # in the scope: when a stream began, which is when its request was answered
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class _Request:
    __slots__ = ("identifier", "subject")

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier
        self.subject = ""


_current: ContextVar[_Request | None] = ContextVar("request", default=None)


def request_id() -> str:
    """The id of the request being served; empty outside of one."""
    request = _current.get()
    return request.identifier if request is not None else ""


def start_request(sent: str | None) -> str:
    """Take over the id a client or proxy sent when it is harmless in a log line, else make one."""
    value = sent if sent and _ACCEPTABLE.match(sent) else os.urandom(16).hex()
    _current.set(_Request(value))
    return value


def note_subject(subject: str) -> None:
    """Whose token came with the request."""
    if (request := _current.get()) is not None:
        request.subject = subject


def subject_hash() -> str:
    """Stands in the log for whoever sent the request; empty when nobody is known."""
    request = _current.get()
    return short_hash(request.subject) if request is not None and request.subject else ""


@lru_cache(4096)
def short_hash(subject: str) -> str:
    """What ``printf %s alice | sha256sum | cut -c-12`` prints: an operator can look for a user, a log names none."""
    return sha256(subject.encode()).hexdigest()[:12]
