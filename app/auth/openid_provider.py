"""One provider of OpenID Connect: its metadata, its keys, and the ID tokens that it signs for this service.

The operator names the provider, so its host may be a private one; the other hosts that its metadata name may not,
unless they are opened. What it responds is limited in size and time, and redirects are not followed.
"""

import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote_plus, urlencode, urlsplit

from jwt import PyJWTError, get_unverified_header

from app.auth.claims import json_object
from app.auth.published_keys import KeySet, PublishedKey, parse_keys
from app.auth.token_verifier import JWS_VERIFIER
from app.config.oidc import OidcProvider
from app.domain.oidc import find_id_token_problem
from app.errors import IdTokenInvalid, MalformedBody, ProviderUnavailable, RefusalReason, SignInRefused, TokenInvalid
from app.json_codec import parse_json
from app.net.outbound import OutboundClient, Outcome

DISCOVERY_PATH = "/.well-known/openid-configuration"
PROVIDER_BODY_MAX = 256 * 1024  # bytes of a response: groups and pictures stand in some ID tokens
PROVIDER_AGE = 3600.0  # seconds for which metadata and keys are not fetched again
EMAIL_CLAIMS = frozenset({"email", "email_verified"})
KEYS_INTERVAL = 5.0  # seconds between two fetches of keys for an unknown one


