"""Reasons for which requests are refused: the operator's log has them, the response does not."""

import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from jwt.algorithms import OKPAlgorithm
from pydantic import SecretStr

from app.auth.access_tokens import TokenIssuer
from app.auth.jwks import JwksCache
from app.auth.opaque_tokens import new_api_token
from app.auth.openid_provider import OpenIdProvider
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.config.oidc import OidcProvider
from app.errors import RefusalReason, Unavailable
from app.http.problems import problem_from_error
from app.main import create_app
from app.net.mail import describe_mail_error
from app.net.outbound import OutboundClient
from app.net.outbound_policy import OutboundPolicy
from app.observability import refusals
from app.observability.refusals import LOGGED_TEXT_MAX, REFUSAL_INTERVAL, REMEMBERED_REASONS, RefusalLog
from app.server.refusals import BAD_HOST, render_refusal
from tests.accounts.factors import challenge_of, with_totp
from tests.accounts.support import Visitor
from tests.auth.test_jwks import Issuer, issuer  # noqa: F401 - the fixture
from tests.oauth.flow import agent_at
from tests.oidc.browser import CALLBACK, START, SignInBrowser
from tests.oidc.provider import CLIENT_ID, CLIENT_SECRET, providing
from tests.support import SECRET

PAGE = (Path(__file__).parents[2] / "docs/accounts.md").read_text()
ISSUER_NAME, AUDIENCE = "https://issuer.test", "tasks"
METRICS_TOKEN = "a-token-of-prometheus"
KEY, STRANGE_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SUBJECT = "a-subject-that-stays-out-of-the-log"
DROPPED = object()


