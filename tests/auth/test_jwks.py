"""The key cache against a real issuer on the loopback: rotation, outage, slowness, nonsense and floods."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.auth.jwks import MAX_BODY, JwksCache
from app.auth.published_keys import MAX_KEYS, PublishedKey, parse_keys
from app.config import Settings
from app.errors import KeysUnavailable

Jwk = dict[str, Any]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def okp(kid: str | None = None, **extra: object) -> Jwk:
    jwk = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
    return {**jwk, **({} if kid is None else {"kid": kid}), **extra}


def elliptic(curve: ec.EllipticCurve, **extra: object) -> Jwk:
    return {**ECAlgorithm.to_jwk(ec.generate_private_key(curve).public_key(), as_dict=True), "kid": "ec", **extra}


def rsa_of(bits: int, **extra: object) -> Jwk:
    key = rsa.generate_private_key(65537, bits).public_key()
    return {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "rsa", "key_ops": ["verify"], **extra}


class Clock:
    """Seconds that pass only when a test advances them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """An HTTP server that counts its requests, and whose response can be changed between them."""

    def __init__(self) -> None:
        self.keys: list[Jwk] = []
        self.status = "200 OK"
        self.headers = ""
        self.body: bytes | None = None
        self.delay = 0.0
        self.endless = b""
        self.pause = 0.0
        self.requests: list[bytes] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await asyncio.sleep(self.delay)
            if self.endless:
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                while True:
                    writer.write(self.endless)
                    await writer.drain()
                    await asyncio.sleep(self.pause)
            body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
            head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{self.headers}\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    stand = Issuer()
    server = await asyncio.start_server(stand.answer, "127.0.0.1", 0)
    stand.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/auth/jwks"
    async with server:
        yield stand


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def passive(url: str, clock: Callable[[], float], *, timeout: float = 5) -> AsyncIterator[JwksCache]:  # noqa: ASYNC109
    """Opens a cache without its background task, so that every request the issuer counts has a cause in the test."""
    cache = JwksCache(url, clock=clock, timeout=timeout)
    try:
        yield cache
    finally:
        await cache.aclose()


async def found(cache: JwksCache, kid: str | None) -> PublishedKey:
    key = await cache.find(kid)
    assert key is not None
    return key


async def test_a_key_is_found_by_name_with_one_fetch(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("a"), okp("b")]
    async with passive(issuer.url, clock) as cache:
        for _ in range(50):
            assert (await found(cache, "a")).algorithms[0] == "EdDSA"
            assert await found(cache, "b") is not await found(cache, "a")
    assert len(issuer.requests) == 1
    assert b"\r\naccept-encoding: identity\r\n" in issuer.requests[0].lower()


async def test_a_token_without_a_key_name_uses_only_a_single_key(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp()]
    async with passive(issuer.url, clock) as cache:
        assert await cache.find(None) is not None
        clock.now += 5
        assert await cache.find("a") is None
        issuer.keys = [okp("a"), okp("b")]
        await cache.refresh()
        clock.now += 5
        assert await cache.find(None) is None


async def test_a_rotated_key_is_fetched_with_its_first_token(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("old")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "old")
        clock.now += 5
        issuer.keys = [okp("old"), okp("new")]
        await found(cache, "new")
        await found(cache, "old")
        assert len(issuer.requests) == 2


async def test_a_withdrawn_key_is_unknown_after_the_next_fetch(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("a")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "a")
        issuer.keys = []
        await cache.refresh()
        with pytest.raises(KeysUnavailable):  # it may be published again
            await cache.find("a")
        clock.now += 5
        assert await cache.find("a") is None


async def test_unknown_key_names_cause_one_fetch_per_interval(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("a")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "a")
        for second in range(1, 21):
            clock.now += 1
            calls = (cache.find(f"{second}-{n}") for n in range(100))
            answers = await asyncio.gather(*calls, return_exceptions=True)
            if second % 5 == 0:  # a fetch that began after all of them has no such key
                assert answers == [None] * 100
            else:
                assert {type(answer) for answer in answers} == {KeysUnavailable}
                assert {answer.retry_after for answer in answers if isinstance(answer, KeysUnavailable)} == {
                    5 - second % 5
                }
            await found(cache, "a")
    assert len(issuer.requests) == 1 + 20 // 5


