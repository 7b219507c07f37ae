"""A browser with its push service: it decrypts by RFC 8291 and verifies the sender by RFC 8292."""

import json
import os
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

from app.net.web_push import decode_base64url, encode_base64url, point_of, read_public_key
from tests.receivers import Received


def hmac(key: bytes, text: bytes) -> bytes:
    digest = HMAC(key, hashes.SHA256())
    digest.update(text)
    return digest.finalize()


class Browser:
    """Holds the keys of one subscription."""

    def __init__(self, key: EllipticCurvePrivateKey | None = None, secret: bytes | None = None) -> None:
        self.key, self.secret = key or generate_private_key(SECP256R1()), secret or os.urandom(16)
        self.point = point_of(self.key.public_key())
        self.keys = {"p256dh": encode_base64url(self.point), "auth": encode_base64url(self.secret)}

    def subscription(self, server_url: str, path: str = "/push/secret") -> dict[str, Any]:
        """Returns what ``PushSubscription.toJSON()`` does."""
        return {"endpoint": server_url + path, "expirationTime": None, "keys": self.keys}

    def decrypt(self, body: bytes) -> bytes:
        """Returns the text; HKDF is written out as in RFC 8291, 3.4, not taken from the code under test."""
        salt, record, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, encrypted = body[21 : 21 + length], body[21 + length :]
        assert (length, record >= len(encrypted)) == (65, True)
        shared = self.key.exchange(ECDH(), read_public_key(encode_base64url(sender)))
        info = b"WebPush: info\0" + self.point + sender
        extracted = hmac(salt, hmac(hmac(self.secret, shared), info + b"\1"))
        key = hmac(extracted, b"Content-Encoding: aes128gcm\0\1")[:16]
        nonce = hmac(extracted, b"Content-Encoding: nonce\0\1")[:12]
        padded = AESGCM(key).decrypt(nonce, encrypted, None).rstrip(b"\0")
        assert padded[-1:] == b"\2"
        return padded[:-1]

    def read(self, call: Received) -> Any:
        """Returns the message of a request, whose encoding it checks."""
        assert call.headers["content-encoding"] == "aes128gcm"
        return json.loads(self.decrypt(call.body))


def sender_of(call: Received, origin: str) -> tuple[str, dict[str, Any]]:
    """Returns the key by which the sender of a request is known, and its claims, verified."""
    given = dict(part.strip().split("=", 1) for part in call.headers["authorization"].removeprefix("vapid ").split(","))
    claims: dict[str, Any] = jwt.decode(given["t"], read_public_key(given["k"]), ["ES256"], audience=origin)
    assert len(decode_base64url(given["k"])) == 65
    return given["k"], claims
