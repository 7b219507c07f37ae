"""Signing in, connecting an app and linking in a real browser, with oidc-provider from npm, a certified provider."""

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
import httpx
import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import Browser, Page
from tests.oauth.flow import Agent
from tests.oauth.test_official_client import listening
from tests.ports import free_port
from tests.servers import Server, running
from tests.web.window import Window

pytestmark = pytest.mark.slow

PACKAGE, CLIENT_SECRET = "oidc-provider@9.13.3", "a secret: with+signs"
# Its own pages ask for any name and any password, and for consent. E-mails of names in capitals are not verified.
SERVE = """
import { Provider } from "oidc-provider";
const { PORT, SERVICE, SECRET } = process.env;
const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [{
    client_id: "todo",
    client_secret: SECRET,
    redirect_uris: [`${SERVICE}/api/auth/oidc/default/callback`],
    post_logout_redirect_uris: [`${SERVICE}/app`],
  }],
  claims: { email: ["email", "email_verified"], profile: ["name"] },
  cookies: { keys: [SECRET] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: "Pat", email: `${id.toLowerCase()}@example.com`, email_verified: id === id.toLowerCase(),
    }),
  }),
});
provider.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
"""
# The provider's pages, our refusals, and requests of a page that has just logged out.
EXPECTED = re.compile(r"fonts\.googleapis|favicon\.ico|status of (401|403|409)")
START = "a[href$='/api/auth/oidc/default/start']"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes the provider's program, next to the package that it needs."""
    if shutil.which("npm") is None:
        pytest.skip("no Node.js on this machine: no provider from npm was tried")
    folder = tmp_path_factory.mktemp("oidc-provider")
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", PACKAGE]
    if subprocess.run(install, cwd=folder, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip(f"npm could not fetch {PACKAGE}: no provider from npm was tried")
    path = folder / "serve.mjs"
    path.write_text(SERVE)
    return path


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions, migrated: str, program: Path) -> Iterator[Server]:
    """Starts two processes, so that a sign-in may end in another one than it began in."""
    port = free_port()
    known = {"OIDC_ISSUER": f"http://127.0.0.1:{port}", "OIDC_CLIENT_ID": "todo", "OIDC_CLIENT_SECRET": CLIENT_SECRET}
    with running(postgres.dsn, OIDC_NAME="Home ID", WEB_CONCURRENCY="2", **known) as server:
        env = {"PATH": os.environ["PATH"], "PORT": str(port), "SERVICE": server.url, "SECRET": CLIENT_SECRET}
        with subprocess.Popen(["node", str(program)], env=env, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                yield server
            finally:
                process.kill()


@pytest.fixture
def window(chromium: Browser, service: Server) -> Iterator[Window]:
    opened = Window(chromium, service)
    yield opened
    complaints = [line for line in opened.complaints() if not EXPECTED.search(line)]
    opened.close()
    assert complaints == []


def new_name() -> str:
    return uuid.uuid4().hex


def enter_name(page: Page, name: str) -> None:
    """Signs in on the provider's page, and consents there."""
    page.type("input[name=login]", name)
    page.type("input[name=password]", "any")
    page.click("[type=submit]")
    page.shows("input[name=prompt][value=consent]")
    page.click("[type=submit]")


def test_the_button_of_a_provider_makes_an_account_and_finds_it_again(window: Window) -> None:
    name = new_name()
    window.open()
    window.page.wait(f'document.querySelector("{START}").innerText == "Continue with Home ID"')
    window.page.click(START)
    enter_name(window.page, name)
    window.in_step()
    assert window.page.run("location.href") == f"{window.service.url}/app"
    window.add("Buy milk")
    window.in_step()
    window.open()  # a reload keeps the login
    window.shows("Buy milk")
    window.page.click("#logout")
    window.page.shows("[name=logout]")  # the provider asks about its own login
    window.page.click("[value=yes]")
    window.page.shows(START)
    window.page.click(START)
    enter_name(window.page, name)
    window.shows("Buy milk")


async def test_a_provider_logs_in_on_the_page_that_connects_an_app(window: Window) -> None:
    name, page = new_name(), window.page
    with listening() as callback:
        async with httpx.AsyncClient(trust_env=False) as http:
            agent = Agent(http, window.service.url)
            agent.callback = callback.url
            await agent.discover()
            await agent.register()
            page.open(agent.authorize_url())
            page.wait("(document.querySelector('a.button').innerText == 'Continue with Home ID')")
            page.click("a.button")
            page.shows("input[name=login]")
            page.click(".login-help a")  # cancels there
            page.wait("document.querySelector('h1').innerText == 'The sign-in failed'")
            page.click("a")
            page.click("a.button")
            enter_name(page, name)
            page.shows("button[value=allow]")  # back on the same page, with the login
            assert f"You are logged in as {name}@example.com" in page.text()
            assert "An app that calls itself Agent asks for access" in page.text()
            page.click("button[value=allow]")
            received = await anyio.to_thread.run_sync(lambda: callback.received.get(timeout=20))
            assert received["state"] == "a state & more"
            pair = (await agent.exchange(received["code"])).json()
            answer = await agent.call(pair["access_token"], "tools/call", name="add_task", arguments={"title": "x"})
            assert answer.json()["result"]["isError"] is False, answer.text
    window.open()
    page.shows("input[name=password]")
    asked = "fetch('api/auth/refresh', {method: 'POST', headers: {'X-Refresh-Cookie': 'true'}}).then((a) => a.status)"
    assert page.run(asked) == 401  # the login was made for the answer, and ended with it


def show_links(window: Window) -> None:
    window.go("#/settings/security")
    window.page.shows("#links")


def test_a_user_links_the_provider_and_removes_it(window: Window) -> None:
    name, page = new_name(), window.page
    window.register()
    window.add("Buy milk")
    window.in_step()
    show_links(window)
    page.click("#link-default")
    enter_name(page, name.upper())  # its e-mail is another one, and not verified: both are the user's nevertheless
    page.wait("document.querySelector('#links .meta').innerText.includes('Last used')")  # the list is shown again
    assert name in page.run("document.querySelector('#links').innerText")
    assert page.run("document.querySelector('#link-default')") is None

    page.click("#logout")  # by password, so the login at the provider stays
    page.click(START)
    window.shows("Buy milk")
    show_links(window)
    page.click("[id^=unlink-]")
    page.click("[id^=unlink-].danger")
    page.shows("#link-default")

    page.click("#logout")
    page.shows("[name=logout]")
    page.click("[value=yes]")
    page.shows(START)
    page.click(START)
    enter_name(page, name.upper())
    window.in_step()  # no account has the same e-mail, so it is a new one
    assert page.run("JSON.parse(localStorage['todo.user']).email") == f"{name}@example.com"


def test_an_email_that_one_side_has_not_verified_opens_no_account(window: Window) -> None:
    """Vikunja's GHSA-xv7q, in the browser: the account is reached by logging in to it as before."""
    window.register()
    name, page = window.email.partition("@")[0], window.page
    page.click("#logout")
    page.click(START)
    enter_name(page, name)
    page.wait("document.querySelector('h1').innerText == 'The sign-in failed'")
    assert "log in to it as before, and link the provider there" in page.text()
    page.click("a")
    page.shows("input[name=password]")
