"""The tokens that the verifier accepts, and those that it refuses."""

import hmac
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from app.auth import token_verifier
from app.auth.claims import Identity
from app.auth.jwks import JwksCache
from app.auth.token_verifier import CACHE_SECONDS, MAX_TOKEN, TokenVerifier, bearer_token
from app.config import Settings
from app.errors import KeysUnavailable, TokenExpired, TokenInvalid, TokenMissing, TokenNotBearer
from tests.receivers import served

NOW = 1_800_000_000
ISSUER = "https://app.example"
SECRET = "a shared secret of forty characters, yes!"
DROP = object()

ED, STRANGER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED_JWK: dict[str, Any] = OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True)
JWKS = {
    "keys": [
        {**ED_JWK, "kid": "ed"},
        {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"},
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa"},
        {"kty": "oct", "k": base64url_encode(b"k" * 32).decode(), "kid": "oct"},
    ]
}


def sign_ec(message: bytes) -> bytes:
    r, s = decode_dss_signature(EC.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def mac(secret: str | bytes, digest: str = "sha256") -> Callable[[bytes], bytes]:
    key = secret if isinstance(secret, bytes) else secret.encode()
    return lambda message: hmac.digest(key, message, digest)


def sign_rsa(message: bytes) -> bytes:
    return RSA.sign(message, padding.PKCS1v15(), hashes.SHA256())


SIGNERS: dict[str, Callable[[bytes], bytes]] = {
    "HS256": mac(SECRET),
    "EdDSA": ED.sign,
    "ES256": sign_ec,
    "RS256": sign_rsa,
}
KIDS = {"EdDSA": "ed", "ES256": "ec", "RS256": "rsa"}


def make(
    alg: str,
    *,
    header: dict[str, object] | None = None,
    raw_header: bytes | None = None,
    raw_payload: bytes | None = None,
    signer: Callable[[bytes], bytes] | None = None,
    **claims: object,
) -> str:
    """Returns a valid token unless changed, written by hand: the library under test must not help to forge."""
    head = {"alg": alg, "typ": "JWT", "kid": KIDS.get(alg, DROP), **(header or {})}
    body: dict[str, object] = {"sub": "ann", "iat": NOW, "exp": NOW + 900}
    if alg in KIDS:
        body |= {"iss": ISSUER, "aud": ISSUER}
    body |= claims
    parts = [dump(head) if raw_header is None else raw_header, dump(body) if raw_payload is None else raw_payload]
    message = b".".join(base64url_encode(part) for part in parts)
    return (message + b"." + base64url_encode((signer or SIGNERS[alg])(message))).decode()


def dump(members: dict[str, object]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not DROP}).encode()


def shift(token: str, part: int, edit: Callable[[str], str]) -> str:
    parts = token.split(".")
    parts[part] = edit(parts[part])
    return ".".join(parts)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("JWT_SECRET", "BETTER_AUTH_SECRET", "BETTER_AUTH_URL", "JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(JWKS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/jwks"


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def verifier(jwks_url: str, clock: Clock) -> AsyncIterator[TokenVerifier]:
    """Accepts both kinds of tokens, where most confusions are possible."""
    settings = Settings(jwks_url=jwks_url, better_auth_url=ISSUER + "/")
    cache = JwksCache(jwks_url, min_interval=0)  # each unknown key is fetched
    yield TokenVerifier(settings, SECRET, cache, clock=clock)
    await cache.aclose()


async def refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        await verifier.verify(token)
    assert caught.value.detail == TokenInvalid.message  # the same text for every reason
    assert verifier.cached(token) is None


GOOD: dict[str, Callable[[], str]] = {
    "HS256": lambda: make("HS256"),
    "EdDSA": lambda: make("EdDSA"),
    "ES256": lambda: make("ES256"),
    "RS256": lambda: make("RS256"),
    "as Better Auth writes it": lambda: make("EdDSA", header={"typ": DROP}, name="Ann", email="a@b.c", id="ann"),
    "no iat": lambda: make("HS256", iat=DROP),
    "nbf now": lambda: make("HS256", nbf=NOW),
    "iat and nbf ahead within the leeway": lambda: make("HS256", iat=NOW + 5, nbf=NOW + 5),
    "last second": lambda: make("HS256", exp=NOW + 1),
    "typ in small letters": lambda: make("HS256", header={"typ": "jwt"}),
    "access token": lambda: make("EdDSA", header={"typ": "at+jwt"}),
    "access token, full media type": lambda: make("EdDSA", header={"typ": "application/AT+JWT"}),
    "several audiences": lambda: make("EdDSA", aud=["https://other.example", ISSUER]),
    "shared secret, other iss and aud": lambda: make("HS256", iss="my-front-end", aud=["a", "b"]),
    "shared secret, kid of a published key": lambda: make("HS256", header={"kid": "ed"}),
    "own jwk in the header is ignored": lambda: make("EdDSA", header={"jwk": {"kty": "oct"}, "jku": "http://x/"}),
    "longest payload": lambda: make("HS256", pad="x" * 5900),
}


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD.keys())
async def test_a_valid_token_is_accepted_and_cached(verifier: TokenVerifier, build: Callable[[], str]) -> None:
    token = build()
    identity = await verifier.verify(token)
    assert identity.subject == "ann"
    assert verifier.cached(token) == identity


@pytest.mark.parametrize("subject", ["a", "x" * 255, "😀" * 255, "auth0|5f7c", "ann@example.com", "a/b c", "Ω"])
async def test_subjects_are_returned_unchanged(verifier: TokenVerifier, subject: str) -> None:
    assert await verifier.verify(make("EdDSA", sub=subject)) == Identity(subject, NOW + 900)
    assert await verifier.verify(verifier.sign(subject, ttl=60)) == Identity(subject, NOW + 60)


PEM = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RAW = ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
STRANGER_JWK: dict[str, Any] = OKPAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
UNSIGNED: Callable[[bytes], bytes] = lambda message: b""  # noqa: E731


def flip(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


FORGED: dict[str, Callable[[], str]] = {
    # no signature, or another one
    "alg none": lambda: make("none", signer=UNSIGNED),
    "alg None": lambda: make("None", signer=UNSIGNED),
    "alg nOnE with a signature": lambda: make("nOnE", signer=mac(SECRET)),
    "alg empty": lambda: make("", signer=mac(SECRET)),
    "alg missing": lambda: make("HS256", header={"alg": DROP}),
    "alg null": lambda: make("HS256", header={"alg": None}),
    "alg a list": lambda: make("HS256", header={"alg": ["HS256"]}),
    "alg a number": lambda: make("HS256", header={"alg": 256}),
    "alg in small letters": lambda: make("HS256", header={"alg": "hs256"}),
    "signature missing": lambda: shift(make("HS256"), 2, lambda _: ""),
    "signature cut": lambda: shift(make("HS256"), 2, lambda part: part[:-2]),
    "signature of another token": lambda: shift(make("HS256"), 2, lambda _: make("HS256", sub="bob").split(".")[2]),
    "payload changed": lambda: shift(make("HS256"), 1, lambda _: make("HS256", sub="bob").split(".")[1]),
    "header changed": lambda: shift(make("EdDSA"), 0, lambda _: make("EdDSA", header={"x": 1}).split(".")[0]),
    "one bit of EdDSA": lambda: shift(make("EdDSA"), 2, flip),
    "one bit of ES256": lambda: shift(make("ES256"), 2, flip),
    "one bit of RS256": lambda: shift(make("RS256"), 2, flip),
    "ES256 of zeros": lambda: make("ES256", signer=lambda message: bytes(64)),
    "ES256 as DER": lambda: make("ES256", signer=lambda message: EC.sign(message, ec.ECDSA(hashes.SHA256()))),
    "EdDSA of zeros": lambda: make("EdDSA", signer=lambda message: bytes(64)),
    # another key
    "another secret": lambda: make("HS256", signer=mac("another secret of more than 32 bytes")),
    "empty secret": lambda: make("HS256", signer=mac("")),
    "another Ed25519 key": lambda: make("EdDSA", signer=STRANGER.sign),
    "unknown kid": lambda: make("EdDSA", header={"kid": "nobody"}),
    "kid of another key": lambda: make("EdDSA", header={"kid": "ec"}),
    "kid of the symmetric key": lambda: make("HS256", header={"kid": "oct"}, signer=mac(b"k" * 32)),
    "kid missing with several keys": lambda: make("EdDSA", header={"kid": DROP}),
    "kid a number": lambda: make("EdDSA", header={"kid": 1}),
    "kid a path": lambda: make("HS256", header={"kid": "../../dev/null"}, signer=mac("")),
    "kid as SQL": lambda: make("EdDSA", header={"kid": "' union select 'x"}, signer=STRANGER.sign),
    "own key in jwk": lambda: make("EdDSA", header={"kid": "me", "jwk": STRANGER_JWK}, signer=STRANGER.sign),
    "own key in jwk, kid of ours": lambda: make("EdDSA", header={"jwk": STRANGER_JWK}, signer=STRANGER.sign),
    "own key behind jku": lambda: make("EdDSA", header={"jku": "http://127.0.0.1:1/"}, signer=STRANGER.sign),
    "own key behind x5u": lambda: make("EdDSA", header={"x5u": "http://127.0.0.1:1/"}, signer=STRANGER.sign),
    "own key in x5c": lambda: make("EdDSA", header={"x5c": [b64encode(b"cert").decode()]}, signer=STRANGER.sign),
    # one algorithm for another
    "HS256 with the public key as PEM": lambda: make("HS256", header={"kid": "ed"}, signer=mac(PEM)),
    "HS256 with the public RSA key as PEM": lambda: make("HS256", header={"kid": "rsa"}, signer=mac(RSA_PEM)),
    "HS256 with the raw public key": lambda: make("HS256", header={"kid": "ed"}, signer=mac(RAW)),
    "HS256 with the JWK": lambda: make("HS256", header={"kid": "ed"}, signer=mac(json.dumps(ED_JWK))),
    "HS384 with the secret": lambda: make("HS384", signer=mac(SECRET, "sha384")),
    "HS512 with the secret": lambda: make("HS512", signer=mac(SECRET, "sha512")),
    "EdDSA made with the secret": lambda: make("EdDSA", signer=mac(SECRET)),
    "ES256 named, EdDSA key": lambda: make("ES256", header={"kid": "ed"}, signer=ED.sign),
    "RS256 named, EC key": lambda: make("RS256", header={"kid": "ec"}, signer=sign_ec),
    "RS512": lambda: make(
        "RS512", header={"kid": "rsa"}, signer=lambda m: RSA.sign(m, padding.PKCS1v15(), hashes.SHA512())
    ),
    "PS256": lambda: make(
        "PS256",
        header={"kid": "rsa"},
        signer=lambda m: RSA.sign(m, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    ),
    "ES256K": lambda: make("ES256K", header={"kid": "ec"}, signer=sign_ec),
    # one issuer for another
    "shared secret, issuer with keys": lambda: make("HS256", iss=ISSUER),
    "shared secret, issuer with keys and a slash": lambda: make("HS256", iss=ISSUER + "/"),
    "shared secret, everything like the issuer": lambda: make("HS256", header={"kid": "ed"}, iss=ISSUER, aud=ISSUER),
    "iss missing": lambda: make("EdDSA", iss=DROP),
    "iss of another": lambda: make("EdDSA", iss="https://evil.example"),
    "iss with a slash": lambda: make("EdDSA", iss=ISSUER + "/"),
    "iss begins alike": lambda: make("EdDSA", iss=ISSUER + ".evil.example"),
    "iss in capitals": lambda: make("EdDSA", iss=ISSUER.upper()),
    "iss a list": lambda: make("EdDSA", iss=[ISSUER]),
    "iss a list, shared secret": lambda: make("HS256", iss=[ISSUER]),
    "aud missing": lambda: make("EdDSA", aud=DROP),
    "aud of another": lambda: make("EdDSA", aud="https://other.example"),
    "aud empty": lambda: make("EdDSA", aud=[]),
    "aud an object": lambda: make("EdDSA", aud={ISSUER: True}),
    "aud contains ours as text": lambda: make("EdDSA", aud=f"x {ISSUER} y"),
    # tokens of another purpose
    "typ of a logout token": lambda: make("EdDSA", header={"typ": "logout+jwt"}),
    "typ of a DPoP proof": lambda: make("EdDSA", header={"typ": "dpop+jwt"}),
    "typ of an ID token": lambda: make("EdDSA", header={"typ": "id_token"}),
    "typ JWE": lambda: make("HS256", header={"typ": "JWE"}),
    "typ null": lambda: make("HS256", header={"typ": None}),
    "typ a list": lambda: make("HS256", header={"typ": ["JWT"]}),
    "crit unknown": lambda: make("HS256", header={"crit": ["x"], "x": 1}),
    "crit empty": lambda: make("HS256", header={"crit": []}),
    "crit exp": lambda: make("HS256", header={"crit": ["exp"], "exp": NOW + 900}),
    "b64 false": lambda: make("HS256", header={"crit": ["b64"], "b64": False}),
    "b64 false without crit": lambda: make("HS256", header={"b64": False}),
    "b64 true": lambda: make("HS256", header={"b64": True}),
    "cookie cache of Better Auth": lambda: make(
        "HS256", sub=DROP, session={"userId": "ann", "token": "t"}, user={"id": "ann"}, updatedAt=NOW
    ),
    # times
    "exp missing": lambda: make("HS256", exp=DROP),
    "exp null": lambda: make("HS256", exp=None),
    "exp true": lambda: make("HS256", exp=True),
    "exp a float": lambda: make("HS256", exp=NOW + 900.5),
    "exp a whole float": lambda: make("HS256", exp=float(NOW + 900)),
    "exp a string": lambda: make("HS256", exp=str(NOW + 900)),
    "exp in milliseconds": lambda: make("HS256", exp=(NOW + 900) * 1000),
    "exp astronomic": lambda: make("HS256", exp=10**300),
    "exp beyond what int() reads": lambda: make("HS256", raw_payload=b'{"sub":"ann","exp":1' + b"0" * 4500 + b"}"),
    "exp infinite": lambda: make("HS256", raw_payload=b'{"sub":"ann","exp":Infinity}'),
    "exp NaN": lambda: make("HS256", raw_payload=b'{"sub":"ann","exp":NaN}'),
    "exp 1e999": lambda: make("HS256", raw_payload=b'{"sub":"ann","exp":1e999}'),
    "exp negative": lambda: make("HS256", exp=-1),
    "iat tomorrow": lambda: make("HS256", iat=NOW + 86_400),
    "iat beyond the leeway": lambda: make("HS256", iat=NOW + 6),
    "iat a float": lambda: make("HS256", iat=NOW + 0.0),
    "iat a string": lambda: make("HS256", iat="now"),
    "iat true": lambda: make("HS256", iat=True),
    "nbf beyond the leeway": lambda: make("HS256", nbf=NOW + 6),
    "nbf a string": lambda: make("HS256", nbf=str(NOW)),
    # subjects
    "sub missing": lambda: make("HS256", sub=DROP),
    "sub null": lambda: make("HS256", sub=None),
    "sub empty": lambda: make("HS256", sub=""),
    "sub a number": lambda: make("HS256", sub=1),
    "sub a list": lambda: make("HS256", sub=["ann"]),
    "sub of 256 characters": lambda: make("HS256", sub="x" * 256),
    "sub with NUL": lambda: make("HS256", sub="ann\x00"),
    "sub with a line break": lambda: make("HS256", sub="ann\n"),
    "sub with DEL": lambda: make("HS256", sub="ann\x7f"),
    "sub with a C1 control": lambda: make("HS256", sub="ann\x85"),
    "sub with a lone surrogate": lambda: make("HS256", raw_payload=rb'{"sub":"\ud800","exp":%d}' % (NOW + 900)),
    "sub only under id": lambda: make("HS256", sub=DROP, id="ann", userId="ann"),
    # format
    "two subjects": lambda: make("HS256", raw_payload=b'{"sub":"ann","sub":"bob","exp":%d}' % (NOW + 900)),
    "two algorithms": lambda: make("HS256", raw_header=b'{"alg":"none","alg":"HS256"}'),
    "payload a list": lambda: make("HS256", raw_payload=b"[]"),
    "payload a string": lambda: make("HS256", raw_payload=b'"ann"'),
    "payload null": lambda: make("HS256", raw_payload=b"null"),
    "payload not JSON": lambda: make("HS256", raw_payload=b"{sub:ann}"),
    "payload in UTF-16": lambda: make("HS256", raw_payload=json.dumps({"sub": "a", "exp": NOW + 9}).encode("utf-16")),
    "payload not UTF-8": lambda: make("HS256", raw_payload=b'{"sub":"\xff"}'),
    "payload deep": lambda: make("HS256", raw_payload=b"[" * 5000),
    "header a list": lambda: make("HS256", raw_header=b"[]"),
    "header not JSON": lambda: make("HS256", raw_header=b"HS256"),
    "header deep": lambda: make("HS256", raw_header=b'{"alg":' + b"[" * 5000),
    "padded": lambda: make("HS256") + "=",
    "standard alphabet": lambda: make("HS256").replace(".", "+/.", 1),
    "space before": lambda: " " + make("HS256"),
    "line break after": lambda: make("HS256") + "\n",
    "bits that count for nothing": lambda: shift(make("HS256", signer=lambda m: mac(SECRET)(m)), 2, dangling),
    "one part": lambda: "x" * 40,
    "two parts": lambda: make("HS256").rpartition(".")[0],
    "four parts": lambda: make("HS256") + ".x",
    "five parts, as in JWE": lambda: make("HS256") + ".x.x",
    "only dots": lambda: "..",
    "empty": lambda: "",
    "a part of impossible length": lambda: "x" + make("HS256").partition(".")[2],
    "not ASCII": lambda: make("HS256") + "é",
    "lone surrogate": lambda: make("HS256") + "\ud800",
    "NUL": lambda: make("HS256") + "\x00",
    "over 8 KB": lambda: make("HS256", pad="x" * 6100),
    "a megabyte": lambda: "x" * 1_000_000,
    "an opaque session token": lambda: "sess_" + sha256(b"x").hexdigest(),
}


def dangling(signature: str) -> str:
    """Returns the signature with another last character: it has two bits that decode to nothing, so the bytes are
    equal."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_token_is_refused(verifier: TokenVerifier, forge: Callable[[], str]) -> None:
    await refused(verifier, forge())


def test_the_table_of_forged_tokens_is_long_and_has_the_stated_sizes() -> None:
    assert len(FORGED) >= 60
    assert len(FORGED["over 8 KB"]()) > MAX_TOKEN >= len(GOOD["longest payload"]())


@pytest.mark.parametrize("alg", ["HS256", "EdDSA"])
async def test_only_a_token_that_was_valid_is_reported_as_expired(verifier: TokenVerifier, alg: str) -> None:
    for exp in (NOW, NOW - 1, 0):
        with pytest.raises(TokenExpired):
            await verifier.verify(make(alg, exp=exp))
    await refused(verifier, make(alg, exp=NOW - 1, signer=mac("guess")))
    await refused(verifier, make(alg, exp=NOW - 1, sub=""))


async def test_a_token_is_cached_for_at_most_a_minute(verifier: TokenVerifier, clock: Clock) -> None:
    token = make("HS256")
    assert verifier.cached(token) is None
    identity = await verifier.verify(token)
    clock.now += CACHE_SECONDS - 0.1
    assert verifier.cached(token) is identity
    clock.now += 0.1
    assert verifier.cached(token) is None
    assert await verifier.verify(token) == identity


async def test_a_token_is_not_cached_beyond_its_expiry(verifier: TokenVerifier, clock: Clock) -> None:
    token = make("EdDSA", exp=NOW + 10)
    await verifier.verify(token)
    clock.now = NOW + 9.9
    assert verifier.cached(token)
    clock.now = NOW + 10
    assert verifier.cached(token) is None
    with pytest.raises(TokenExpired):
        await verifier.verify(token)


async def test_the_token_cache_is_bounded_and_keeps_tokens_in_use(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_verifier, "CACHE_ENTRIES", 3)
    first, *others = (make("HS256", sub=f"user{number}") for number in range(5))
    await verifier.verify(first)
    for token in others:
        await verifier.verify(token)
        assert verifier.cached(first)
    assert [bool(verifier.cached(token)) for token in others] == [False, False, True, True]


@pytest.mark.parametrize("token", ["", "x" * 9000, "é", "\ud800", "a.b.c"])
def test_a_cache_lookup_of_any_text_returns_none(token: str) -> None:
    assert TokenVerifier(Settings(), SECRET).cached(token) is None


async def test_the_shared_secret_alone_accepts_only_its_tokens() -> None:
    verifier = TokenVerifier(Settings(), SECRET, clock=lambda: NOW)
    assert (await verifier.verify(make("HS256", iss=ISSUER, aud="anything"))).subject == "ann"
    await refused(verifier, make("EdDSA"))


async def test_the_key_set_alone_accepts_only_its_tokens(jwks_url: str) -> None:
    async with JwksCache(jwks_url) as cache:
        verifier = TokenVerifier(Settings(better_auth_url=ISSUER), None, cache, clock=lambda: NOW)
        await verifier.verify(make("EdDSA"))
        await refused(verifier, make("HS256"))
        await refused(verifier, make("HS256", signer=mac("")))
        await refused(verifier, make("HS256", signer=mac("None")))
        with pytest.raises(ValueError, match="JWT_SECRET"):
            verifier.sign("ann", ttl=60)


async def test_issuer_and_audience_apply_to_the_shared_secret_without_a_key_set() -> None:
    settings = Settings(jwt_issuer="front-end", jwt_audience="tasks")
    verifier = TokenVerifier(settings, SECRET, clock=lambda: NOW)
    await verifier.verify(make("HS256", iss="front-end", aud=["tasks", "mail"]))
    await verifier.verify(verifier.sign("ann", ttl=60))
    await refused(verifier, make("HS256"))
    await refused(verifier, make("HS256", iss="front-end"))
    await refused(verifier, make("HS256", iss="other", aud="tasks"))
    await refused(verifier, make("HS256", iss="front-end", aud="mail"))


async def test_issuer_and_audience_apply_to_the_key_set(jwks_url: str) -> None:
    settings = Settings(jwks_url=jwks_url, jwt_issuer="https://idp.example/", jwt_audience="tasks")
    async with JwksCache(jwks_url) as cache:
        verifier = TokenVerifier(settings, SECRET, cache, clock=lambda: NOW)
        await verifier.verify(make("RS256", iss="https://idp.example/", aud="tasks"))
        await verifier.verify(verifier.sign("ann", ttl=60))
        await refused(verifier, make("RS256", iss="https://idp.example", aud="tasks"))
        await refused(verifier, make("RS256", iss="https://idp.example/", aud="https://idp.example/"))
        await refused(verifier, make("HS256", iss="https://idp.example", aud="tasks"))


async def test_a_token_of_another_issuer_for_mcp_is_limited_to_it(jwks_url: str) -> None:
    """As an OAuth server of the front-end issues them for the resource that an agent names (RFC 8707, RFC 9068)."""
    settings = Settings(jwks_url=jwks_url, jwt_issuer="https://idp.example", public_url="https://Todo.example:443")
    mcp = "https://todo.example/mcp"
    async with JwksCache(jwks_url) as cache:
        verifier = TokenVerifier(settings, SECRET, cache, clock=lambda: NOW)

        async def verify(alg: str, **claims: Any) -> Identity:
            return await verifier.verify(make(alg, iss="https://idp.example", **claims))

        for audience in (mcp, [mcp, "https://idp.example/oauth2/userinfo"]):
            found = await verify("RS256", aud=audience, client_id="agent", scope="openid read")
            assert (found.audience, found.client_id, found.scope) == (mcp, "agent", "read")
        for scope in ("read write", "openid", DROP):
            assert (await verify("RS256", aud=mcp, azp="agent", scope=scope)).scope == "write"
        assert (await verify("RS256", aud=mcp)).client_id
        whole = await verify("RS256", aud=[mcp, "https://idp.example"])
        assert (whole.audience, whole.client_id) == ("", "")
        for audience in (f"{mcp}/", "https://todo.example", "https://other.example/mcp", f"{mcp}x"):
            await refused(verifier, make("RS256", iss="https://idp.example", aud=audience))
        shared = await verifier.verify(make("HS256", aud=mcp))
        assert shared.audience == mcp


async def test_the_shared_secret_works_while_the_key_set_is_unreachable() -> None:
    settings = Settings(better_auth_url="http://127.0.0.1:1")
    async with JwksCache("http://127.0.0.1:1/") as cache:
        verifier = TokenVerifier(settings, SECRET, cache, clock=lambda: NOW)
        await verifier.verify(make("HS256"))
        with pytest.raises(KeysUnavailable):
            await verifier.verify(make("EdDSA"))
        # A token that no key could make valid is refused without a fetch.
        await refused(verifier, make("none", signer=UNSIGNED))
        await refused(verifier, make("ES256K", signer=sign_ec))


@pytest.mark.parametrize(
    "secret",
    ["", "short", "x" * 31, PEM.decode(), RSA_PEM.decode(), json.dumps(ED_JWK)],
    ids=["empty", "short", "31", "pem", "rsa_pem", "jwk"],  # the keys are new in every process
)
def test_an_invalid_secret_is_refused_at_startup(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        TokenVerifier(Settings(), secret)


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\x00", "a\n", "\udc80"])
def test_a_subject_that_would_be_refused_is_not_signed(subject: str) -> None:
    with pytest.raises(ValueError, match="255"):
        TokenVerifier(Settings(), SECRET).sign(subject, ttl=60)


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "])
def test_a_bearer_header_is_parsed(header: str) -> None:
    assert bearer_token(header) == "abc"


@pytest.mark.parametrize("header", [None, "", "  "])
def test_a_missing_header_is_token_missing(header: str | None) -> None:
    with pytest.raises(TokenMissing):
        bearer_token(header)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "abc", "Basic YTpi", "Bearerabc", "Bearer a b", "Bearer a, Bearer b", "Token abc"]
)
def test_another_scheme_is_token_not_bearer(header: str) -> None:
    with pytest.raises(TokenNotBearer):
        bearer_token(header)


@pytest.mark.parametrize("subject", [" alice", "alice ", " ", " isolation probe "])
async def test_a_subject_with_surrounding_spaces_is_refused(verifier: TokenVerifier, subject: str) -> None:
    with pytest.raises(ValueError, match="no space around"):
        verifier.sign(subject, ttl=60)
    with pytest.raises(TokenInvalid):
        await verifier.verify(make("HS256", sub=subject))
    assert (await verifier.verify(make("HS256", sub="a b"))).subject == "a b"
