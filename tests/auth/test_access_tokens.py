"""The tokens that this service issues, and similar tokens that it refuses."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.auth.access_tokens import TokenIssuer
from app.auth.signing_keys import KEY_FILE_NAME, SecretError, load_signing_key
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.errors import TokenExpired, TokenInvalid

NOW = 1_800_000_000
SECRET = "a shared secret of forty characters, yes!"
KEY = Ed25519PrivateKey.generate()
OWN = {
    "iss": "urn:todo",
    "aud": "urn:todo",
    "sub": "ann",
    "sid": "s1",
    "jti": "j1",
    "iat": NOW,
    "exp": NOW + 900,
}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("JWT_SECRET", "BETTER_AUTH_SECRET", "BETTER_AUTH_URL", "JWKS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def verifier(key: str | Ed25519PrivateKey = SECRET) -> TokenVerifier:
    return TokenVerifier(Settings(), SECRET, token_issuer=TokenIssuer("urn:todo", key), clock=lambda: NOW)


def signed(claims: dict[str, Any], key: Any = SECRET, alg: str = "HS256", **headers: Any) -> str:
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, alg, headers={"typ": "at+jwt", **headers})


@pytest.mark.parametrize("key", [SECRET, KEY], ids=["HS256", "EdDSA"])
async def test_an_issued_token_is_verified_as_its_user(key: str | Ed25519PrivateKey) -> None:
    token = TokenIssuer("urn:todo", key).sign("ann", "s1", now=NOW, ttl=900)
    identity = await verifier(key).verify(token)
    assert (identity.subject, identity.session_id, identity.scope) == ("ann", "s1", "write")
    assert identity.expires_at == NOW + 900
    late = TokenVerifier(Settings(), SECRET, token_issuer=TokenIssuer("urn:todo", key), clock=lambda: NOW + 900)
    with pytest.raises(TokenExpired):
        await late.verify(token)


@pytest.mark.parametrize(
    "token",
    [
        signed(OWN, typ="JWT"),
        signed(OWN | {"aud": "another"}),
        signed(OWN | {"aud": None}),
        signed(OWN | {"sid": None}),
        signed(OWN | {"sid": ""}),
        signed(OWN | {"sid": 5}),
        signed(OWN | {"jti": None}),
        signed(OWN, key="another secret of forty characters, yes!"),
        signed(OWN, kid="x"),
        signed(OWN, key=KEY, alg="EdDSA"),
    ],
    ids=range(10),
)
async def test_a_token_that_differs_from_an_access_token_is_refused(token: str) -> None:
    with pytest.raises(TokenInvalid):
        await verifier().verify(token)


async def test_each_algorithm_refuses_tokens_of_the_other() -> None:
    by_secret = TokenIssuer("urn:todo", SECRET).sign("ann", "s1", now=NOW, ttl=900)
    by_key = TokenIssuer("urn:todo", KEY).sign("ann", "s1", now=NOW, ttl=900)
    with pytest.raises(TokenInvalid):
        await verifier(KEY).verify(by_secret)
    with pytest.raises(TokenInvalid):
        await verifier().verify(by_key)
    kid = TokenIssuer("urn:todo", KEY).kid
    with pytest.raises(TokenInvalid):  # our key does not sign for another issuer
        await verifier(KEY).verify(signed(OWN | {"iss": "x"}, key=KEY, alg="EdDSA", kid=kid))
    with pytest.raises(TokenInvalid):
        await verifier(KEY).verify(signed(OWN, key=Ed25519PrivateKey.generate(), alg="EdDSA", kid=kid))


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "n"}, {"at_hash": "x"}, {"c_hash": "x"}, {"token_use": "id"}, {"type": "refresh"},
        {"token_type": "refresh_token"}, {"typ": "Refresh"}, {"typ": "ID"}, {"typ": "Offline"},
        {"session": {"userId": "ann"}, "user": {"id": "ann"}},
    ],
)  # fmt: skip
async def test_a_token_of_the_shared_secret_for_another_purpose_is_refused(claims: dict[str, Any]) -> None:
    front_end = {"sub": "ann", "iat": NOW, "exp": NOW + 900}
    assert (await verifier().verify(signed(front_end, typ="JWT"))).session_id is None
    with pytest.raises(TokenInvalid):
        await verifier().verify(signed(front_end | claims, typ="JWT"))


async def test_a_token_of_a_front_end_has_no_session() -> None:
    token = signed({"sub": "ann", "sid": "s1", "iat": NOW, "exp": NOW + 900, "type": "access"}, typ="JWT")
    assert (await verifier().verify(token)).session_id is None


async def test_an_issued_token_is_verified_with_the_published_key() -> None:
    own = TokenIssuer("https://todo.example", KEY)
    token = own.sign("ann", "s1", now=NOW, ttl=10**9)
    (key,) = jwt.PyJWKSet.from_json(json.dumps(own.jwks())).keys
    assert key.key_id == jwt.get_unverified_header(token)["kid"] == own.kid
    claims = jwt.decode(token, key, ["EdDSA"], audience="https://todo.example", options={"verify_iat": False})
    assert claims["sub"] == "ann"
    assert "d" not in own.jwks()["keys"][0]
    assert TokenIssuer("x", SECRET).jwks() == {"keys": []}


async def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", token_algorithm="EdDSA")
    first, second = TokenIssuer.from_settings(settings), TokenIssuer.from_settings(settings)
    assert first is not None
    assert second is not None
    assert first.kid == second.kid
    assert first.refresh_key == second.refresh_key
    assert (tmp_path / "data" / KEY_FILE_NAME).stat().st_mode & 0o077 == 0


async def test_the_key_from_the_settings() -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for text in (pem, pem.replace("\n", "\\n")):
        settings = Settings(
            jwt_private_key=text, token_algorithm="EdDSA", database_url="postgresql://x/y", jwt_secret=SECRET
        )
        own = TokenIssuer.from_settings(settings)
        assert own is not None
        assert own.kid == TokenIssuer("x", KEY).kid
    with pytest.raises(SecretError, match="openssl"):
        load_signing_key(Settings(jwt_private_key="nonsense"))
    assert load_signing_key(Settings(database_url="postgresql://x/y", jwt_secret=SECRET)) is None


@pytest.mark.parametrize("settings", [{"public_url": "https://a.example/", "better_auth_url": "https://a.example"}])
async def test_the_service_cannot_bear_another_issuers_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="PUBLIC_URL"):
        Settings(**settings)
