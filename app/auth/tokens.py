"""Who sent a request: bearer tokens in, identities out.

Two kinds of tokens, exclusive per issuer: HS256 with the secret that this service shares with a front-end, and EdDSA,
ES256 or RS256 with the published keys of one issuer. Which key may verify a token follows from its algorithm alone,
and each kind has its own rule for ``iss`` and ``aud``, so neither can pass for the other (RFC 8725, 2.1 and 3.1).
"""

import json
import re
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from jwt import PyJWK, PyJWS, PyJWTError

from app.auth.jwks import JwksCache
from app.config import MIN_SECRET_BYTES, Settings
from app.errors import TokenExpired, TokenInvalid, TokenMissing, TokenNotBearer

MAX_TOKEN = 8192  # characters; looked at before anything else
CACHE_ENTRIES = 10_000
CACHE_SECONDS = 60  # the longest that a withdrawn key still opens the door
# For clocks that disagree, on nbf and iat. None on exp: "expired" then means the same here, in the cache and at the
# front-end, which renews its tokens before that anyway.
LEEWAY = 5
MAX_INSTANT = 253_402_300_799  # the end of the year 9999: what datetime can still express

_SHARED = "HS256"
_PUBLISHED = frozenset({"EdDSA", "ES256", "RS256"})
_TYPES = frozenset({"jwt", "at+jwt"})  # RFC 7519, 5.1 and RFC 9068, 2.1
_COMPACT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}")  # RFC 7515, 7.1: signed, and without padding
MAX_SUBJECT = 255
_JWS = PyJWS(algorithms=[_SHARED, *_PUBLISHED], options={"verify_signature": True, "enforce_minimum_key_length": True})


class Identity(NamedTuple):
    """What a verified token says. ``expires_at`` is in seconds since 1970."""

    subject: str
    expires_at: int


class _Origin(NamedTuple):
    """What tokens of one kind must say about where they come from and whom they are for; None: anything."""

    issuer: str | None
    audience: str | None
    not_issuer: str | None = None


