"""The time zones that programs name: exactly as the IANA database, or in a way of their own.

That is with a prefix (``/freeassociation.sourceforge.net/Europe/Berlin``), in another case, a Windows name, or a fixed
offset (``GMT+0200``).
"""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.models.accounts import known_time_zones

ZONE_NAME_MAX = 200  # characters
ZONE_NAMES_CACHED = 500
_FIXED_PATTERN = re.compile(r"\(?(?:GMT|UTC)? ?([+-])(\d{1,2})[:.]?([0-5]\d)?\)?(.*)", re.ASCII | re.IGNORECASE)

_WINDOWS_PATTERN = re.compile(r" standard time\b|^russia time zone ")


class FoundZone(NamedTuple):
    """A zone by its name; ``guessed`` when the name says no more than an offset."""

    zone: tzinfo
    guessed: bool = False


def clean_zone_name(name: str) -> str:
    return name.strip().strip("\"'").strip()


def find_zone_name(name: str) -> FoundZone | None:
    """Finds a zone by a name that ``clean_zone_name`` has returned. One that is too long is none."""
    return _find(name) if len(name) <= ZONE_NAME_MAX else None


@lru_cache(maxsize=ZONE_NAMES_CACHED)
def _find(name: str) -> FoundZone | None:
    if name in known_time_zones():
        return FoundZone(ZoneInfo(name))
    lower = name.lower().replace(" ", "_")
    parts = lower.strip("/").split("/")
    for begin in range(len(parts)):
        if (iana := _lower_names().get("/".join(parts[begin:]))) is not None:
            return FoundZone(ZoneInfo(iana))
    if lower == "z":
        return FoundZone(UTC)
    words = name.lower().replace("daylight time", "standard time")
    if _WINDOWS_PATTERN.search(words) and (iana := _windows_names().get(words)) is not None:
        return FoundZone(ZoneInfo(iana))
    if (found := _FIXED_PATTERN.fullmatch(name)) is not None and int(found[2]) < 24:
        offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return FoundZone(timezone(-offset if found[1] == "-" else offset), guessed=bool(found[4].strip()))
    return None


@cache
def _lower_names() -> dict[str, str]:
    return {name.lower(): name for name in known_time_zones()}


@cache
def _windows_names() -> dict[str, str]:
    """Returns the zones of Windows names in lower case."""
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # 60 ms and 10 MB, which few files need

    return {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items() if zone in known_time_zones()}