def make(*, key: Any = KEY, alg: str = "EdDSA", header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Returns a token that is accepted unless something is changed."""
    now = int(time.time())
    body = {"sub": SUBJECT, "iss": ISSUER_NAME, "aud": AUDIENCE, "iat": now, "exp": now + 900} | claims
    head = {"kid": "a"} | (header or {})
    payload = json.dumps({name: value for name, value in body.items() if value is not DROPPED}).encode()
    return jwt.PyJWS().encode(payload, key, alg, {n: v for n, v in head.items() if v is not DROPPED})


def later(seconds: float) -> int:
    return int(time.time() + seconds)


REASONS_OF_TOKENS: dict[str, Callable[[], str]] = {
    "token_too_long": lambda: make(pad="x" * 9_000),
    "not_a_jwt": lambda: "ba_session.4f2e",
    "encrypted_jwt": lambda: "eyJhbGciOiJkaXIifQ..aXY.dGV4dA.dGFn",
    "header_unreadable": lambda: "e30.e30.e30",
    "typ_not_accepted": lambda: make(header={"typ": "logout+jwt"}),
    "crit_not_supported": lambda: "eyJhbGciOiJFZERTQSIsImtpZCI6ImEiLCJjcml0IjpbImV4cCJdfQ.e30.e30",
    "alg_not_accepted": lambda: make(alg="HS512", key=SECRET * 2),
    "kid_missing": lambda: make(header={"kid": DROPPED}),
    "kid_unknown": lambda: make(header={"kid": "z"}),
    "alg_not_of_key": lambda: make(header={"kid": "p"}),
    "signature_invalid": lambda: make(key=STRANGE_KEY),
    "own_key_changed": lambda: make(iss=TokenIssuer("urn:todo", SECRET).issuer),
    "claims_unreadable": lambda: jwt.PyJWS().encode(b"[1]", KEY, "EdDSA", {"kid": "a"}),
    "iss_missing": lambda: make(iss=DROPPED),
    "iss_not_text": lambda: make(iss=[ISSUER_NAME]),
    "iss_wrong": lambda: make(iss=ISSUER_NAME + "/"),
    "iss_of_key_set": lambda: make(alg="HS256", key=SECRET),
    "aud_missing": lambda: make(aud=DROPPED),
    "aud_not_text": lambda: make(aud={"tasks": 1}),
    "aud_wrong": lambda: make(aud=["account", "mail"]),
    "not_an_access_token": lambda: make(nonce="n-0S6_WzA2Mj"),
    "sub_missing": lambda: make(sub=DROPPED),
    "sub_not_text": lambda: make(sub=4711),
    "sub_too_long": lambda: make(sub="x" * 256),
    "sub_not_accepted": lambda: make(sub=f"{SUBJECT}\u200b"),
    "exp_missing": lambda: make(exp=DROPPED),
    "time_not_integer": lambda: make(exp=later(900) + 0.5),
    "not_yet_valid": lambda: make(nbf=later(60)),
    "issued_ahead": lambda: make(iat=later(30)),
    "expired": lambda: make(exp=later(-60)),
    "api_token_malformed": lambda: new_api_token()[:-1] + "~",
    "api_token_unknown": new_api_token,
}


class Scene:
    """An application that trusts a key set, and the lines that it logs."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, sql: Any) -> None:
        self.app, self.client, self.sql = app, client, sql
        self._caplog = caplog

    def lines(self) -> list[Any]:
        return [record for record in self._caplog.records if record.message == "request_refused"]

    async def send(self, token: str, path: str = "/api/me/tasks") -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {token}"})

    async def visitor(self) -> Visitor:
        return await Visitor(self.client).register()

    def forget(self) -> None:
        """Drops what was checked in the last seconds."""
        self.app.state.auth.revocations._seen.clear()
        self._caplog.clear()


@pytest.fixture
async def scene(
    app: FastAPI,
    settings: Settings,
    issuer: Issuer,  # noqa: F811
    sql: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Scene]:
    monkeypatch.setenv("NO_PROXY", "*")
    caplog.set_level(logging.INFO)
    trust = {"jwks_url": issuer.url, "jwt_issuer": ISSUER_NAME, "jwt_audience": AUDIENCE, "oauth": "on"}
    trusting = Settings(**{**dict(settings), **trust, "metrics_token": METRICS_TOKEN}, _env_file=None)
    p256 = {"kty": "EC", "crv": "P-256", "kid": "p"} | {
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }  # fmt: skip
    issuer.keys = [{**OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "a"}, p256]
    own = create_app(trusting)
    own.state.database, own.state.auth = app.state.database, app.state.auth
    async with JwksCache(issuer.url, min_interval=0) as cache:
        await cache.refresh()
        issuer_of_own = TokenIssuer.from_settings(settings)
        own.state.verifier = TokenVerifier(trusting, SECRET, cache, token_issuer=issuer_of_own)
        transport = httpx.ASGITransport(own)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Scene(own, client, caplog, sql)


@pytest.mark.parametrize("reason", REASONS_OF_TOKENS)
async def test_a_refused_token_is_one_line_with_its_reason(scene: Scene, reason: str) -> None:
    token = REASONS_OF_TOKENS[reason]()
    answer = await scene.send(token)
    assert answer.status_code == 401
    assert reason == "expired" or reason not in answer.text
    (line,) = scene.lines()
    assert line.reason == reason
    assert line.levelno == (logging.INFO if reason == "expired" else logging.WARNING)
    given = {name: str(value) for name, value in vars(line).items()}
    assert not [part for part in (*token.split("."), SUBJECT) if len(part) > 8 and part in str(given)]
    if token.count(".") == 2 and len(token) < 8_000 and not token.endswith(".e30.e30"):
        header = jwt.get_unverified_header(token)
        assert (line.alg, line.kid) == (header["alg"], header.get("kid"))
        assert {"iss", "aud"} <= vars(line).keys()


async def test_a_refused_token_is_described_with_what_is_expected(scene: Scene) -> None:
    for token in (make(iss="https://idp.example"), make(aud="account"), make(iat=later(30)), make(sub=7)):
        await scene.send(token)
    wrong_iss, wrong_aud, ahead, number = scene.lines()
    assert (wrong_iss.iss, wrong_iss.expected_iss) == ("https://idp.example", ISSUER_NAME)
    assert (wrong_aud.aud, wrong_aud.expected_aud) == ("account", AUDIENCE)
    assert 28 < ahead.seconds <= 30
    assert number.sub_type == "int"


async def refuse_without_key_set(scene: Scene) -> None:
    scene.app.state.verifier = TokenVerifier(Settings(_env_file=None), SECRET)
    await scene.send(make())


async def refuse_without_secret(scene: Scene) -> None:
    scene.app.state.verifier = TokenVerifier(Settings(_env_file=None), None)
    await scene.send(make(alg="HS256", key=SECRET))


async def refuse_without_keys(scene: Scene) -> None:
    async with JwksCache("http://127.0.0.1:1/jwks") as cache:
        scene.app.state.verifier = TokenVerifier(Settings(_env_file=None), SECRET, cache)
        assert (await scene.send(make())).status_code == 503


async def refuse_ended_session(scene: Scene) -> None:
    visitor = await scene.visitor()
    other = await visitor.another_device()
    await visitor.call("POST", "/api/auth/logout")
    scene.forget()
    await scene.send(visitor.access)
    assert await other.is_in()


async def refuse_expired_session(scene: Scene) -> None:
    visitor = await scene.visitor()
    await scene.sql.execute("update sessions set ends_at = now() - interval '1 s' where user_id = $1", visitor.id)
    scene.forget()
    await scene.send(visitor.access)


async def refuse_deleted_account(scene: Scene) -> None:
    visitor = await scene.visitor()
    await visitor.call("DELETE", "/api/auth/me", {"password": visitor.password})
    scene.forget()
    await scene.send(visitor.access)


async def refuse_disabled_account(scene: Scene) -> None:
    visitor = await scene.visitor()
    await scene.sql.execute("update accounts set disabled_at = now() where user_id = $1", visitor.id)
    scene.forget()
    await scene.send(visitor.access)


async def _api_token(scene: Scene) -> tuple[Visitor, dict[str, Any]]:
    visitor = await scene.visitor()
    made = await visitor.call("POST", "/api/auth/tokens", {"name": "x", "scope": "read"})
    return visitor, made.json()


async def refuse_revoked_api_token(scene: Scene) -> None:
    visitor, made = await _api_token(scene)
    await visitor.call("DELETE", f"/api/auth/tokens/{made['id']}")
    scene.forget()
    await scene.send(made["token"])
    assert [line.token_id for line in scene.lines()] == [made["id"]]


async def refuse_expired_api_token(scene: Scene) -> None:
    visitor, made = await _api_token(scene)
    await scene.sql.execute("update api_tokens set expires_at = now() where user_id = $1", visitor.id)
    scene.forget()
    await scene.send(made["token"])


async def refuse_unknown_refresh_token(scene: Scene) -> None:
    answer = await scene.client.post("/api/auth/refresh", json={"refresh_token": "todo_rt_unknown"})
    assert answer.status_code == 401


async def refuse_reused_refresh_token(scene: Scene) -> None:
    visitor = await scene.visitor()
    first = visitor.refresh_token
    for _ in range(2):
        visitor.take(await visitor.refresh())
    await scene.sql.execute(
        "update refresh_tokens set used_at = used_at - interval '1 min' where user_id = $1", visitor.id
    )
    assert (await visitor.refresh(first)).status_code == 401


async def refuse_reused_code(scene: Scene) -> None:
    agent = await agent_at(scene.client, "http://localhost")
    code = await agent.ask(await scene.visitor())
    scene.forget()  # the request without a token, by which an app finds the service's metadata
    assert (await agent.exchange(code)).status_code == 200
    assert (await agent.exchange(code)).status_code == 400


async def refuse_unreadable_client(scene: Scene) -> None:
    asked = {"client_id": "https://10.0.0.1/client.json"}
    answer = await scene.client.get("http://localhost/oauth/authorize", params=asked)
    assert answer.status_code == 401
    assert "cannot be read: no response." in answer.text
    (line,) = scene.lines()
    assert (line.client_id, line.problem) == (
        "https://10.0.0.1/client.json",
        "The URL does not lead to the public internet.",
    )


async def _come_back(scene: Scene, issuer_url: str = "", **claims: Any) -> httpx.Response:
    """Returns the response to a sign-in whose ID token has these ``claims``."""
    with providing() as provider:
        config = OidcProvider(
            id="default",
            issuer=issuer_url or provider.issuer,
            client_id=CLIENT_ID,
            client_secret=SecretStr(CLIENT_SECRET),
        )
        provider.claims = claims
        async with OutboundClient(OutboundPolicy(["127.0.0.1"])) as outbound:
            providers = {"default": OpenIdProvider(config, outbound)}
            scene.app.state.auth = replace(scene.app.state.auth, providers=providers)
            browser, local = SignInBrowser(scene.client, provider), "http://localhost"
            begun = await browser.get(local + START)
            if begun.status_code != 303:
                return begun
            return await browser.come_back(provider.authorize(begun.headers["location"]), local + CALLBACK)


async def refuse_failed_provider(scene: Scene) -> None:
    assert (await _come_back(scene, "http://127.0.0.1:1")).status_code == 502
    assert scene.lines()[0].provider == "default"


async def refuse_id_token(scene: Scene) -> None:
    assert (await _come_back(scene, nonce="another")).status_code == 403
    assert scene.lines()[0].problem == "nonce"


async def refuse_reset_token(scene: Scene) -> None:
    body = {"token": "todo_reset_unknown", "new_password": "another good password"}
    assert (await scene.client.post("/api/auth/password/reset", json=body)).status_code == 422


async def refuse_feed_token(scene: Scene) -> None:
    assert (await scene.client.get("/api/ann/calendar.ics?token=todo_feed_x")).status_code == 401


async def refuse_metrics_token(scene: Scene) -> None:
    assert (await scene.send("guessed", "/metrics")).status_code == 401


async def refuse_unknown_email(scene: Scene) -> None:
    assert (await Visitor(scene.client).login()).status_code == 401


async def refuse_wrong_password(scene: Scene) -> None:
    visitor = await scene.visitor()
    assert (await visitor.login(password="a wrong password")).status_code == 401


async def refuse_wrong_factor(scene: Scene) -> None:
    visitor = await scene.visitor()
    await with_totp(visitor, scene.sql)
    proof = {"challenge": await challenge_of(visitor), "code": "000000"}
    scene.forget()
    assert (await visitor.client.post("/api/auth/login/factor", json=proof)).status_code == 403


async def refuse_passkey(scene: Scene) -> None:
    own = {"Host": "localhost"}  # where passkeys need no TLS
    answer = await scene.client.post("/api/auth/login/passkey", json={"passkey": {"id": "unknown"}}, headers=own)
    assert answer.status_code == 403, answer.text


REASONS_OF_REQUESTS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "no_key_set": refuse_without_key_set,
    "no_shared_secret": refuse_without_secret,
    "keys_unavailable": refuse_without_keys,
    "session_ended": refuse_ended_session,
    "session_expired": refuse_expired_session,
    "session_unknown": refuse_deleted_account,
    "account_disabled": refuse_disabled_account,
    "api_token_revoked": refuse_revoked_api_token,
    "api_token_expired": refuse_expired_api_token,
    "refresh_token_unknown": refuse_unknown_refresh_token,
    "refresh_token_reused": refuse_reused_refresh_token,
    "code_reused": refuse_reused_code,
    "client_metadata_failed": refuse_unreadable_client,
    "provider_failed": refuse_failed_provider,
    "id_token_invalid": refuse_id_token,
    "reset_token_unknown": refuse_reset_token,
    "feed_token_unknown": refuse_feed_token,
    "metrics_token_wrong": refuse_metrics_token,
    "email_unknown": refuse_unknown_email,
    "password_wrong": refuse_wrong_password,
    "second_factor_wrong": refuse_wrong_factor,
    "passkey_refused": refuse_passkey,
}


