"""UUIDs of version 7: their layout, their order, and what a clock or several threads may do to them."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from app.db import uuid7

MADE_AT_ONCE = 20_000


def test_the_layout_is_that_of_the_example_in_the_rfc() -> None:
    """RFC 9562, A.6."""
    bits = 0x017F22E279B0 << 74 | 0xCC3 << 62 | 0x18C4DC0C0C07398F
    assert uuid7.format_uuid7(bits) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    made = uuid.UUID(uuid7.new_uuid7())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    moment = datetime.fromtimestamp((made.int >> 80) / 1000, UTC)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_each_is_greater_than_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [uuid7.new_uuid7() for _ in range(MADE_AT_ONCE)]
    earlier = datetime.now(UTC) - timedelta(days=1)
    monkeypatch.setattr(uuid7, "now", lambda: earlier)  # the clock is set back
    made += [uuid7.new_uuid7() for _ in range(MADE_AT_ONCE)]
    assert made == sorted(set(made))


def test_threads_never_make_the_same() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: uuid7.new_uuid7(), range(MADE_AT_ONCE)))
    assert len(set(made)) == MADE_AT_ONCE
