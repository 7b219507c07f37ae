"""A day of one person: two windows of a browser and a phone, with and without the service."""

import json

import pytest

from tests.browser import Browser
from tests.servers import Server
from tests.web.looks import FAULTS, Look
from tests.web.test_offline import SAYS_OFFLINE, cut, is_stored, join
from tests.web.test_selection import choose
from tests.web.window import Window

pytestmark = pytest.mark.slow

RENT, NEW_RENT = "Pay the rent", "Pay the rent and the power"
REPORT, MILK, CALL = "Write the report", "Buy milk", "Ring Ann"
CTRL = 2


def looks_right(*windows: Window) -> None:
    for window in windows:
        assert json.loads(window.page.run(FAULTS)) == []


def complaints(window: Window) -> list[str]:
    """Lists what the console has of faults; requests that were cut are none."""
    return [one for one in window.complaints() if "ERR_BLOCKED" not in one]


@pytest.fixture
def phone(browser: Browser, service: Server, window: Window) -> Window:
    """Opens another device, which is not logged in yet."""
    device = Window(browser, service)
    device.email = window.email
    Look(width=390, height=844, touch=True).apply(device)
    return device


def test_a_day(window: Window, phone: Window) -> None:
    Look().apply(window)
    window.add(f"{RENT} tomorrow at 9 #Home @bank", f"{REPORT} today", f"{MILK} today")
    other = window.another()
    Look(colours="dark").apply(other)
    other.go("#/today")
    other.shows(REPORT, MILK)
    other.complete(MILK)
    window.shows(RENT, REPORT)
    looks_right(window, other)

    phone.open("#/all")
    phone.log_in()
    phone.shows(RENT, REPORT)
    is_stored(phone, REPORT)
    cut(phone)
    phone.add(f"{CALL} today")
    phone.complete(REPORT)
    phone.reload()
    phone.page.wait(SAYS_OFFLINE)
    phone.shows(RENT, f"{CALL} today")  # the service will read it
    looks_right(phone)

    window.edit(RENT, NEW_RENT)  # while the phone is away
    window.in_step()
    window.shows(NEW_RENT, REPORT)
    join(phone)
    for each in (phone, window):
        each.shows(NEW_RENT, CALL)
        each.in_step()
    other.shows(CALL)
    assert window.kept(status="completed") == [REPORT, MILK]

    window.page.press("a", modifiers=CTRL)
    choose(window, "#bulk-priority", "urgent")
    phone.page.wait("document.querySelectorAll('.check.urgent').length == 2")
    window.page.shows("#undo")
    window.in_step()
    window.page.click("#undo")
    phone.page.wait("document.querySelectorAll('.check.urgent').length == 0")

    window.go("#/calendar")
    window.page.wait(f"[...document.querySelectorAll('.chip')].some((one) => one.innerText.includes('{NEW_RENT}'))")
    looks_right(window)
    phone.go("#/upcoming")
    phone.shows(NEW_RENT)
    looks_right(phone)
    window.go("#/all?search=power&status=all")
    window.page.wait("document.querySelector('.row mark').innerText == 'power'")
    looks_right(window)
    window.go("#/activity")
    window.page.wait(f"document.querySelector('main').innerText.includes('Completed “{REPORT}”')")
    looks_right(window)

    phone.go("#/all")
    phone.page.click(".menu")
    phone.log_out()
    assert [complaints(each) for each in (window, other, phone)] == [[], [], []]
    phone.close()
