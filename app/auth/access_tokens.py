"""Access tokens that this service issues itself (RFC 9068), and the keys to verify them."""

import json
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import digest
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt import PyJWS

from app.auth.claims import check_audience
from app.auth.signing_keys import load_secret, load_signing_key
from app.config import Settings
from app.errors import RefusalReason, TokenInvalid

ACCESS_TOKEN_TYPE = "at+jwt"
DEFAULT_ISSUER = "urn:todo"
_JWS_SIGNER = PyJWS()


class TokenHeader(NamedTuple):
    """The header of a token: how it was signed, and its kind."""

    algorithm: str
    kid: str | None
    kind: str


class Grant(NamedTuple):
    """The access that a user has allowed an app: ``scope`` is read or write, ``resource`` what its tokens are for."""

    client_id: str
    client_name: str
    scope: str
    resource: str


class SignedSession(NamedTuple):
    """The session of an access token, and the grant if it is one."""

    session_id: str
    grant: Grant | None


class TokenIssuer:
    """Signs access tokens, and recognises its own by ``iss``, ``aud``, ``typ`` and key."""

    def __init__(self, issuer: str, key: str | Ed25519PrivateKey) -> None:
        """Takes a shared HS256 secret as text, or a private key, which signs with EdDSA; ``jwks`` publishes it."""
        self.issuer = issuer
        self._key = key
        if isinstance(key, str):
            self.algorithm, self.kid, self.public_key = "HS256", None, None
            material = key.encode()
        else:
            self.algorithm, self.public_key = "EdDSA", key.public_key()
            self._x = _base64(self.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw))
            self.kid = _thumbprint(self._x)
            material = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        self.refresh_key = digest(material, b"todo refresh tokens", "sha256")

    @classmethod
    def from_settings(cls, settings: Settings) -> "TokenIssuer | None":
        """Returns None if there is no key to sign with. Raises SecretError and OSError."""
        key = load_signing_key(settings) if settings.token_algorithm == "EdDSA" else load_secret(settings)
        return None if key is None else cls(settings.public_url or DEFAULT_ISSUER, key)

    def sign(self, subject: str, session_id: str, *, now: int, ttl: int, grant: Grant | None = None) -> str:
        """Returns an access token of one session, valid for ``ttl`` seconds; of a login unless there is a ``grant``."""
        claims = {
            "iss": self.issuer,
            "aud": self.issuer if grant is None else grant.resource,
            "sub": subject,
            "sid": session_id,
            "iat": now,
            "exp": now + ttl,
            "jti": secrets.token_hex(16),
        }
        if grant is not None:
            claims |= {"client_id": grant.client_id, "client_name": grant.client_name, "scope": grant.scope}
        headers = {"typ": ACCESS_TOKEN_TYPE} if self.kid is None else {"typ": ACCESS_TOKEN_TYPE, "kid": self.kid}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return _JWS_SIGNER.encode(payload, self._key, self.algorithm, headers=headers)

    def check(self, signed: TokenHeader, claims: dict[str, Any]) -> SignedSession:
        """Checks a token that names this service as its issuer; returns its session. Raises TokenInvalid.

        A login's is for the issuer, a grant's for the resource that it names, which the route must check.

        Tokens that this service signs for another purpose, or another issuer signs in its name, differ by ``typ`` and
        by the claims that only an access token has (RFC 8725, 3.11 and 3.12).
        """
        session_id, token_id = claims.get("sid"), claims.get("jti")
        if (signed.algorithm, signed.kid, claims.get("iss")) != (self.algorithm, self.kid, self.issuer):
            raise TokenInvalid(reason=RefusalReason.OWN_KEY_CHANGED, details={"expected_alg": self.algorithm})
        if signed.kind != ACCESS_TOKEN_TYPE:
            raise TokenInvalid(reason=RefusalReason.TYP_NOT_ACCEPTED, details={"typ": signed.kind})
        if not isinstance(session_id, str) or not session_id or not isinstance(token_id, str):
            raise TokenInvalid(reason=RefusalReason.NOT_AN_ACCESS_TOKEN, details={"claim": "sid"})
        if "client_id" not in claims:
            check_audience(claims, self.issuer)
            return SignedSession(session_id, None)
        named = [claims.get(name) for name in ("client_id", "client_name", "scope", "aud")]
        texts = [value for value in named if isinstance(value, str) and value]
        if len(texts) < len(named) or claims["scope"] not in {"read", "write"}:
            raise TokenInvalid(reason=RefusalReason.NOT_AN_ACCESS_TOKEN, details={"claim": "client_id"})
        return SignedSession(session_id, Grant(*texts))

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Returns the body of ``/.well-known/jwks.json``; no keys if a shared secret signs."""
        if self.kid is None:
            return {"keys": []}
        key = {"kty": "OKP", "crv": "Ed25519", "x": self._x, "kid": self.kid, "alg": "EdDSA", "use": "sig"}
        return {"keys": [key]}


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _thumbprint(x: str) -> str:
    """Computes the key id by RFC 7638 and RFC 8037, 2: required members only, sorted, without white space."""
    return _base64(
        sha256(json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":")).encode()).digest()
    )