@pytest.mark.parametrize("reason", REASONS_OF_REQUESTS)
async def test_other_refusals_are_lines_with_their_reason(scene: Scene, reason: str) -> None:
    await REASONS_OF_REQUESTS[reason](scene)
    assert [line.reason for line in scene.lines()] == [reason]


def test_every_reason_is_tried_and_has_a_remedy() -> None:
    assert {str(reason) for reason in RefusalReason} == {*REASONS_OF_TOKENS, *REASONS_OF_REQUESTS}
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.partition("| `reason` | What to do |\n")[2], re.MULTILINE)
    assert [reason for reason, _ in rows] == list(RefusalReason)
    assert all(remedy.endswith(".") for _, remedy in rows)


async def test_mcp_logs_why_it_answers_401(scene: Scene) -> None:
    answer = await scene.client.post(
        "/mcp", headers={"Authorization": f"Bearer {make(aud='x')}", "Host": "localhost"}, json={}
    )
    assert answer.status_code == 401
    assert [(line.reason, line.aud) for line in scene.lines()] == [("aud_wrong", "x")]


async def test_a_reason_is_logged_once_a_minute_with_the_number_of_the_others(scene: Scene) -> None:
    now = [1000.0]
    limited = RefusalLog(clock=lambda: now[0])
    for _ in range(5):
        limited.record("aud_wrong", {})
    limited.record("iss_wrong", {})
    now[0] += REFUSAL_INTERVAL
    limited.record("aud_wrong", {})
    limited.record("iss_wrong", {})
    found = [(line.reason, getattr(line, "suppressed", 0)) for line in scene.lines()]
    assert found == [("aud_wrong", 0), ("iss_wrong", 0), ("aud_wrong", 4), ("iss_wrong", 0)]
    for number in range(2 * REMEMBERED_REASONS):
        limited.record(str(number), {})
    assert len(limited._seen) == REMEMBERED_REASONS


