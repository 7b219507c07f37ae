"""Entity tags (RFC 9110, 8.8.3): a task's is its version, a list's the owner's revision and the query."""

import hashlib
import re

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
MAX_VERSION = 2**63 - 1


def task_etag(version: int) -> str:
    """The strong tag of one task."""
    return f'"{version}"'


def list_etag(revision: int, owner: str, query: bytes) -> str:
    """Weak: two answers with this tag hold the same tasks, not the same bytes in every version of the service."""
    digest = hashlib.sha256(owner.encode() + b"\0" + query).hexdigest()[:12]
    return f'W/"{revision}-{digest}"'


def expected_versions(if_match: str | None) -> list[int] | None:
    """The versions an ``If-Match`` accepts; None for no condition or ``*``.

    Strong comparison (RFC 9110, 13.1.1): a weak or foreign tag matches nothing.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag for weak, tag in _TAG.findall(if_match) if not weak]
    numbers = [int(tag) for tag in tags if tag.isascii() and tag.isdigit() and len(tag) <= 19]
    return [number for number in numbers if number <= MAX_VERSION]


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether ``If-None-Match`` names ``etag``; weak comparison, as RFC 9110, 13.1.2 asks."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    wanted = etag.removeprefix("W/")
    return any(f'"{tag}"' == wanted for _, tag in _TAG.findall(if_none_match))
