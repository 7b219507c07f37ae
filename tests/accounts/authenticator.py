"""A device with passkeys, in software: what navigator.credentials would return (WebAuthn, 6.1 and 6.5)."""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class SoftPasskey:
    """One passkey. Its attributes are what a hostile device or page would change."""

    def __init__(self, origin: str) -> None:
        self.origin, self.rp_id = origin, ""
        self.id = secrets.token_bytes(16)
        self.handle = b""
        self.count = 0
        self.flags = PRESENT | VERIFIED
        self.cross_origin = False
        self._key = generate_private_key(SECP256R1())

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        data = {"type": f"webauthn.{kind}", "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(data | {"crossOrigin": self.cross_origin}).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        return sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _answer(self, **response: bytes) -> dict[str, Any]:
        encoded = {name: encode(value) for name, value in response.items()}
        return {
            "id": encode(self.id), "rawId": encode(self.id), "type": "public-key", "response": encoded,
            "clientExtensionResults": {}, "authenticatorAttachment": "platform",
        }  # fmt: skip

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        self.rp_id = self.rp_id or options["rp"]["id"]
        self.handle = self.handle or decode(options["user"]["id"])
        numbers = self._key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + public
        data = self._authenticator_data(self.flags | ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(clientDataJSON=self._client_data("create", options), attestationObject=attestation)

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        client_data, data = self._client_data("get", options), self._authenticator_data(self.flags)
        signature = self._key.sign(data + sha256(client_data).digest(), ECDSA(SHA256()))
        return self._answer(
            clientDataJSON=client_data, authenticatorData=data, signature=signature, userHandle=self.handle
        )