async def test_a_key_published_within_the_interval_is_found_after_it(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("old")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "old")
        clock.now += 5
        assert await cache.find("made up") is None
        issuer.keys = [okp("old"), okp("new")]
        clock.now += 1.5
        with pytest.raises(KeysUnavailable) as caught:
            await cache.find("new")
        assert caught.value.retry_after == 4
        clock.now += 4
        await found(cache, "new")
    assert len(issuer.requests) == 3


async def test_a_fetch_that_started_before_the_token_is_not_conclusive(issuer: Issuer, clock: Clock) -> None:
    issuer.keys, issuer.delay = [okp("old")], 0.1
    async with passive(issuer.url, clock) as cache:
        early = asyncio.create_task(cache.find("made up"))
        await until(lambda: len(issuer.requests) == 1)
        with pytest.raises(KeysUnavailable):
            await cache.find("new")
        assert await early is None
    assert len(issuer.requests) == 1


async def test_concurrent_requests_share_one_fetch(issuer: Issuer, clock: Clock) -> None:
    issuer.keys, issuer.delay = [okp("a")], 0.05
    async with passive(issuer.url, clock) as cache:
        keys = await asyncio.gather(*(found(cache, "a") for _ in range(200)))
    assert len(issuer.requests) == 1
    assert len({id(key) for key in keys}) == 1


async def test_a_caller_that_gives_up_does_not_stop_the_fetch(issuer: Issuer, clock: Clock) -> None:
    issuer.keys, issuer.delay = [okp("a")], 0.1
    async with passive(issuer.url, clock) as cache:
        first = asyncio.create_task(cache.find("a"))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(cache.find("a"))
        await asyncio.sleep(0.02)
        first.cancel()
        assert await second is not None
    assert first.cancelled()
    assert len(issuer.requests) == 1


async def test_keys_are_kept_for_a_day_of_issuer_outage(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("a")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "a")
        issuer.status = "503 Service Unavailable"
        for _ in range(24):
            clock.now += 3600
            await cache.refresh()
            await found(cache, "a")
        clock.now += 6
        with pytest.raises(KeysUnavailable):
            await cache.find("a")
        issuer.status = "200 OK"
        clock.now += 6
        await found(cache, "a")


async def test_an_unknown_key_during_an_outage_is_unavailable_and_not_invalid(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("a")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "a")
        issuer.status = "500 Oops"
        clock.now += 5
        with pytest.raises(KeysUnavailable):
            await cache.find("new")
        await found(cache, "a")


async def test_keys_are_unavailable_when_the_issuer_was_never_reached(clock: Clock) -> None:
    async with passive("http://127.0.0.1:1/jwks", clock) as cache:
        for _ in range(3):
            with pytest.raises(KeysUnavailable) as caught:
                await cache.find("a")
            assert caught.value.retry_after == 5


async def test_a_slow_issuer_is_waited_for_once_up_to_the_timeout(issuer: Issuer, clock: Clock) -> None:
    issuer.keys, issuer.delay = [okp("a")], 1
    async with passive(issuer.url, clock, timeout=0.2) as cache:
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(cache.find("a") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(answer, KeysUnavailable) for answer in answers)
        with pytest.raises(KeysUnavailable):
            await cache.find("a")
        assert asyncio.get_running_loop().time() - started < 0.9
    assert len(issuer.requests) == 1


async def test_an_endless_body_is_cut_off(issuer: Issuer, clock: Clock) -> None:
    issuer.endless = b" " * 65536
    async with passive(issuer.url, clock) as cache:
        started = asyncio.get_running_loop().time()
        with pytest.raises(KeysUnavailable):
            await cache.find("a")
        assert asyncio.get_running_loop().time() - started < 2  # by size, not by the timeout