async def test_text_of_a_token_is_cut_and_escaped(scene: Scene) -> None:
    hostile = "x\n2026 [error] forged\u202e\x1b[31m" + "y" * 500
    await scene.send(make(iss=hostile, aud=[hostile] * 8, header={"kid": hostile}))
    await scene.send(make(iss=10**400, aud={hostile: hostile}))
    first, second = scene.lines()
    for text in (first.kid, first.iss, *first.aud):
        assert text.isprintable()
        assert len(text) < LOGGED_TEXT_MAX + 50
    assert len(first.aud) <= 6
    assert (second.iss, second.aud) == ("a large number", "dict")


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        ("/api/me/tasks", {}, "token_missing"),
        ("/api/me/tasks", {"Authorization": "Basic YTpi"}, "token_not_bearer"),
        ("/api/bob/tasks", {}, "forbidden"),
    ],
)
async def test_refusals_without_a_hidden_reason_are_named_by_their_code(
    scene: Scene, path: str, headers: dict[str, str], reason: str
) -> None:
    if reason == "forbidden":
        headers = {"Authorization": f"Bearer {make()}"}
    answer = await scene.client.get(path, headers=headers)
    (line,) = scene.lines()
    assert (line.reason, line.code, line.detail) == (reason, answer.json()["code"], answer.json()["detail"])