class ProviderMetadata(NamedTuple):
    """Addresses and abilities that a provider publishes (OpenID Connect Discovery, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    authenticates_by: list[str]
    names_issuer: bool


class OpenIdProvider:
    """Talks to one provider. Failures are not kept: the next sign-in tries again."""

    def __init__(
        self, config: OidcProvider, outbound: OutboundClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config = config
        self._outbound, self._clock = outbound, clock
        self._metadata: ProviderMetadata | None = None
        self._keys = KeySet([], [])
        self._metadata_at = self._keys_at = 0.0

    async def metadata(self) -> ProviderMetadata:
        """Returns the metadata. Raises ProviderUnavailable."""
        if self._metadata is None or self._clock() - self._metadata_at > PROVIDER_AGE:
            url = self.config.issuer.rstrip("/") + DISCOVERY_PATH
            document = self._read_object("discovery", await self._outbound.get(url, limit=PROVIDER_BODY_MAX))
            self._metadata = self._read_metadata(document)
            self._metadata_at = self._clock()
        return self._metadata

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Returns the page at which the user signs in. Raises ProviderUnavailable."""
        endpoint = (await self.metadata()).authorization_endpoint
        asked = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.config.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return add_query(endpoint, asked)

    async def redeem(self, code: str, *, verifier: str, redirect_uri: str, nonce: str, now: float) -> dict[str, Any]:
        """Exchanges a code; returns the verified claims, with those of the userinfo if the ID token has no e-mail.

        Raises SignInRefused, IdTokenInvalid, ProviderUnavailable.
        """
        metadata = await self.metadata()
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        body, headers = self._authenticate(metadata, sent | {"code_verifier": verifier})
        outcome = await self._outbound.post(
            metadata.token_endpoint, urlencode(body).encode(), headers, limit=PROVIDER_BODY_MAX
        )
        if outcome.status in {400, 401, 403}:
            details = {"provider": self.config.id, "problem": f"token endpoint: status {outcome.status}"}
            raise SignInRefused(reason=RefusalReason.PROVIDER_FAILED, details=details)
        tokens = self._read_object("token", outcome)
        token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(token, str):
            self._fail("token", "no id_token")
        claims = await self._verify(metadata, token, nonce=nonce, now=now)
        if not claims.keys() >= EMAIL_CLAIMS and metadata.userinfo_endpoint and isinstance(access_token, str):
            # Both claims of one source: the one says of the other that it is verified.
            others = {name: value for name, value in claims.items() if name not in EMAIL_CLAIMS}
            claims = await self._read_userinfo(metadata, access_token, claims) | others
        return claims

    async def logout_url(self, redirect_uri: str) -> str:
        """Returns the page that ends the login at the provider (RP-Initiated Logout); empty where there is none."""
        endpoint = (await self.metadata()).end_session_endpoint
        asked = {"client_id": self.config.client_id, "post_logout_redirect_uri": redirect_uri}
        return endpoint and add_query(endpoint, asked)

    def _authenticate(self, metadata: ProviderMetadata, sent: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Returns body and headers with the credentials of this client (OpenID Connect Core, 9)."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client_id, secret = self.config.client_id, self.config.client_secret
        if secret is None:
            return sent | {"client_id": client_id}, headers
        if "client_secret_basic" in metadata.authenticates_by or "client_secret_post" not in metadata.authenticates_by:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret.get_secret_value())}"  # RFC 6749, 2.3.1
            return sent, headers | {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        return sent | {"client_id": client_id, "client_secret": secret.get_secret_value()}, headers

    async def _verify(self, metadata: ProviderMetadata, token: str, *, nonce: str, now: float) -> dict[str, Any]:
        try:
            header = get_unverified_header(token)
            algorithm = str(header.get("alg"))
            key = await self._find_key(metadata, header.get("kid"), algorithm)
            if key is None or "crit" in header:
                self._refuse(f"key of {algorithm}" if key is None else "crit")
            payload = JWS_VERIFIER.decode(token, key.key, algorithms=[algorithm])
            claims = json_object(payload, RefusalReason.CLAIMS_UNREADABLE)
        except PyJWTError as error:
            self._refuse(type(error).__name__)
        except TokenInvalid:
            self._refuse("claims")
        problem = find_id_token_problem(
            claims, issuer=metadata.issuer, client_id=self.config.client_id, nonce=nonce, now=now
        )
        if problem:
            self._refuse(problem)
        return claims

    async def _find_key(self, metadata: ProviderMetadata, kid: Any, algorithm: str) -> PublishedKey | None:
        """Returns the key of a signature; fetches the keys if it is unknown, at most every few seconds."""
        age = self._clock() - self._keys_at
        found = self._lookup(kid, algorithm) if age <= PROVIDER_AGE else None
        if found is None and (age > KEYS_INTERVAL or not self._keys.keys):
            outcome = await self._outbound.get(metadata.jwks_uri, limit=PROVIDER_BODY_MAX)
            if outcome.status != 200:
                self._fail("keys", _describe(outcome))
            try:
                self._keys = parse_keys(outcome.body)
            except ValueError as error:
                self._fail("keys", str(error))
            self._keys_at = self._clock()
            found = self._lookup(kid, algorithm)
        return found

    def _lookup(self, kid: Any, algorithm: str) -> PublishedKey | None:
        """Returns the key named ``kid``, or without a name the only one of the algorithm, which the key decides."""
        fitting = [key for key in self._keys.keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
        return fitting[0] if len(fitting) == 1 else None

    async def _read_userinfo(
        self, metadata: ProviderMetadata, access_token: str, claims: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns the claims of the same user (OpenID Connect Core, 5.3.2): the ID token is who signed in."""
        headers = {"Authorization": f"Bearer {access_token}"}
        outcome = await self._outbound.get(metadata.userinfo_endpoint, limit=PROVIDER_BODY_MAX, headers=headers)
        found = self._read_object("userinfo", outcome)
        if found.get("sub") != claims["sub"]:
            self._refuse("sub of the userinfo")
        return found

    def _read_metadata(self, document: dict[str, Any]) -> ProviderMetadata:
        issuer = document.get("issuer")
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.config.issuer.rstrip("/"):
            self._fail("discovery", f"it names the issuer {issuer!r}")
        secure = issuer.startswith("https:")
        endpoints = {}
        for name in (
            "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint",
        ):  # fmt: skip
            url = document.get(name) or ""
            required = name in {"authorization_endpoint", "token_endpoint", "jwks_uri"}
            if (required or url) and not _is_endpoint(url, secure=secure):
                self._fail("discovery", f"{name} is no {'https ' * secure}URL")
            endpoints[name] = url
        methods = document.get("token_endpoint_auth_methods_supported")
        return ProviderMetadata(
            issuer=issuer,
            authenticates_by=methods if isinstance(methods, list) else ["client_secret_basic"],
            names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
            **endpoints,
        )

    def _read_object(self, step: str, outcome: Outcome) -> dict[str, Any]:
        if outcome.status != 200:
            self._fail(step, _describe(outcome))
        try:
            document = parse_json(outcome.body)
        except MalformedBody:
            document = None
        if not isinstance(document, dict):
            self._fail(step, "no JSON object")
        return document

    def _fail(self, step: str, problem: str) -> NoReturn:
        details = {"provider": self.config.id, "problem": f"{step}: {problem}"}
        raise ProviderUnavailable(reason=RefusalReason.PROVIDER_FAILED, details=details)

    def _refuse(self, problem: str) -> NoReturn:
        details = {"provider": self.config.id, "problem": problem}
        raise IdTokenInvalid(reason=RefusalReason.ID_TOKEN_INVALID, details=details)


def add_query(url: str, parameters: dict[str, str]) -> str:
    """Returns the URL of an endpoint, which may have a query of its own, with ``parameters``."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def _is_endpoint(url: Any, *, secure: bool) -> bool:
    if not isinstance(url, str) or not url.isascii() or "#" in url or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and not secure))


def _describe(outcome: Outcome) -> str:
    return f"status {outcome.status}" if outcome.status else str(outcome.error)
