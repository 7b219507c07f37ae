"""Attacks on signing in with a provider, and providers that fail."""

import time
from typing import Any

import pytest

from app.config import Settings
from tests.accounts.conftest import Start
from tests.accounts.support import Visitor
from tests.oidc.browser import BASE, START, SignInBrowser, assert_refused, assert_signed_in
from tests.oidc.conftest import Open
from tests.oidc.provider import CLIENT_ID, CLIENT_SECRET, RSA_KEY, STRANGE_KEY, Provider, providing
from tests.support import assert_problem

TOO_OLD = "too old, was used already, or began in another browser"
NOT_VALID = "not valid for this sign-in"


async def test_a_state_is_good_for_one_use(browser: SignInBrowser, provider: Provider) -> None:
    sent = await browser.leave()
    assert_signed_in(await browser.come_back(sent))
    replayed = sent | {"code": provider.authorize((await browser.get(START)).headers["location"])["code"]}
    assert_refused(await browser.come_back(replayed), 403, TOO_OLD)


async def test_a_sign_in_ends_in_the_browser_that_began_it(browser: SignInBrowser, provider: Provider) -> None:
    """Login CSRF: an attacker's code and state, sent by a victim's browser, log nobody in; nor do they use it up."""
    sent = await browser.leave()
    victim = SignInBrowser(browser.client, provider)
    assert_refused(await victim.come_back(sent), 403, TOO_OLD)
    await victim.leave()
    assert_refused(await victim.come_back(sent), 403, TOO_OLD)
    assert_signed_in(await browser.come_back(sent))


async def test_a_link_ends_in_the_browser_that_began_it(browser: SignInBrowser, provider: Provider) -> None:
    """A victim who is sent on by an attacker's link would open the attacker's account to itself, and the reverse."""
    attacker = await Visitor(browser.client).register()
    begun = await browser.post("/api/auth/oidc/default/link", attacker.access)
    victim = SignInBrowser(browser.client, provider)
    assert_refused(await victim.come_back(provider.authorize(begun.json()["url"])), 403, TOO_OLD)
    assert (await attacker.get("/api/auth/links")).json() == []


async def test_made_up_responses_are_refused(browser: SignInBrowser) -> None:
    made_up: list[dict[str, str]] = [{}, {"state": ""}, {"state": "x"}, {"code": "x"}, {"code": "x", "state": "\u20ac"}]
    for _ in range(2):
        for sent in made_up:
            assert_refused(await browser.come_back(sent), 403, TOO_OLD)
        await browser.leave()


async def test_a_sign_in_ends_after_ten_minutes(browser: SignInBrowser, sql: Any) -> None:
    sent = await browser.leave()
    await sql.execute("update oidc_sign_ins set expires_at = now() where provider = 'default'")
    assert_refused(await browser.come_back(sent), 403, TOO_OLD)
    assert_signed_in(await browser.sign_in())


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"nonce": "another"}, {"nonce": None}, {"iss": "https://evil.example"}, {"iss": None}, {"aud": "another"},
    {"aud": None}, {"aud": []}, {"aud": [CLIENT_ID, "another"]}, {"aud": [CLIENT_ID, "another"], "azp": "another"},
    {"azp": "another"}, {"exp": int(time.time()) - 3600}, {"exp": None}, {"exp": "tomorrow"}, {"exp": True},
    {"iat": int(time.time()) + 36_000}, {"iat": None}, {"nbf": int(time.time()) + 36_000}, {"sub": None}, {"sub": 7},
    {"sub": ""}, {"sub": "x" * 256}, {"sub": "a\u0000b"},
]  # fmt: skip


async def test_an_id_token_is_checked(browser: SignInBrowser, provider: Provider) -> None:
    for claims in WRONG_CLAIMS:
        provider.claims = claims
        assert_refused(await browser.sign_in(), 403, NOT_VALID)
    provider.claims = {}
    assert_signed_in(await browser.sign_in())


async def test_several_audiences_name_this_client_as_the_party(browser: SignInBrowser, provider: Provider) -> None:
    provider.claims = {"aud": ["another", CLIENT_ID], "azp": CLIENT_ID}
    assert_signed_in(await browser.sign_in())


