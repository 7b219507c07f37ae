"""Every algorithm that an issuer may sign with, with real keys of a real key set, and no other.

Better Auth's jwt plugin can be set to EdDSA (Ed25519, in earlier versions also Ed448), ES256, ES512, PS256 and RS256.
RFC 9864 names Ed25519 and Ed448 in place of EdDSA.
"""

import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from app.auth.jwks import JwksCache
from app.auth.published_keys import KEY_ALGORITHMS, PUBLISHED_ALGORITHMS
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.main import create_app
from tests.auth.test_jwks import Issuer, issuer  # noqa: F401 - the fixture
from tests.support import SECRET

ISSUER_NAME = "https://issuer.test"
PRIVATE_KEYS: dict[str, Any] = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def public_jwk(name: str) -> dict[str, Any]:
    key = PRIVATE_KEYS[name].public_key()
    kind: Any = {"E": OKPAlgorithm, "P": ECAlgorithm, "R": RSAAlgorithm}[name[0]]
    found: dict[str, Any] = kind.to_jwk(key, as_dict=True)
    found.pop("key_ops", None)
    return found


def sign(name: str, alg: str, message: bytes) -> bytes:
    """Signs as ``alg`` says with the key called ``name``, by hand."""
    key = PRIVATE_KEYS[name]
    if name == "RSA":
        how = HASHES[alg[2:]]
        pss = padding.PSS(mgf=padding.MGF1(how), salt_length=how.digest_size)
        return bytes(key.sign(message, pss if alg.startswith("PS") else padding.PKCS1v15(), how))
    if name.startswith("P-"):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(HASHES[alg[2:]])))
        size = (key.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return bytes(key.sign(message))


def hmac_of(key: bytes, digest: str, message: bytes) -> bytes:
    return hmac.digest(key, message, digest)


def make(name: str, alg: str, kid: str, signer: Callable[[bytes], bytes] | None = None) -> str:
    now = int(time.time())
    claims = {"sub": "ann", "iss": ISSUER_NAME, "aud": ISSUER_NAME, "iat": now, "exp": now + 900}
    parts = [json.dumps(part).encode() for part in ({"alg": alg, "kid": kid}, claims)]
    message = b".".join(base64url_encode(part) for part in parts)
    signature = signer(message) if signer else sign(name, alg, message)
    return (message + b"." + base64url_encode(signature)).decode()


EDWARDS = ("EdDSA", "Ed25519"), ("EdDSA", "Ed448")
ACCEPTED = [  # key, its alg in the key set, alg of the token
    *(("Ed25519", named, alg) for named in (None, *EDWARDS[0]) for alg in EDWARDS[0]),
    *(("Ed448", named, alg) for named in (None, *EDWARDS[1]) for alg in EDWARDS[1]),
    *((curve, named, alg) for curve, alg in (("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512"))
      for named in (None, alg)),
    *(("RSA", alg, alg) for alg in KEY_ALGORITHMS["RSA", None]),
    ("RSA", None, "RS256"),
]  # fmt: skip
REFUSED = [  # with a signature that is right by itself
    ("RSA", None, "PS256", "alg_not_of_key"),
    ("RSA", "PS256", "RS256", "alg_not_of_key"),
    ("RSA", "RS256", "RS512", "alg_not_of_key"),
    ("Ed25519", None, "Ed448", "alg_not_of_key"),
    ("Ed448", "EdDSA", "Ed25519", "alg_not_of_key"),
    ("Ed25519", "EdDSA", "ES256K", "alg_not_accepted"),
    ("Ed25519", None, "ESP256", "alg_not_accepted"),
    ("Ed25519", None, "ML-DSA-44", "alg_not_accepted"),
    ("Ed25519", None, "eddsa", "alg_not_accepted"),
    ("P-521", None, "ES521", "alg_not_accepted"),
    ("P-256", "ES384", "ES256", "kid_unknown"),  # a key that contradicts itself is not used
    ("RSA", "EdDSA", "RS256", "kid_unknown"),  # Better Auth publishes old keys with the algorithm of new ones
]


@pytest.fixture
async def ask(
    app: FastAPI,
    settings: Settings,
    issuer: Issuer,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[..., Any]]:
    """Returns a function that publishes a key and sends a token to an application that trusts the key set."""
    monkeypatch.setenv("NO_PROXY", "*")
    trusting = settings.model_copy(update={"jwks_url": issuer.url, "jwt_issuer": ISSUER_NAME})
    own = create_app(trusting)
    own.state.database, own.state.auth = app.state.database, app.state.auth
    async with JwksCache(issuer.url, min_interval=0) as cache:
        own.state.verifier = TokenVerifier(trusting, SECRET, cache)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(own), base_url="http://test") as client:

            async def send(name: str, named: str | None, alg: str, **options: Any) -> httpx.Response:
                issuer.keys = [{**public_jwk(name), "kid": "k", **({"alg": named} if named else {})}]
                await cache.refresh()
                token = make(name, alg, "k", **options)
                return await client.get("/api/me/tasks", headers={"Authorization": f"Bearer {token}"})

            yield send


@pytest.mark.parametrize(("name", "named", "alg"), ACCEPTED)
async def test_a_token_of_the_keys_algorithm_is_accepted(
    ask: Callable[..., Any], name: str, named: str | None, alg: str
) -> None:
    answer = await ask(name, named, alg)
    assert answer.status_code == 200, answer.text


def test_every_algorithm_is_tried() -> None:
    assert {alg for _, _, alg in ACCEPTED} == PUBLISHED_ALGORITHMS


@pytest.mark.parametrize(("name", "named", "alg", "reason"), REFUSED)
async def test_a_token_of_another_algorithm_is_refused_with_the_reason(
    ask: Callable[..., Any], caplog: pytest.LogCaptureFixture, name: str, named: str | None, alg: str, reason: str
) -> None:
    caplog.set_level(logging.INFO)
    right = named if named in ("ES256", "ES384", "ES512") and name.startswith("P-") else "ES512"
    signed_as = alg if name == "RSA" else right
    answer = await ask(name, named, alg, signer=lambda message: sign(name, signed_as, message))
    assert answer.status_code == 401
    (line,) = [record for record in caplog.records if record.message == "request_refused"]
    assert (line.reason, line.alg, line.kid) == (reason, alg, "k")  # type: ignore[attr-defined]


async def test_no_public_key_is_a_shared_secret(ask: Callable[..., Any]) -> None:
    """RFC 8725, 2.1: an attacker signs with HMAC and the published key."""
    for name, key in PRIVATE_KEYS.items():
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for alg, size in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512"), ("none", "sha256")):
            answer = await ask(name, None, alg, signer=partial(hmac_of, pem, size))
            assert answer.status_code == 401