async def test_an_issuer_that_sends_slowly_is_cut_off(issuer: Issuer, clock: Clock) -> None:
    issuer.endless, issuer.pause = b" ", 0.02
    async with passive(issuer.url, clock, timeout=0.2) as cache, asyncio.timeout(2):
        with pytest.raises(KeysUnavailable):
            await cache.find("a")


async def test_the_largest_body_is_read_and_one_byte_more_is_not(issuer: Issuer, clock: Clock) -> None:
    body = json.dumps({"keys": [okp("a")]}).encode()
    async with passive(issuer.url, clock) as cache:
        issuer.body = body.ljust(MAX_BODY + 1)
        with pytest.raises(KeysUnavailable):
            await cache.find("a")
        issuer.body = body.ljust(MAX_BODY)
        clock.now += 5
        await found(cache, "a")


async def test_redirects_are_not_followed(issuer: Issuer, clock: Clock) -> None:
    other = Issuer()
    other.keys = [okp("evil")]
    server = await asyncio.start_server(other.answer, "127.0.0.1", 0)
    async with server, passive(issuer.url, clock) as cache:
        issuer.status = "302 Found"
        issuer.headers = f"Location: http://127.0.0.1:{server.sockets[0].getsockname()[1]}/\r\n"
        with pytest.raises(KeysUnavailable):
            await cache.find("evil")
    assert other.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": [',
        b"\xff\xfe",
        b'{"keys":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        json.dumps({"keys": [okp(str(n)) for n in range(MAX_KEYS + 1)]}).encode(),
    ],
)
async def test_an_invalid_key_set_does_not_replace_valid_keys(issuer: Issuer, clock: Clock, body: bytes) -> None:
    issuer.keys = [okp("a")]
    async with passive(issuer.url, clock) as cache:
        await found(cache, "a")
        issuer.body = body
        await cache.refresh()
        await found(cache, "a")


async def test_the_start_does_not_wait_for_the_issuer_and_keys_are_fetched_later(issuer: Issuer) -> None:
    issuer.status = "503 Service Unavailable"
    async with JwksCache(issuer.url, retry_every=0.02, refresh_every=60) as cache:
        assert issuer.requests == []
        await until(lambda: len(issuer.requests) >= 2)
        with pytest.raises(KeysUnavailable):
            await cache.find("a")
        issuer.keys, issuer.status = [okp("a")], "200 OK"
        seen = len(issuer.requests)
        await until(lambda: len(issuer.requests) > seen)
        await asyncio.sleep(0.05)
        await found(cache, "a")


async def test_keys_are_refreshed_in_the_background_until_closed(issuer: Issuer) -> None:
    issuer.keys = [okp("a")]
    async with JwksCache(issuer.url, refresh_every=0.02):
        await until(lambda: len(issuer.requests) >= 4)
    count = len(issuer.requests)
    await asyncio.sleep(0.1)
    assert len(issuer.requests) == count


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def usable(*keys: object) -> list[str]:
    return ["/".join(key.algorithms) for key in parse_keys(json.dumps({"keys": keys}).encode()).keys]


def test_the_algorithm_follows_from_the_type_of_the_key() -> None:
    assert usable(okp("a"), elliptic(ec.SECP256R1()), rsa_of(2048)) == ["EdDSA/Ed25519", "ES256", "RS256"]
    assert usable(okp("a", alg="EdDSA", use="sig"), rsa_of(3072, alg="PS256")) == ["EdDSA/Ed25519", "PS256"]
    assert usable(okp("a", alg="Ed25519"), elliptic(ec.SECP521R1(), alg="ES512")) == ["EdDSA/Ed25519", "ES512"]
    # null is absent
    assert usable(okp("a", alg=None, use=None, key_ops=None), {**okp(), "kid": None}) == ["EdDSA/Ed25519"] * 2