WRONG_SIGNATURES: list[tuple[Any, str, dict[str, str]]] = [
    (STRANGE_KEY, "RS256", {"kid": "rsa"}), (STRANGE_KEY, "RS256", {"kid": "unknown"}),
    ("", "none", {"kid": "rsa"}), (CLIENT_SECRET * 2, "HS256", {"kid": "rsa"}), (CLIENT_SECRET * 2, "HS256", {}),
    (RSA_KEY, "RS512", {"kid": "rsa"}),
]  # fmt: skip


async def test_only_a_published_key_signs(browser: SignInBrowser, provider: Provider) -> None:
    for key, algorithm, header in WRONG_SIGNATURES:
        provider.key, provider.algorithm, provider.header = key or None, algorithm, header
        assert_refused(await browser.sign_in(), 403, NOT_VALID)


async def test_a_response_of_another_provider_is_refused(start: Start, provider: Provider) -> None:
    """Mix-up (RFC 9700, 4.4): by the redirect URI, which is of one provider, and by ``iss`` (RFC 9207)."""
    with providing() as evil:
        secret = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        client = await start(public_url=BASE, base_url=BASE, oidc_providers=[
            {"id": "default-2", "issuer": provider.issuer, **secret}, {"id": "evil", "issuer": evil.issuer, **secret},
        ])  # fmt: skip
        browser = SignInBrowser(client, evil)
        begun = await browser.get("/api/auth/oidc/evil/start")
        sent = evil.authorize(begun.headers["location"])
        assert_refused(await browser.come_back(sent, "/api/auth/oidc/default-2/callback"), 403, TOO_OLD)
        assert not provider.codes
        assert "POST /token" not in provider.requests
        assert_refused(
            await browser.come_back(sent | {"iss": provider.issuer}, "/api/auth/oidc/evil/callback"), 403, NOT_VALID
        )


async def test_the_issuer_of_a_response_is_required_where_it_is_promised(
    browser: SignInBrowser, provider: Provider
) -> None:
    provider.changes = {"authorization_response_iss_parameter_supported": True}
    assert_refused(await browser.sign_in(), 403, NOT_VALID)
    sent = await browser.leave()
    assert_signed_in(await browser.come_back(sent | {"iss": provider.issuer}))


async def test_a_code_that_was_injected_fails_at_the_provider(browser: SignInBrowser, provider: Provider) -> None:
    """A stolen code belongs to the verifier and the nonce of another browser."""
    stolen = (await SignInBrowser(browser.client, provider).leave())["code"]
    sent = await browser.leave()
    assert_refused(await browser.come_back(sent | {"code": stolen}), 403, "did not sign you in")


async def test_a_refusal_at_the_provider_is_said_and_leads_back(browser: SignInBrowser) -> None:
    sent = await browser.leave("/oauth/authorize?a=1&b=2")
    answer = await browser.come_back({"state": sent["state"], "error": "access_denied", "error_description": "<b>x"})
    assert_refused(answer, 403, "did not sign you in", "/oauth/authorize?a=1&amp;b=2")
    assert "<b>x" not in answer.text


OTHER_SITES = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\/evil.example", "/app\r\nSet-Cookie: x=1",
    "javascript:alert(1)", "/app#signed-in=x", "evil", "/\t/evil.example", "https:evil.example",
    "/app\u20ac",
    "/sub/../other", "/sub/%2e%2E/other", "http://todo.example@evil.example/",
]  # fmt: skip


async def test_no_other_site_comes_after_a_sign_in(browser: SignInBrowser) -> None:
    for next_url in OTHER_SITES:
        answer = await browser.client.get(START, params={"next": next_url})
        assert_refused(answer, 400, "next is a path of this service")


async def test_a_page_of_this_service_or_of_an_allowed_origin_comes_after_a_sign_in(open_browser: Open) -> None:
    asked = "/oauth/authorize?client_id=x&state=a%20%26b"
    browser = await open_browser()
    assert_signed_in(await browser.sign_in(asked), asked)
    spa = {"cors_origins": ["https://spa.todo.example"], "refresh_cookie": True}
    assert_signed_in(
        await (await open_browser(**spa)).sign_in("https://spa.todo.example/in"), "https://spa.todo.example/in"
    )
    for settings in ({}, {"cors_origins": ["https://spa.todo.example"]}):
        plain = await open_browser(**settings)
        answer = await plain.client.get(START, params={"next": "https://spa.todo.example/in"})
        assert_refused(answer, 400, "next is a path of this service")
    below = await open_browser(base_url=f"{BASE}/sub")
    answer = await below.client.get(START, params={"next": "/elsewhere"})
    assert answer.status_code == 400