@pytest.mark.parametrize(
    ("method", "headers", "logged"),
    [
        ("OPTIONS", {"Access-Control-Request-Method": "GET"}, {"method": "GET", "headers": None}),
        ("GET", {}, {}),
    ],
)
async def test_an_origin_that_is_not_allowed_is_named(
    scene: Scene, method: str, headers: dict[str, str], logged: dict[str, Any]
) -> None:
    front_end = {"Origin": "https://front-end.example"}
    await scene.client.request(method, "/health", headers=front_end | headers)
    (line,) = scene.lines()
    assert (line.reason, line.origin) == ("cors_refused", "https://front-end.example")
    assert {name: getattr(line, name) for name in logged} == logged


@pytest.mark.parametrize("headers", [{"Origin": "http://test"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_pages_of_this_service_are_not_foreign_origins(scene: Scene, headers: dict[str, str]) -> None:
    await scene.client.get("/health", headers={"Origin": "https://tasks.example"} | headers)
    assert scene.lines() == []


async def test_a_header_that_cors_does_not_allow_is_named(scene: Scene) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-of-a-front-end"}
    await scene.client.options("/health", headers={"Origin": "http://localhost:3000"} | asked)
    (line,) = scene.lines()
    assert (line.reason, line.headers) == ("cors_refused", "x-of-a-front-end")


async def test_a_proxy_that_is_not_trusted_is_named(scene: Scene) -> None:
    for _ in range(2):
        await scene.client.get("/health", headers={"X-Forwarded-For": "203.0.113.7"})
    (line,) = scene.lines()
    assert (line.reason, line.proxy) == ("forwarded_ignored", "127.0.0.1")
    assert "203.0.113.7" not in str(vars(line))


async def test_the_address_of_a_client_is_no_proxy(scene: Scene) -> None:
    for client in ("203.0.113.7", "8.8.8.8"):  # as uvicorn writes that of a trusted proxy; a client's own
        transport = httpx.ASGITransport(scene.app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            await http.get("/health", headers={"X-Forwarded-For": "203.0.113.7, 10.0.0.1"})
    (line,) = scene.lines()
    assert not hasattr(line, "proxy")
    assert "8.8.8.8" not in str(vars(line))


async def test_a_used_up_quota_is_named_with_its_setting(scene: Scene, settings: Settings) -> None:
    few = create_app(settings.model_copy(update={"rate_limit_anonymous_per_minute": 1}))
    transport = httpx.ASGITransport(few)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answers = [await http.get("/api/auth/nothing") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 429, 429]
    (line,) = scene.lines()
    assert (line.reason, line.setting) == ("rate_limited_anonymous", "RATE_LIMIT_ANONYMOUS_PER_MINUTE")


async def test_a_cookie_of_another_site_is_named(scene: Scene) -> None:
    cookie = {"Cookie": "todo_refresh=x", "Origin": "https://evil.example"}
    answer = await scene.client.post("/api/auth/refresh", headers=cookie)
    assert answer.json()["code"] == "origin_refused"
    assert [line.origin for line in scene.lines() if line.reason == "origin_refused"] == ["https://evil.example"]


async def test_a_refused_url_and_a_refused_host_are_named(scene: Scene) -> None:
    hook = {"url": "https://127.0.0.1/", "events": []}
    answer = await scene.client.post("/api/me/webhooks", json=hook, headers={"Authorization": f"Bearer {make()}"})
    assert answer.status_code == 422
    answer = await scene.client.post("/mcp", json={}, headers={"Host": "todo.example"})
    assert answer.status_code in (403, 421)
    refused_url, refused_host = scene.lines()
    assert refused_url.reason == "url_refused"
    assert refused_host.host == "todo.example"


async def test_a_failing_database_is_named(scene: Scene) -> None:
    error = Unavailable()
    error.__cause__ = ConnectionRefusedError("port 5432 is closed")
    problem_from_error(error)
    (line,) = scene.lines()
    assert line.cause == "cannot connect to the database: port 5432 is closed"


def test_what_a_mail_server_says_is_described_without_addresses() -> None:
    refused = describe_mail_error(RuntimeError("(550, '5.1.1 <ann@example.com>: unknown\nuser')"))
    assert refused == "RuntimeError: (550, '5.1.1 <<address>>: unknown user')"
    assert describe_mail_error(TimeoutError()) == "TimeoutError"


def test_a_request_that_never_reaches_the_application_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(refusals, "_OUTSIDE_OF_REQUESTS", RefusalLog())
    copy_context().run(render_refusal, BAD_HOST, [], host="evil.example")
    (line,) = caplog.records
    assert (vars(line)["reason"], vars(line)["host"]) == ("bad_host", "evil.example")
