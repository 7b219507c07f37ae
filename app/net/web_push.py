"""Web Push: messages encrypted for one browser (RFC 8291), and the identification of this service (RFC 8292)."""

import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES = 4096  # RFC 8030, 7.2: what every push service takes
SALT_BYTES, TAG_BYTES, POINT_BYTES = 16, 16, 65
# Of what is encrypted: without the header of RFC 8188, the tag and the delimiter.
PLAIN_TEXT_MAX = RECORD_BYTES - SALT_BYTES - 4 - 1 - POINT_BYTES - TAG_BYTES - 1
TOKEN_SECONDS = 12 * 3600  # at most 24 hours: RFC 8292, 2


def decode_base64url(value: str) -> bytes:
    """Decodes with or without padding. Raises ValueError."""
    bare = value.rstrip("=")
    return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def encode_base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def read_public_key(text: str) -> EllipticCurvePublicKey:
    """Returns the public key of a browser. Raises ValueError."""
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), decode_base64url(text))


def origin_of(endpoint: str) -> str:
    """Returns the push service of a subscription, as the claim ``aud`` names it (RFC 8292, 2)."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}".lower()


def point_of(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encrypt_message(
    text: bytes,
    keys: Mapping[str, str],
    *,
    salt: bytes | None = None,
    private_key: EllipticCurvePrivateKey | None = None,
) -> bytes:
    """Encrypts for the browser with ``keys``, as aes128gcm. ``salt`` and ``private_key`` are for one message only.

    Raises ValueError for more than PLAIN_TEXT_MAX bytes.
    """
    if len(text) > PLAIN_TEXT_MAX:
        raise ValueError(f"a message has at most {PLAIN_TEXT_MAX} bytes")
    salt = salt or os.urandom(SALT_BYTES)
    own = private_key or generate_private_key(SECP256R1())
    browser = read_public_key(keys["p256dh"])
    own_point, their_point = point_of(own.public_key()), point_of(browser)
    shared = own.exchange(ECDH(), browser)
    info = b"WebPush: info\0" + their_point + own_point
    secret = _derive(shared, salt=decode_base64url(keys["auth"]), info=info, length=32)
    key = _derive(secret, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
    nonce = _derive(secret, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    head = salt + RECORD_BYTES.to_bytes(4) + bytes([POINT_BYTES]) + own_point
    return head + AESGCM(key).encrypt(nonce, text + b"\x02", None)


def _derive(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def authorize_push(key: EllipticCurvePrivateKey, origin: str, subject: str) -> str:
    """Returns the header Authorization of a request to ``origin``; ``subject`` is where its operator reaches ours."""
    claims: dict[str, object] = {"aud": origin, "exp": int(time.time()) + TOKEN_SECONDS}
    if subject:
        claims["sub"] = subject
    token = jwt.encode(claims, key, algorithm="ES256")
    return f"vapid t={token}, k={encode_base64url(point_of(key.public_key()))}"
