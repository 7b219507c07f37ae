"""Passkeys in a real browser with a virtual authenticator: made, used alone and after a password, in two processes."""

import secrets
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import Page
from tests.oauth.flow import challenge_of
from tests.servers import Server, running
from tests.web.factors import CODES, long_after, other_complaints
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow

CALLBACK = "http://127.0.0.1:1/callback"


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts two processes on one port. Browsers have passkeys for names alone, not for IP addresses."""
    with running(postgres.dsn, WEB_CONCURRENCY="2") as server:
        server.url = f"http://localhost:{server.port}"
        yield server


def add_authenticator(page: Page) -> str:
    """Gives the browser a device with a fingerprint reader, whose user always agrees."""
    page.call("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    return str(page.call("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"])


def add_passkey(window: Window, name: str = "Laptop") -> list[str]:
    """Adds a passkey as its user does; returns the recovery codes."""
    page = window.page
    window.go("#/settings/security")
    page.click("#add-passkey")
    page.type("[aria-labelledby=passkeys-title] input[name=name]", name)
    page.type("[aria-labelledby=passkeys-title] input[name=password]", PASSWORD)
    page.press("Enter")
    page.wait(f"{CODES}.length == 10")
    codes = list(page.run(CODES))
    page.click("#codes-kept")
    page.wait(f"document.querySelector('[aria-labelledby=passkeys-title]').innerText.includes({name!r})")
    return codes


def test_a_passkey_logs_in_alone_and_after_the_password(window: Window) -> None:
    page = window.page
    device = add_authenticator(page)
    add_passkey(window)
    (kept,) = page.call("WebAuthn.getCredentials", authenticatorId=device)["credentials"]
    assert kept["isResidentCredential"]
    assert kept["rpId"] == "localhost"
    window.log_out()
    page.click("#passkey-login")
    window.in_step()
    window.log_out()
    window.give_password()
    page.click("#use-passkey")
    window.in_step()
    window.go("#/settings/security")
    page.wait("document.querySelector('[aria-labelledby=passkeys-title]').innerText.includes('Last used')")
    page.run("document.querySelector('[aria-labelledby=passkeys-title] .apps button').click()")
    page.run("document.querySelector('[aria-labelledby=passkeys-title] .apps button').click()")
    page.wait("!document.querySelector('[aria-labelledby=passkeys-title] .apps')")
    window.log_out()
    page.click("#passkey-login")
    page.wait("document.querySelector('.failed').innerText.includes('was not accepted')")
    window.log_in()
    assert other_complaints(window) == []


def test_a_recovery_code_replaces_a_lost_passkey(window: Window) -> None:
    page = window.page
    device = add_authenticator(page)
    codes = add_passkey(window)
    window.log_out()
    page.call("WebAuthn.removeVirtualAuthenticator", authenticatorId=device)
    window.give_password()
    page.shows("input[name=code]")
    page.type("input[name=code]", codes[0])
    page.press("Enter")
    window.in_step()


def test_a_device_that_its_user_does_not_unlock_is_refused(window: Window) -> None:
    page = window.page
    device = add_authenticator(page)
    add_passkey(window)
    window.log_out()
    page.call("WebAuthn.setUserVerified", authenticatorId=device, isUserVerified=False)
    page.click("#passkey-login")
    page.wait("document.querySelector('.failed').innerText.includes('No passkey was used')")


def test_a_passkey_proves_what_needs_a_recent_factor(window: Window, postgres: ConnectOptions) -> None:
    page = window.page
    add_authenticator(page)
    codes = add_passkey(window)
    long_after(postgres)
    window.go("#/settings/security")
    for _ in range(2):
        page.click("#renew-codes")
    page.click("#use-passkey")
    page.wait(f"{CODES}.length == 10")
    assert len({*page.run(CODES), *codes}) == 20


def authorize_url(service: Server) -> str:
    body = {"client_name": "Agent", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    client = httpx.post(f"{service.url}/oauth/register", json=body, trust_env=False).json()["client_id"]
    asked = {
        "response_type": "code", "client_id": client, "redirect_uri": CALLBACK, "scope": "read", "state": "x",
        "code_challenge": challenge_of(secrets.token_urlsafe(48)), "code_challenge_method": "S256",
    }  # fmt: skip
    return f"{service.url}/oauth/authorize?{urlencode(asked)}"


def allowed(page: Page) -> bool:
    """Allows what the page asks for; returns whether the browser was sent to the app with a code."""
    page.click("[value=allow]")
    page.wait("location.protocol != 'http:' || !document.querySelector('[value=allow]')")
    urls = [sent["request"]["url"] for sent in page.seen("Network.requestWillBeSent")]
    return any(url.startswith(CALLBACK) and "code=" in url for url in urls)


def test_an_app_is_connected_with_a_passkey_alone(window: Window, service: Server) -> None:
    page = window.page
    add_authenticator(page)
    add_passkey(window)
    window.log_out()
    page.open(authorize_url(service))
    page.wait("!document.querySelector('#passkey').hidden")
    page.click("#passkey button")
    page.wait(f"document.querySelector('[value=allow]') && document.body.innerText.includes({window.email!r})")
    assert allowed(page)


def test_an_app_is_connected_with_a_password_and_a_passkey(window: Window, service: Server) -> None:
    page = window.page
    add_authenticator(page)
    add_passkey(window)
    window.log_out()
    page.open(authorize_url(service))
    page.type("input[name=email]", window.email)
    page.type("input[name=password]", PASSWORD)
    page.press("Enter")
    page.wait("document.querySelector('h1').innerText == 'One more step' && !document.querySelector('#passkey').hidden")
    page.click("#passkey button")
    page.shows("[value=allow]")
    assert allowed(page)


def test_an_app_asks_a_login_for_a_recent_passkey(window: Window, service: Server, postgres: ConnectOptions) -> None:
    page = window.page
    add_authenticator(page)
    add_passkey(window)
    long_after(postgres)
    page.call("Page.navigate", url=authorize_url(service))
    page.wait("document.querySelector('h1').innerText == 'One more step' && !document.querySelector('#passkey').hidden")
    page.click("#passkey button")
    page.shows("[value=allow]")
    assert allowed(page)
