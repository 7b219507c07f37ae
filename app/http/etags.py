"""Entity tags (RFC 9110, 8.8.3): of an entity its version, of a list the owner's revision and a hash of the query."""

import hashlib
import re

from starlette.requests import Request

from app.errors import Invalid, NoEntityTag
from app.models.types import MAX_ID
from app.services.uids import PutCondition
from app.version import VERSION

AHEAD_KEY = "ahead"  # in a request's scope: the owner, and a revision of the client that is above the owner's
# A proxy that compresses a response changes its tag: nginx, Cloudflare and HAProxy make it weak, Apache appends -gzip
# or ;gzip, Caddy the coding, Jetty --gzip. The tag names the same version as before, so all of that is dropped.
_ETAG_PATTERN = re.compile(
    r'''(?:W/)?"([\x21\x23-\x7e\x80-\xff]*?)(?:(?:--?|[;:_])(?:x-)?(?:gzip|br|zstd|deflate|compress))?"'''
)


def entity_etag(version: int) -> str:
    """Returns the strong tag of one entity."""
    return f'"{version}"'


def list_etag(revision: int, owner: str, query: bytes, shape: str, zone: str = "") -> str:
    """Returns a weak tag: two responses with it hold the same rows in the same ``shape``, perhaps in different bytes.

    ``zone`` is the owner's time zone where the response depends on it: a change of the zone takes no revision. Another
    version of the service may return something else for the same query, so its version is hashed also.
    """
    parts = (VERSION.encode(), shape.encode(), owner.encode(), query, zone.encode())
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    return f'W/"{revision}-{digest}"'


def expected_versions(if_match: str | None, *, loc: tuple[str | int, ...] = ("header", "If-Match")) -> list[int] | None:
    """Returns the versions that ``If-Match`` accepts; None without a condition or for ``*``. Raises NoEntityTag.

    A weak tag counts, against RFC 9110, 13.1.1: a version names one state of one row, however it was encoded, and a
    client behind a proxy that compresses knows no other tag. A foreign tag matches nothing.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    if not (found := _ETAG_PATTERN.findall(if_match)):
        raise NoEntityTag(loc=loc)
    return [number for tag in found if (number := _read_number(tag)) is not None]


def put_condition(if_match: str | None, if_none_match: str | None) -> PutCondition:
    """Returns what a PUT may do. Raises Invalid for If-None-Match except *."""
    if if_none_match is not None and if_none_match.strip() != "*":
        raise Invalid("Of a PUT, If-None-Match is *: only create.", loc=("header", "If-None-Match"))
    return PutCondition(may_create=if_match is None, may_change=if_none_match is None)


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Returns whether ``If-None-Match`` names ``etag``, by weak comparison (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.removeprefix("W/")[1:-1] in _ETAG_PATTERN.findall(if_none_match)


def note_list_etag(request: Request, owner: str, if_none_match: str, *, etag: str, revision: int) -> None:
    """Notes the revision in ``if_none_match`` if it is above ``revision``: it is from before a restore.

    ``etag`` is the present one. Only a tag of the same list counts, which differs from it in the revision alone: this
    service has made it, for this owner.
    """
    digest = etag.rpartition("-")[2].removesuffix('"')
    for tag in _ETAG_PATTERN.findall(if_none_match):
        shown, _, rest = tag.partition("-")
        if rest == digest and (_read_number(shown) or 0) > revision:
            request.scope[AHEAD_KEY] = owner, int(shown)


def _read_number(text: str) -> int | None:
    """Returns the version or revision that ``text`` spells."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
    return None if number is None or number > MAX_ID else number
