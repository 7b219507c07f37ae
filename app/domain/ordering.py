"""Sort keys with always another key between two (fractional indexing).

A key is a fraction written without "0.": digits 0-9a-z, compared as text by their bytes; "" is less than every key,
None greater. No key ends in "0", so that there is room below each. Rows that were never moved have the key of their id;
a move gives a row a key between its neighbours, and no other row changes.
"""

from app.models.types import MAX_ID

KEY_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
KEY_BASE = len(KEY_DIGITS)
MAX_LENGTH = 250  # a key is part of an index row


def key_of_id(number: int) -> str:
    """Returns the key of a row that was never moved, as the tables compute it: greater than those of earlier rows."""
    digits = f"{number:x}"
    return f"{chr(96 + len(digits))}{digits}i"


def key_between(low: str, high: str | None, *, near: str = "middle") -> str:
    """Returns one of the shortest keys greater than ``low`` and less than ``high``.

    ``near`` chooses among those: with repeated moves to the front, "high" leaves the most room for the next one (35
    moves a digit, 5 from the middle). Raises ValueError when there is none.
    """
    if high is not None and low >= high:
        raise ValueError("nothing is between")
    common = ""
    while True:
        place = len(common)
        first = KEY_DIGITS.index(low[place]) if place < len(low) else 0
        last = KEY_DIGITS.index(high[place]) if high is not None and place < len(high) else KEY_BASE
        # A digit equal to the upper bound's is less than it, as long as more digits follow there.
        if high is not None and place + 1 < len(high):
            last += 1
        if first + 1 < last:
            return common + KEY_DIGITS[{"low": first + 1, "high": last - 1}.get(near, (first + last) // 2)]
        common += KEY_DIGITS[first]
        if high is not None and not high.startswith(common):
            high = None  # already less


def key_after_all(last: str) -> str:
    """Returns a key greater than ``last``, the greatest in use, and less than those of all rows created later."""
    low, high = 1, MAX_ID  # the first id whose key is greater: no later one can be less
    while low < high:
        middle = (low + high) // 2
        if key_of_id(middle) > last:
            high = middle
        else:
            low = middle + 1
    return key_between(last, key_of_id(low), near="low")


def keys_after_all(last: str, count: int) -> list[str]:
    """Returns ``count`` keys (at most 1,260) in ascending order, as ``key_after_all``, at most two digits longer."""
    if count == 1:
        return [key_after_all(last)]
    base = key_after_all(last)
    while (following := key_after_all(base)).startswith(base):
        base = following
    # Every key that begins with ``base`` is less than ``following``, and so less than those of rows created later.
    return [
        base + KEY_DIGITS[number // (KEY_BASE - 1)] + KEY_DIGITS[number % (KEY_BASE - 1) + 1] for number in range(count)
    ]