async def test_a_provider_that_is_down_is_a_clear_error(
    browser: SignInBrowser, provider: Provider, ann: Visitor
) -> None:
    provider.down = True
    assert_refused(await browser.get(START), 502, "The provider cannot be reached")
    answer = await browser.post("/api/auth/oidc/default/link", (await Visitor(browser.client).register()).access)
    assert_problem(answer, 502, "provider_unavailable")
    provider.down = False
    sent = await browser.leave()
    provider.down = True
    assert_refused(await browser.come_back(sent), 502, "The provider cannot be reached")
    assert (await browser.get("/api/auth/oidc")).json()[0]["id"] == "default"
    assert (await browser.client.get("/health")).status_code == 200
    provider.down = False
    assert_signed_in(await browser.sign_in())


WRONG_METADATA: list[dict[str, Any]] = [
    {"issuer": "https://evil.example"}, {"issuer": None}, {"token_endpoint": None}, {"jwks_uri": "file:///etc/passwd"},
    {"authorization_endpoint": "javascript:alert(1)"}, {"token_endpoint": ["x"]},
]  # fmt: skip


async def test_metadata_are_checked(browser: SignInBrowser, provider: Provider) -> None:
    for changes in WRONG_METADATA:
        provider.changes = changes
        assert_refused(await browser.get(START), 502, "The provider cannot be reached")


@pytest.mark.parametrize("endpoint", ["token_endpoint", "jwks_uri"])
async def test_metadata_lead_to_no_private_address(browser: SignInBrowser, provider: Provider, endpoint: str) -> None:
    """Only the host that the operator names may be a private one."""
    provider.changes = {endpoint: "http://127.0.0.2:9/"}
    assert_refused(await browser.sign_in(), 502, "The provider cannot be reached")


async def test_the_redirect_uri_is_not_made_of_a_strangers_host(start: Start, provider: Provider) -> None:
    known = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID}
    client = await start(base_url="https://evil.example", **known)
    assert (await client.get(START)).status_code == 404


@pytest.mark.parametrize(("wrong", "words"), [
    ({"oidc_issuer": "https://auth.example"}, "set together"), ({"oidc_client_id": "x"}, "set together"),
    ({"oidc_issuer": "auth.example", "oidc_client_id": "x"}, "URL of an issuer"),
    ({"oidc_issuer": "https://u:p@auth.example", "oidc_client_id": "x"}, "URL of an issuer"),
    ({"oidc_issuer": "https://auth.example?x", "oidc_client_id": "x"}, "URL of an issuer"),
    ({"oidc_providers": "{"}, "JSON list"), ({"oidc_providers": "7"}, "oidc_providers"),
    ({"oidc_providers": [{"id": "default", "issuer": "https://a.example", "client_id": "x"}]}, "each id"),
    ({"oidc_providers": [{"id": "A/B", "issuer": "https://a.example", "client_id": "x"}]}, "id"),
    ({"oidc_providers": [{"id": "a", "issuer": "https://a.example", "client_id": "x", "secret": "y"}]}, "secret"),
    ({"oidc_providers": [{"id": "a", "issuer": "https://a.example", "client_id": "x", "scopes": "email"}]}, "openid"),
])  # fmt: skip
async def test_wrong_settings_are_refused_at_start(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(_env_file=None, **wrong)


async def test_sign_ins_that_nobody_finishes_are_pruned(
    browser: SignInBrowser, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By few of the starts, so that a flood of them does not make each one slow."""
    old = "insert into oidc_sign_ins select sha256(n::text::bytea), 'x', 'left', 'n', 'v', '/app', null, null, now()"
    await sql.execute(f"{old} from generate_series(1, 200) as n")
    count = "select count(*) from oidc_sign_ins where provider = 'left'"
    monkeypatch.setattr("app.services.oidc.sign_in.SIGN_IN_PRUNE_SHARE", 0.0)
    sent = await browser.leave()
    assert await sql.fetchval(count) == 200
    monkeypatch.setattr("app.services.oidc.sign_in.SIGN_IN_PRUNE_SHARE", 1.0)
    await browser.leave()
    assert await sql.fetchval(count) == 0
    assert_signed_in(await browser.come_back(sent))
