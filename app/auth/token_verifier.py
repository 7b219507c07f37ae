"""Verification of bearer tokens: the identity of a request.

Three kinds of tokens, exclusive per issuer: this service's own (``app.auth.access_tokens``), HS256 with the secret that
it shares with a front-end, and those signed with the published keys of one issuer (``app.auth.published_keys``). The
key that verifies a token follows from its algorithm and key name alone, and each kind has its own rule for ``iss`` and
``aud``, so no kind is accepted as another (RFC 8725, 2.1 and 3.1).
"""

import json
import re
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from jwt import PyJWS, PyJWTError
from jwt.algorithms import OKPAlgorithm

from app.auth.access_tokens import SignedSession, TokenHeader, TokenIssuer
from app.auth.claims import (
    Identity,
    check_kind,
    check_origin,
    is_subject,
    json_object,
    limit_identity,
    read_identity,
    token_origins,
)
from app.auth.jwks import JwksCache
from app.auth.published_keys import PUBLISHED_ALGORITHMS
from app.config import MIN_SECRET_BYTES, Settings
from app.errors import AppError, RefusalReason, TokenInvalid, TokenMissing, TokenNotBearer

MAX_TOKEN = 8192  # characters; checked before anything else
CACHE_ENTRIES = 10_000
CACHE_SECONDS = 60  # the longest that a token is accepted after its key was withdrawn

_SHARED_ALGORITHM = "HS256"
_ACCEPTED_TYPES = frozenset({"jwt", "at+jwt"})  # RFC 7519, 5.1 and RFC 9068, 2.1
_COMPACT_JWE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){3}")  # RFC 7516, 7.1
_COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}")  # RFC 7515, 7.1: signed, and without padding
JWS_VERIFIER = PyJWS(
    algorithms=[_SHARED_ALGORITHM, *PUBLISHED_ALGORITHMS],
    options={"verify_signature": True, "enforce_minimum_key_length": True},
)
for _name in ("Ed25519", "Ed448"):  # RFC 9864; the library knows only their older name
    JWS_VERIFIER.register_algorithm(_name, OKPAlgorithm())