SECRET = base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": SECRET},
        {"kty": "oct", "k": SECRET, "alg": "HS256", "kid": "a"},
        {**okp("a"), "kty": "oct", "k": SECRET},
        okp("a", alg="HS256"),
        okp("a", alg="none"),
        okp("a", alg="ES256"),
        okp("a", use="enc"),
        okp("a", key_ops=["sign"]),
        okp("a", key_ops=[]),
        okp("a", key_ops="verify"),
        okp("a", d=SECRET),
        okp("a", crv="Ed448"),
        okp("a", crv="X25519"),
        okp("a", crv=None),
        okp("a", crv=["Ed25519"]),
        okp("a", x="AAAA"),
        okp("a", x=5),
        okp("a", x="é"),
        okp("a", kty=["OKP"]),
        {**okp(), "kid": 7},
        okp("a", alg="Ed448"),
        okp("a", alg=["EdDSA"]),
        elliptic(ec.SECP521R1(), alg="ES521"),
        elliptic(ec.SECP384R1(), alg="ESP384"),
        elliptic(ec.SECP256K1()),
        elliptic(ec.SECP256R1(), alg="ES384"),
        elliptic(ec.SECP256R1(), y=SECRET),
        rsa_of(1024),
        rsa_of(2048, alg="RS1"),
        rsa_of(2048, alg="RSA-OAEP"),
        rsa_of(2048, alg="HS256"),
        rsa_of(2048, e="AQ"),
        rsa_of(2048, crv="Ed25519"),
        {"kty": "RSA", "n": "_" * 200_000, "e": "AQAB"},
        {"kty": "RSA"},
        {"kid": "a"},
        {},
        [],
        "key",
        None,
        7,
    ],
)
def test_an_unusable_key_is_dropped_and_the_others_kept(jwk: object) -> None:
    assert usable(jwk, okp("good")) == ["EdDSA/Ed25519"]


async def test_the_keys_are_named_once_and_again_when_they_change(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.auth.jwks")
    issuer.keys = [okp("a"), rsa_of(1024, kid="weak\n\u202e" + "x" * 200, alg="RS256")]
    async with passive(issuer.url, clock) as cache:
        for _ in range(3):
            await cache.refresh()
        issuer.keys = [okp("b"), elliptic(ec.SECP521R1())]
        await cache.refresh()
        issuer.keys = []
        await cache.refresh()
    first, second, third = [vars(record) for record in caplog.records if record.message == "jwks_keys"]
    assert (first["levelname"], first["keys"], first["unusable"], first["used"]) == ("WARNING", 1, 1, ["a EdDSA"])
    (refused,) = first["not_used"]
    assert refused.startswith("kid=weak??xxx")
    assert refused.endswith("... kty=RSA alg=RS256: 1024 bits: RSA keys have 2048 to 8192")
    assert refused.isprintable()
    assert (second["levelname"], second["used"]) == ("INFO", ["b EdDSA", "ec ES512"])
    assert "not_used" not in second
    assert (third["levelname"], third["keys"]) == ("WARNING", 0)


async def test_the_first_of_two_keys_with_the_same_name_is_used(issuer: Issuer, clock: Clock) -> None:
    issuer.keys = [okp("a"), elliptic(ec.SECP256R1(), kid="a")]
    async with passive(issuer.url, clock) as cache:
        assert (await found(cache, "a")).algorithms[0] == "EdDSA"


@pytest.mark.parametrize(
    ("jwks", "better_auth", "url"),
    [
        ("", "", None),
        ("https://idp.example/keys", "https://app.example/", "https://idp.example/keys"),
        ("", "https://app.example", "https://app.example/api/auth/jwks"),
        ("", "https://app.example/", "https://app.example/api/auth/jwks"),
    ],
)
async def test_the_url_of_the_keys_follows_from_settings(
    jwks: str, better_auth: str, url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWKS_URL", jwks)
    monkeypatch.setenv("BETTER_AUTH_URL", better_auth)
    cache = JwksCache.from_settings(Settings(_env_file=None))
    assert (cache and cache._url) == url
    if cache is not None:
        await cache.aclose()