class TokenVerifier:
    """Verifies tokens, and remembers for a minute which it has verified."""

    def __init__(
        self,
        settings: Settings,
        secret: str | None,
        keys: JwksCache | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ValueError if ``secret`` is too short or is itself a key (PEM, JWK) that others may know."""
        self._secret = None if secret is None else _hmac_key(secret)
        self._keys = keys
        self._clock = clock
        self._shared, self._published = _origins(settings)
        self._verified: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def cached(self, token: str) -> Identity | None:
        """The identity of a token verified within the last minute and still valid: no await, no cryptography."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        digest = sha256(token.encode()).digest()
        entry = self._verified.get(digest)
        if entry is None:
            return None
        identity, until = entry
        if self._clock() >= until:
            del self._verified[digest]
            return None
        self._verified.move_to_end(digest)
        return identity

    async def verify(self, token: str) -> Identity:
        """Verify without looking at what is remembered; waits only if the issuer's keys must be fetched.

        Raises TokenExpired for a token in which nothing else is wrong, TokenInvalid for all other reasons alike, and
        KeysUnavailable if the issuer cannot be asked.
        """
        if len(token) > MAX_TOKEN or _COMPACT.fullmatch(token) is None:
            raise TokenInvalid
        algorithm, kid = _read_header(token)
        try:
            payload = _JWS.decode(token, await self._key(algorithm, kid), algorithms=[algorithm])
        except PyJWTError as error:
            raise TokenInvalid from error
        claims = _json_object(payload)
        _check_origin(claims, self._shared if algorithm == _SHARED else self._published)
        now = self._clock()
        identity = _identify(claims, now)
        self._remember(token, identity, now)
        return identity

    def sign(self, subject: str, *, ttl: int) -> str:
        """An HS256 token for ``subject`` that this service accepts for ``ttl`` seconds. Raises ValueError."""
        if self._secret is None:
            raise ValueError("there is no shared secret to sign with: set JWT_SECRET")
        if not _is_subject(subject):
            raise ValueError("a subject has 1 to 255 characters, all of them printable")
        now = int(self._clock())
        claims: dict[str, object] = {"sub": subject, "iat": now, "exp": now + ttl}
        if self._shared.issuer:
            claims["iss"] = self._shared.issuer
        if self._shared.audience:
            claims["aud"] = self._shared.audience
        return _JWS.encode(json.dumps(claims, separators=(",", ":")).encode(), self._secret, _SHARED)

    async def _key(self, algorithm: str, kid: str | None) -> str | PyJWK:
        if algorithm == _SHARED and self._secret is not None:
            return self._secret
        if algorithm in _PUBLISHED and self._keys is not None:
            key = await self._keys.find(kid)
            if key is not None:
                return key
        raise TokenInvalid

    def _remember(self, token: str, identity: Identity, now: float) -> None:
        # By hash: who reads this process's memory or a dump of it finds no tokens here.
        self._verified[sha256(token.encode()).digest()] = identity, min(identity.expires_at, now + CACHE_SECONDS)
        if len(self._verified) > CACHE_ENTRIES:
            self._verified.popitem(last=False)


def bearer_token(header: str | None) -> str:
    """The token in an Authorization header (RFC 6750, 2.1). Raises TokenMissing or TokenNotBearer."""
    if header is None or not header.strip():
        raise TokenMissing
    scheme, _, token = header.strip(" ").partition(" ")
    token = token.lstrip(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise TokenNotBearer
    return token


def _hmac_key(secret: str) -> str:
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"the shared secret must be at least {MIN_SECRET_BYTES} bytes")
    try:
        _JWS.get_algorithm_by_name(_SHARED).prepare_key(secret)
    except PyJWTError as error:
        raise ValueError(f"the shared secret cannot be used: {error}") from error
    return secret


def _origins(settings: Settings) -> tuple[_Origin, _Origin]:
    """What is asked of tokens signed with the shared secret, and of those signed with published keys.

    JWT_ISSUER and JWT_AUDIENCE speak of the published keys where there are any. Front-ends that sign with the shared
    secret then write whatever they like, except the name of the issuer that has keys of its own.
    """
    if not (settings.jwks_url or settings.better_auth_url):
        shared = _Origin(settings.jwt_issuer, settings.jwt_audience)
        return shared, shared
    base = (settings.better_auth_url or "").rstrip("/")  # Better Auth writes its base URL without the slash
    issuer = settings.jwt_issuer or base
    return _Origin(None, None, not_issuer=issuer), _Origin(issuer, settings.jwt_audience or base or issuer)


def _read_header(token: str) -> tuple[str, str | None]:
    """Algorithm and key name. Keys that a token brings or points to (jwk, jku, x5c, x5u) are never looked at."""
    segment = token[: token.index(".")]
    try:
        header = _json_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError as error:
        raise TokenInvalid from error
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(kind, str) or not (kid is None or isinstance(kid, str)):
        raise TokenInvalid
    if kind.lower().removeprefix("application/") not in _TYPES:  # RFC 8725, 3.11: other kinds of JWT stay outside
        raise TokenInvalid
    if "crit" in header or "b64" in header:  # RFC 7515, 4.1.11: no extension is understood here
        raise TokenInvalid
    return algorithm, kid


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise TokenInvalid from error
    if not isinstance(value, dict):
        raise TokenInvalid
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519, 4: names are unique. Two readers of a token must not see two different subjects."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate name")
    return members


def _check_origin(claims: dict[str, Any], origin: _Origin) -> None:
    issuer, audience = claims.get("iss"), claims.get("aud", [])
    audiences = [audience] if isinstance(audience, str) else audience
    if not (issuer is None or isinstance(issuer, str)) or not isinstance(audiences, list):
        raise TokenInvalid
    if origin.issuer is not None and issuer != origin.issuer:
        raise TokenInvalid
    if issuer and origin.not_issuer and issuer.rstrip("/") == origin.not_issuer.rstrip("/"):
        raise TokenInvalid
    if origin.audience is not None and origin.audience not in audiences:
        raise TokenInvalid


def _identify(claims: dict[str, Any], now: float) -> Identity:
    subject, expires_at = claims.get("sub"), _instant(claims, "exp")
    if not isinstance(subject, str) or not _is_subject(subject) or expires_at is None:
        raise TokenInvalid
    if any((_instant(claims, name) or 0) > now + LEEWAY for name in ("nbf", "iat")):
        raise TokenInvalid
    if expires_at <= now:
        raise TokenExpired
    return Identity(subject, expires_at)


def _is_subject(text: str) -> bool:
    """What ``app.db.session`` accepts as an owner: nothing invisible, no control characters, no lone surrogates."""
    return 0 < len(text) <= MAX_SUBJECT and text.isprintable()


def _instant(claims: dict[str, Any], name: str) -> int | None:
    """Whole seconds since 1970. Fractions, strings and booleans are refused rather than guessed at."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int or not 0 <= value <= MAX_INSTANT:
        raise TokenInvalid
    return value
