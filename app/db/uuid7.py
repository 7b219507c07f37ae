"""UUIDs of version 7 (RFC 9562, 5.7), which Python's library makes from 3.14 on: the time first, then random bits."""

import os
import threading

from app.clock import now

RANDOM_BITS = 74  # of 122; the others are milliseconds
STEP_BITS = 32  # the random step from one UUID to the next of the same millisecond

_lock = threading.Lock()
_latest = 0  # the 122 bits of the latest UUID, without version and variant


def new_uuid7() -> str:
    """Returns a UUID greater than all before it in this process, also when the clock is set back (RFC 9562, 6.2)."""
    global _latest
    milliseconds = int(now().timestamp() * 1000)
    bits = (milliseconds << RANDOM_BITS) | int.from_bytes(os.urandom(10)) >> (80 - RANDOM_BITS)
    with _lock:
        if bits <= _latest:
            bits = _latest + 1 + (bits & (1 << STEP_BITS) - 1)
        _latest = bits
    return format_uuid7(bits)


def format_uuid7(bits: int) -> str:
    """Returns the text of 48 bits of milliseconds and 74 random ones, with version 7 and variant 10 between them."""
    upper, lower = bits >> 62, bits & (1 << 62) - 1
    text = f"{(upper >> 12 << 16) | 0x7000 | (upper & 0xFFF):016x}{0b10 << 62 | lower:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
