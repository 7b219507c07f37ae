"""The id that joins an answer, its error body and its log lines."""

import os
import re
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


def request_id() -> str:
    """The id of the request being served; empty outside of one."""
    return _current.get()


def start_request(sent: str | None) -> str:
    """Take over the id a client or proxy sent when it is harmless in a log line, else make one."""
    value = sent if sent and _ACCEPTABLE.match(sent) else os.urandom(16).hex()
    _current.set(value)
    return value
