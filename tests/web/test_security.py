"""Second factors in the web client: turned on, asked for, turned off."""

import re

import pytest

from app.db.connection_options import ConnectOptions
from tests.accounts.factors import Authenticator
from tests.web.factors import CODES, long_after, other_complaints
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow


def turn_on(window: Window) -> tuple[Authenticator, list[str]]:
    """Turns an app on as its user does; returns it with the recovery codes, which are still shown."""
    page = window.page
    window.go("#/settings/security")
    page.click("#totp-on")
    page.type("[aria-labelledby=totp-title] input[name=password]", PASSWORD)
    page.press("Enter")
    page.shows(".qr")
    secret = re.sub(r"\s", "", page.run("document.querySelector('.secret').textContent"))
    app = Authenticator(secret)
    page.type("[aria-labelledby=totp-title] input[name=code]", app.code())
    page.press("Enter")
    page.shows(".codes")
    return app, list(page.run(CODES))


def enter(window: Window, code: str) -> None:
    window.page.run("document.querySelector('input[name=code]').value = ''")
    window.page.type("input[name=code]", code)
    window.page.press("Enter")


def test_an_app_is_turned_on_asked_for_and_turned_off(window: Window) -> None:
    page = window.page
    _, codes = turn_on(window)
    assert len(set(codes)) == 10
    page.click("#codes-kept")
    page.wait("document.body.innerText.includes('10 codes are left')")
    window.log_out()
    window.give_password()
    page.shows("input[name=code]")
    enter(window, "000000")
    page.wait("document.querySelector('.failed').innerText.includes('is wrong')")
    enter(window, codes[0])
    window.in_step()
    window.go("#/settings/security")
    page.wait("document.body.innerText.includes('9 codes are left')")
    page.click("#totp-off")
    page.click("#totp-off")
    page.shows("#totp-on")
    window.log_out()
    window.log_in()
    assert other_complaints(window) == []


def test_going_back_from_the_code_asks_for_the_password_again(window: Window) -> None:
    turn_on(window)
    window.page.click("#codes-kept")
    window.log_out()
    window.give_password()
    window.page.shows("input[name=code]")
    window.page.click("#back")
    window.page.shows("input[name=password]")
    assert window.page.run("localStorage.getItem('todo.user')") is None


def test_a_change_that_needs_a_recent_factor_asks_for_it(window: Window, postgres: ConnectOptions) -> None:
    _, codes = turn_on(window)
    page = window.page
    page.click("#codes-kept")
    long_after(postgres)
    for _ in range(2):
        page.click("#renew-codes")
    page.shows("dialog input[name=code]")
    enter(window, codes[0])
    page.wait(f"{CODES}.length == 10")
    assert len({*page.run(CODES), *codes}) == 20
    page.click("#codes-kept")
    long_after(postgres)
    for _ in range(2):
        page.click("#totp-off")
    page.click("#cancel-proof")
    page.wait("document.body.innerText.includes('Nothing was changed')")
    page.shows("#totp-off")
