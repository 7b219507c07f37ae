"""Forged tokens over HTTP: each one of tests/auth/test_token_verifier.py is 401, and none is 500."""

from collections.abc import AsyncIterator, Callable, Iterator
from http.server import ThreadingHTTPServer

import httpx
import pytest
from fastapi import FastAPI

from app.auth.jwks import JwksCache
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.main import create_app
from tests.auth import test_token_verifier as forge
from tests.auth.test_token_verifier import FORGED, GOOD, NOW
from tests.receivers import served
from tests.support import assert_problem

# White space around a token is not part of it, as in any header.
TRIMMED = {"space before", "line break after"}
MORE_FORGED: dict[str, Callable[[], str]] = {
    "alg NONE": lambda: forge.make("NONE", signer=forge.UNSIGNED),
    "alg none with the secret": lambda: forge.make("none", signer=forge.mac(forge.SECRET)),
    "alg none, three dots": lambda: forge.make("none", signer=forge.UNSIGNED) + ".",
    "alg with a space": lambda: forge.make("HS256 ", signer=forge.mac(forge.SECRET)),
    "alg with NUL": lambda: forge.make("none\x00", signer=forge.mac(forge.SECRET)),
    "alg an object": lambda: forge.make("HS256", header={"alg": {"HS256": True}}),
    "alg Ed448": lambda: forge.make("Ed448", header={"kid": "ed"}, signer=forge.ED.sign),
    "zip": lambda: forge.make("HS256", header={"zip": "DEF"}, signer=forge.mac("guess")),
    "enc, as in JWE": lambda: forge.make("dir", header={"enc": "A256GCM"}, signer=forge.mac(forge.SECRET)),
    "kid a URL": lambda: forge.make("EdDSA", header={"kid": "http://127.0.0.1:1/k"}, signer=forge.STRANGER.sign),
    "kid with NUL": lambda: forge.make("EdDSA", header={"kid": "ed\x00"}),
    "kid of a kilobyte": lambda: forge.make("EdDSA", header={"kid": "k" * 1024}),
    "kid null": lambda: forge.make("EdDSA", header={"kid": None}),
    "kid an object": lambda: forge.make("EdDSA", header={"kid": {"$ne": ""}}),
    "a token in a token": lambda: forge.make("HS256", raw_payload=forge.make("HS256").encode()),
    "typ of a nested token": lambda: forge.make("HS256", header={"cty": "JWT", "typ": "JWE"}),
    "exp an object": lambda: forge.make("HS256", exp={"$gt": 0}),
    "exp false": lambda: forge.make("HS256", exp=False),
    "nbf true": lambda: forge.make("HS256", nbf=True),
    "nbf infinite": lambda: forge.make("HS256", raw_payload=b'{"sub":"a","exp":%d,"nbf":Infinity}' % (NOW + 9)),
    "iat astronomic": lambda: forge.make("HS256", iat=10**300),
    "sub an object": lambda: forge.make("HS256", sub={"id": "ann"}),
    "sub true": lambda: forge.make("HS256", sub=True),
    "sub a tab": lambda: forge.make("HS256", sub="\t"),
    "two exp": lambda: forge.make("HS256", raw_payload=b'{"sub":"ann","exp":1,"exp":%d}' % (NOW + 900)),
    "two kid": lambda: forge.make("EdDSA", raw_header=b'{"alg":"EdDSA","kid":"x","kid":"ed"}'),
    "BOM before the payload": lambda: forge.make(
        "HS256", raw_payload=b'\xef\xbb\xbf{"sub":"ann","exp":%d}' % (NOW + 900)
    ),
    "signed over another header": lambda: forge.shift(
        forge.make("HS256"), 0, lambda _: forge.make("HS256", header={"typ": "at+jwt"}).split(".")[0]
    ),
    "signature twice as long": lambda: forge.make("HS256", signer=lambda m: forge.mac(forge.SECRET)(m) * 2),
    "signature of nothing": lambda: forge.make("HS256", signer=lambda _: forge.mac(forge.SECRET)(b"")),
    "percent-encoded": lambda: forge.make("HS256").replace(".", "%2E"),
}
ALL_FORGED = {name: build for name, build in {**FORGED, **MORE_FORGED}.items() if name not in TRIMMED}


@pytest.fixture(scope="module")
def keys() -> Iterator[str]:
    """Serves the issuer's key set, and yields its URL."""
    with served(ThreadingHTTPServer(("127.0.0.1", 0), forge.Handler)) as port:
        yield f"http://127.0.0.1:{port}/jwks"


@pytest.fixture(scope="module")
async def service_client(app: FastAPI, settings: Settings, keys: str) -> AsyncIterator[httpx.AsyncClient]:
    """Starts the application on the shared database, with a shared secret, an issuer's keys and a fixed time."""
    trusting = settings.model_copy(update={"jwks_url": keys, "better_auth_url": forge.ISSUER})
    own = create_app(settings)
    own.state.database, own.state.auth = app.state.database, app.state.auth
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        async with JwksCache(keys, min_interval=0) as cache:  # each unknown key is fetched
            own.state.verifier = TokenVerifier(trusting, forge.SECRET, cache, clock=lambda: NOW)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(own), base_url="http://test") as client:
                yield client


async def get_with_token(client: httpx.AsyncClient, token: str) -> httpx.Response:
    header = b"Bearer " + token.encode("utf-8", "surrogatepass")
    return await client.get("/api/me/tasks", headers=[(b"Authorization", header)])


@pytest.mark.parametrize("build", ALL_FORGED.values(), ids=ALL_FORGED.keys())
async def test_a_forged_token_is_401(service_client: httpx.AsyncClient, build: Callable[[], str]) -> None:
    answer = await get_with_token(service_client, build())
    problem = assert_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert problem["code"] in {"token_invalid", "token_missing", "token_not_bearer"}


def test_at_least_sixty_forged_tokens_have_unique_names() -> None:
    assert len(ALL_FORGED) >= 60
    assert not set(FORGED) & set(MORE_FORGED)


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD.keys())
async def test_a_valid_token_is_accepted(service_client: httpx.AsyncClient, build: Callable[[], str]) -> None:
    assert (await get_with_token(service_client, build())).status_code == 200


async def test_an_expired_token_is_401(service_client: httpx.AsyncClient) -> None:
    assert_problem(await get_with_token(service_client, forge.make("EdDSA", exp=NOW - 1)), 401, "token_expired")
