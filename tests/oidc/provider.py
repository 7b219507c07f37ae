"""A provider of OpenID Connect on the loopback, with real signatures; each attribute is how it may differ."""

import json
import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.receivers import served

CLIENT_ID, CLIENT_SECRET = "todo client", "a secret: with+signs"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGE_KEY = rsa.generate_private_key(65537, 2048)


class Provider:
    """Signs in ``user`` at once, without a page. It checks what a careful provider checks."""

    def __init__(self, url: str) -> None:
        self.issuer = url
        self.user: dict[str, Any] = {"sub": "u1", "email": "u1@example.com", "email_verified": True}
        self.claims: dict[str, Any] = {}  # over those of the ID token
        self.changes: dict[str, Any] = {}  # over the metadata
        self.userinfo: dict[str, Any] | None = None  # then the ID token has no claims of the profile
        self.key: Any = RSA_KEY
        self.algorithm = "RS256"
        self.header: dict[str, Any] = {"kid": "rsa"}
        self.down = False
        self.codes: dict[str, dict[str, str]] = {}
        self.requests: list[str] = []

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
        } | self.changes

    @property
    def keys(self) -> dict[str, Any]:
        found = [
            {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "rsa", "alg": "RS256"},
            {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "ec"},
        ]
        return {"keys": found}

    def authorize(self, url: str) -> dict[str, str]:
        """Returns the parameters of the response to an authorization request."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.issuer}/authorize?tenant=1&"), url
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def redeem(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        basic = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        asked = self.codes.pop(sent.get("code", ""), None)
        if (unquote_plus(basic[0]), unquote_plus(basic[2])) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        challenge = urlsafe_b64encode(sha256(sent["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != sent["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= self.user if self.userinfo is None else {"sub": self.user["sub"]}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        token = jwt.encode(claims, self.key, self.algorithm, self.header)
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": token}

    def respond(self, method: str, path: str, body: str, headers: Any) -> tuple[int, Any]:
        self.requests.append(f"{method} {path}")
        if self.down:
            return 503, {"error": "maintenance"}
        if path == "/.well-known/openid-configuration":
            return 200, self.metadata
        if path == "/keys":
            return 200, self.keys
        if path == "/token":
            sent = {name: values[0] for name, values in parse_qs(body).items()}
            return self.redeem(sent, headers.get("authorization", ""))
        if path == "/userinfo" and headers.get("authorization") == "Bearer at":
            return 200, self.userinfo or self.user
        return 404, {}


@contextmanager
def providing() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def _respond(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            status, document = provider.respond(method, self.path, body, self.headers)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self._respond("GET")

        def do_POST(self) -> None:
            self._respond("POST")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    with served(server):
        yield provider