class TokenVerifier:
    """Verifies tokens, and caches identities of verified ones for a minute."""

    def __init__(
        self,
        settings: Settings,
        secret: str | None,
        keys: JwksCache | None = None,
        *,
        token_issuer: TokenIssuer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises ValueError if ``secret`` is too short or is a key in PEM or JWK, which may be public."""
        self._secret = None if secret is None else _hmac_key(secret)
        self._keys = keys
        self._token_issuer = token_issuer
        self._clock = clock
        self._shared, self._published = token_origins(settings)
        self._verified: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def cached(self, token: str) -> Identity | None:
        """Returns the identity of a token verified in the last minute and still valid: no await, no cryptography."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        digest = sha256(token.encode()).digest()
        entry = self._verified.get(digest)
        if entry is None:
            return None
        identity, until = entry
        if not until - CACHE_SECONDS <= self._clock() < until:  # earlier: the clock was set back
            del self._verified[digest]
            return None
        self._verified.move_to_end(digest)
        return identity

    async def verify(self, token: str) -> Identity:
        """Verifies without reading the cache; waits only if the issuer's keys must be fetched.

        Raises TokenExpired for a token that is otherwise valid, TokenInvalid for any other cause, and KeysUnavailable
        if the issuer's keys cannot be fetched, each with its RefusalReason and a description of the token for the log.
        """
        check_form(token)
        try:
            return await self._verify(token)
        except AppError as error:
            error.details = describe_token(token) | error.details
            raise

    async def _verify(self, token: str) -> Identity:
        signed = _read_header(token)
        key = await self._key(signed.algorithm, signed.kid)
        try:
            payload = JWS_VERIFIER.decode(token, key, algorithms=[signed.algorithm])
        except PyJWTError as error:
            raise TokenInvalid(reason=RefusalReason.SIGNATURE_INVALID) from error
        claims = json_object(payload, RefusalReason.CLAIMS_UNREADABLE)
        signed_session, resource = None, ""
        if self._token_issuer is not None and (
            claims.get("iss") == self._token_issuer.issuer or key is self._token_issuer.public_key
        ):
            signed_session = self._token_issuer.check(signed, claims)
        else:
            resource = check_origin(claims, self._shared if signed.algorithm == _SHARED_ALGORITHM else self._published)
            check_kind(claims)
        now = self._clock()
        identity = read_identity(claims, now)
        if signed_session is not None:
            identity = _identify_session(identity, signed_session)
        elif resource:
            identity = limit_identity(identity, claims, resource)
        self._remember(token, identity, now)
        return identity

    def sign(self, subject: str, *, ttl: int) -> str:
        """Returns an HS256 token for ``subject`` that this service accepts for ``ttl`` seconds. Raises ValueError."""
        if self._secret is None:
            raise ValueError("there is no shared secret to sign with: set JWT_SECRET")
        if not is_subject(subject):
            raise ValueError("a subject has 1 to 255 characters, all of them printable, and no space around them")
        now = int(self._clock())
        claims: dict[str, object] = {"sub": subject, "iat": now, "exp": now + ttl}
        if self._shared.issuer:
            claims["iss"] = self._shared.issuer
        if self._shared.audience:
            claims["aud"] = self._shared.audience
        return JWS_VERIFIER.encode(json.dumps(claims, separators=(",", ":")).encode(), self._secret, _SHARED_ALGORITHM)

    async def _key(self, algorithm: str, kid: str | None) -> Any:
        issuer = self._token_issuer
        if issuer is not None and issuer.public_key is not None and (algorithm, kid) == (issuer.algorithm, issuer.kid):
            return issuer.public_key
        if algorithm == _SHARED_ALGORITHM:
            if self._secret is None:
                raise TokenInvalid(reason=RefusalReason.NO_SHARED_SECRET)
            return self._secret
        if algorithm not in PUBLISHED_ALGORITHMS:
            raise TokenInvalid(reason=RefusalReason.ALG_NOT_ACCEPTED)
        if self._keys is None:
            raise TokenInvalid(reason=RefusalReason.NO_KEY_SET)
        found = await self._keys.find(kid)
        if found is None:
            raise TokenInvalid(reason=RefusalReason.KID_MISSING if kid is None else RefusalReason.KID_UNKNOWN)
        if algorithm not in found.algorithms:
            details = {"expected_alg": found.algorithms[0]}
            raise TokenInvalid(reason=RefusalReason.ALG_NOT_OF_KEY, details=details)
        return found.key

    def _remember(self, token: str, identity: Identity, now: float) -> None:
        # By hash, so that a dump of this process's memory has no tokens here.
        self._verified[sha256(token.encode()).digest()] = identity, min(identity.expires_at, now + CACHE_SECONDS)
        if len(self._verified) > CACHE_ENTRIES:
            self._verified.popitem(last=False)


def _identify_session(identity: Identity, signed: SignedSession) -> Identity:
    identity = identity._replace(session_id=signed.session_id)
    if (grant := signed.grant) is None:
        return identity
    return identity._replace(
        scope=grant.scope, client=grant.client_name, client_id=grant.client_id, audience=grant.resource
    )


def bearer_token(header: str | None) -> str:
    """Extracts the token of an Authorization header (RFC 6750, 2.1). Raises TokenMissing or TokenNotBearer."""
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
        JWS_VERIFIER.get_algorithm_by_name(_SHARED_ALGORITHM).prepare_key(secret)
    except PyJWTError as error:
        raise ValueError(f"the shared secret cannot be used: {error}") from error
    return secret


def check_form(token: str) -> None:
    """Checks that the token is a signed JWT of acceptable length. Raises TokenInvalid."""
    if len(token) > MAX_TOKEN:
        raise TokenInvalid(reason=RefusalReason.TOKEN_TOO_LONG, details={"length": len(token)})
    if _COMPACT_JWS.fullmatch(token) is None:
        reason = RefusalReason.ENCRYPTED_JWT if _COMPACT_JWE.fullmatch(token) else RefusalReason.NOT_A_JWT
        raise TokenInvalid(reason=reason)


def describe_token(token: str) -> dict[str, object]:
    """Returns what a log line may have of a refused JWT: alg, kid, iss and aud, which anybody may have written.

    Never the token, its signature or what it says about the user.
    """
    header, claims = (_peek(part) for part in token.split(".")[:2])
    return {"iss": claims.get("iss"), "aud": claims.get("aud"), "alg": header.get("alg"), "kid": header.get("kid")}


def _peek(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(segment))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _decode(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _read_header(token: str) -> TokenHeader:
    """Reads algorithm, key name and kind. Ignores keys that a token contains or points to (jwk, jku, x5c, x5u)."""
    try:
        header = json_object(_decode(token[: token.index(".")]), RefusalReason.HEADER_UNREADABLE)
    except ValueError as error:
        raise TokenInvalid(reason=RefusalReason.HEADER_UNREADABLE) from error
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(kind, str) or not (kid is None or isinstance(kid, str)):
        raise TokenInvalid(reason=RefusalReason.HEADER_UNREADABLE)
    kind = kind.lower().removeprefix("application/")
    if kind not in _ACCEPTED_TYPES:  # RFC 8725, 3.11: other kinds of JWT are refused
        raise TokenInvalid(reason=RefusalReason.TYP_NOT_ACCEPTED, details={"typ": kind})
    if "crit" in header or "b64" in header:  # RFC 7515, 4.1.11: no extension is supported
        raise TokenInvalid(reason=RefusalReason.CRIT_NOT_SUPPORTED)
    return TokenHeader(algorithm, kid, kind)
