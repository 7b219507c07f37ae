"""Rules of OpenID Connect: the claims of an ID token, and where a browser goes after a sign-in."""

import re
from collections.abc import Iterable
from typing import Any, TypeGuard
from urllib.parse import urlsplit

ID_TOKEN_LEEWAY = 60  # seconds by which the clocks of provider and service may differ
SUBJECT_MAX = 255  # OpenID Connect Core, 2
NEXT_URL_MAX = 8_000
_NEXT_TEXT = re.compile(r"[!-~]+")  # printable ASCII


def find_id_token_problem(claims: dict[str, Any], *, issuer: str, client_id: str, nonce: str, now: float) -> str:
    """Returns what is wrong with the claims of an ID token (OpenID Connect Core, 3.1.3.7); empty for nothing."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if claims.get("iss") != issuer:
        return "iss"
    if not isinstance(audiences, list) or client_id not in audiences:
        return "aud"
    if claims.get("azp", client_id if len(audiences) == 1 else None) != client_id:
        return "azp"
    if not nonce or claims.get("nonce") != nonce:
        return "nonce"
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_MAX or not subject.isprintable():
        return "sub"
    return _find_time_problem(claims, now)


def _find_time_problem(claims: dict[str, Any], now: float) -> str:
    expires, issued, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not _is_instant(expires) or expires <= now - ID_TOKEN_LEEWAY:
        return "exp"
    if not _is_instant(issued) or issued > now + ID_TOKEN_LEEWAY:
        return "iat"
    return "" if _is_instant(begins) and begins <= now + ID_TOKEN_LEEWAY else "nbf"


def _is_instant(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53


def is_allowed_domain(email: str, domains: Iterable[str]) -> bool:
    """Returns whether ``email`` is of one of the ``domains``, or there are none. A subdomain is another domain."""
    allowed = set(domains)
    return not allowed or email.rpartition("@")[2].lower() in allowed


def is_same_mailbox(email: str, other: str) -> bool:
    """Returns whether two e-mails with one key are of the same mailbox: apart from case, letter by letter before the @.

    Wide letters and the sign of Kelvin have the key of a plain letter, but may have a mailbox of their own.
    """
    names = [text.strip().rpartition("@")[0].encode().lower() for text in (email, other)]
    return names[0] == names[1]


def is_next_url(url: str, prefix: str, origins: Iterable[str]) -> bool:
    """Returns whether a browser may be sent to ``url``: a path below ``prefix``, or a page of one of ``origins``.

    Browsers take a backslash for a slash, and ``//host`` for another host.
    """
    if len(url) > NEXT_URL_MAX or _NEXT_TEXT.fullmatch(url) is None or "\\" in url or "#" in url:
        return False
    path = url.partition("?")[0]
    if {".", ".."} & set(path.lower().replace("%2e", ".").split("/")):
        return False
    if url.startswith("/"):
        return not url.startswith("//") and (path == prefix or path.startswith(f"{prefix}/"))
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and f"{parts.scheme}://{parts.netloc}" in set(origins)
