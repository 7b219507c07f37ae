"""Rules of OAuth 2.1: redirect URIs, scopes, PKCE, and the URLs of resources."""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import SplitResult, urlsplit

REDIRECT_MAX, REDIRECTS_MAX = 2_000, 20  # characters of one; of one client
# Printable ASCII without what ends a header, an attribute or a URL (RFC 3986, 2).
_URI_TEXT = re.compile(r"[!#-;=?-\[\]_a-z~]+")
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
# Schemes that browsers or systems themselves handle: as the target of a redirect they run code, read files or lead to a
# server without TLS.
_UNSAFE_SCHEMES = frozenset(
    {
        "about", "android-app", "blob", "chrome", "chrome-extension", "data", "devtools", "feed", "file", "filesystem",
        "ftp", "intent", "itms-services", "jar", "javascript", "ldap", "livescript", "mailto", "mhtml", "mocha",
        "moz-extension", "ms-appx", "ms-msdt", "ms-officecmd", "resource", "search", "search-ms", "shell", "smb", "sms",
        "ssh", "tel", "telnet", "urn", "vbscript", "view-source", "ws", "wss",
    }
)  # fmt: skip
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_CHALLENGE_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256
_VERIFIER_PATTERN = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, 4.1
KNOWN_SCOPES = ("read", "write")


def split_url(url: str) -> SplitResult | None:
    """Returns the parts of an absolute URL in plain ASCII; None for other text."""
    if len(url) > REDIRECT_MAX or _URI_TEXT.fullmatch(url) is None:
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        return None
    return parts if parts.scheme else None


def is_loopback(parts: SplitResult) -> bool:
    """Returns whether an http URL leads to a program on the user's own machine."""
    return parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES


def is_redirect_uri(uri: str) -> bool:
    """Returns whether an application may register ``uri``.

    It leads to a site by https, to the user's own machine by http, or to an app by a scheme of its own (RFC 8252, 7).
    """
    parts = split_url(uri)
    if parts is None or "#" in uri or "\\" in uri or {"@", "%"} & set(parts.netloc):  # the user reads the host
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    return is_loopback(parts) if parts.scheme == "http" else _is_app_scheme(parts.scheme)


def _is_app_scheme(scheme: str) -> bool:
    return _APP_SCHEME.fullmatch(scheme) is not None and scheme not in _UNSAFE_SCHEMES


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Returns whether ``uri`` is one of ``registered``, letter by letter (RFC 9700, 2.1).

    On the user's own machine any port is the same: the system assigns it when the app listens (RFC 8252, 7.3).
    """
    if not is_redirect_uri(uri):
        return False
    return any(uri == known or _is_same_without_port(uri, known) for known in registered)


def _is_same_without_port(uri: str, known: str) -> bool:
    parts, others = split_url(uri), split_url(known)
    if parts is None or others is None or not is_loopback(parts) or not is_loopback(others):
        return False
    return (parts.hostname, parts.path or "/", parts.query) == (others.hostname, others.path or "/", others.query)


def is_client_url(client_id: str) -> bool:
    """Returns whether a client id is the URL of its metadata: https, with a path, and nothing hidden in it."""
    parts = split_url(client_id)
    if parts is None or parts.scheme != "https" or not parts.hostname or "#" in client_id or "\\" in client_id:
        return False
    segments = parts.path.split("/")
    return parts.path not in {"", "/"} and "@" not in parts.netloc and not {".", ".."} & set(segments)


def client_host(client_id: str) -> str:
    """Returns the host that publishes the metadata of a client; empty for one that registered itself."""
    parts = split_url(client_id) if is_client_url(client_id) else None
    return (parts.hostname or "") if parts else ""


def narrow_scope(wanted: str | None) -> str | None:
    """Returns read or write for the scopes that were asked for, write if none were; None if an unknown one is named."""
    names = set((wanted or "").split())
    if not names <= set(KNOWN_SCOPES):
        return None
    return "read" if names == {"read"} else "write"


def scope_text(scope: str) -> str:
    """Returns a scope as clients see it: those who may write may also read."""
    return "read" if scope == "read" else "read write"


def is_challenge(text: str) -> bool:
    """Returns whether ``text`` can be a code challenge of the method S256."""
    return _CHALLENGE_PATTERN.fullmatch(text) is not None


def proves_challenge(verifier: str, challenge: str) -> bool:
    """Returns whether ``verifier`` is the secret behind a code challenge (RFC 7636, 4.6)."""
    if _VERIFIER_PATTERN.fullmatch(verifier) is None:
        return False
    made = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


def plain_resource(url: str) -> str:
    """Returns the URL of a resource for comparisons: clients send it as a person typed it (RFC 3986, 6.2)."""
    parts = split_url(url)
    if parts is None or parts.query or "#" in url:
        return ""
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "\0")
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}{parts.path.rstrip('/')}"
