"""Log lines about refused requests: why, for the operator, where the response does not say it.

At most one line a minute for each reason, with the number of those before it that had none.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from app.observability.request_context import current_refusals

log = logging.getLogger("app.refusals")

REFUSAL_INTERVAL = 60.0  # seconds between two lines of one reason
REMEMBERED_REASONS = 200  # reasons are words of the code; more would be a mistake, and must not take memory
LOGGED_TEXT_MAX = 200  # characters of a text that a client sent
LOGGED_ITEMS_MAX = 5  # items of a list that a client sent

# These are part of a client's ordinary life: level info. Any other may be a mistake of the configuration: warning.
ORDINARY_REASONS = frozenset(
    {
        "token_missing", "refresh_token_missing", "expired", "session_ended", "session_expired", "login_required",
        "refresh_token_unknown", "reset_token_unknown", "feed_token_unknown", "email_unknown", "password_wrong",
        "wrong_password", "api_token_revoked", "api_token_expired", "account_disabled", "insufficient_scope",
        "registration_closed", "contention", "malformed_request", "request_timeout",
    }
)  # fmt: skip


class RefusalLog:
    """The reasons that were logged lately, by one application."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()  # time of the line, and those without one since

    def is_due(self, reason: str) -> bool:
        """Returns whether ``record`` would log a line."""
        last, _ = self._seen.get(reason, (None, 0))
        return last is None or self._clock() - last >= REFUSAL_INTERVAL

    def record(self, reason: str, details: Mapping[str, object]) -> None:
        """Logs one line, or counts it towards the next line of this reason."""
        last, suppressed = self._seen.get(reason, (0.0, 0))
        if not self.is_due(reason):
            self._seen[reason] = last, suppressed + 1
            return
        self._seen[reason] = self._clock(), 0
        self._seen.move_to_end(reason)
        if len(self._seen) > REMEMBERED_REASONS:
            self._seen.popitem(last=False)
        fields = {name: printable(value) for name, value in details.items()}
        if suppressed:
            fields["suppressed"] = suppressed
        level = logging.INFO if reason in ORDINARY_REASONS else logging.WARNING
        log.log(level, "request_refused", extra={"reason": reason, **fields})


_OUTSIDE_OF_REQUESTS = RefusalLog()


def log_refusal(reason: str, details: Mapping[str, object]) -> None:
    """Logs why the current request is refused, at most once a minute for each ``reason``."""
    (current_refusals() or _OUTSIDE_OF_REQUESTS).record(reason, details)


def printable(value: object) -> object:
    """Returns what of a client's ``value`` may be in a log line: short, on one line, without control characters."""
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or abs(value) < 2**63 else "a large number"
    if isinstance(value, str):
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value[:LOGGED_TEXT_MAX])
        return text if len(value) <= LOGGED_TEXT_MAX else f"{text}..."
    if isinstance(value, list | tuple):
        items = [printable(item) for item in value[:LOGGED_ITEMS_MAX]]
        return items if len(value) <= LOGGED_ITEMS_MAX else [*items, "..."]
    return type(value).__name__
