"""Undo in the web client: of the write that a message names, and of the latest one, also after a reload."""

import pytest

from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow


def test_the_message_undoes_its_own_write(window: Window) -> None:
    window.add("Alpha", "Beta")
    window.in_step()
    window.complete("Alpha")
    window.page.wait("document.querySelector('#toast').innerText.includes('Alpha')")
    window.edit("Beta", "Gamma")
    window.in_step()
    window.page.click("#undo")
    window.shows("Alpha", "Gamma")
    window.in_step()
    assert window.kept(status="pending") == ["Alpha", "Gamma"]


@pytest.mark.parametrize("deleted", ["Alpha", "Beta"])
def test_the_message_undoes_its_own_deletion(window: Window, deleted: str) -> None:
    window.add("Alpha", "Beta")
    window.in_step()
    window.open_details(deleted)
    window.page.click("#delete-task")
    window.page.wait(f"document.querySelector('#toast').innerText.includes('{deleted}')")
    window.add("Gamma")
    window.in_step()
    window.page.click("#undo")
    window.shows("Alpha", "Beta", "Gamma")


def test_the_latest_writes_are_undone_after_a_reload_one_after_the_other(window: Window) -> None:
    window.add("Alpha", "Beta")
    window.in_step()
    window.complete("Alpha")
    window.edit("Beta", "Gamma")
    window.in_step()
    window.open("?again")
    window.shows("Gamma")
    window.in_step()
    window.page.press("u")
    window.shows("Beta")
    window.page.wait("document.querySelector('#toast').innerText.startsWith('Undone: Changed “Gamma”')")
    window.in_step()
    window.page.press("u")
    window.shows("Alpha", "Beta")
    window.in_step()
    window.open("?once-more")
    window.shows("Alpha", "Beta")
    window.in_step()
    window.page.press("u")
    window.shows("Alpha")


def test_the_writes_of_one_user_are_not_undone_by_the_next(window: Window) -> None:
    with window.api() as api:
        body = {"email": f"other-{window.email}", "password": PASSWORD}
        assert api.post(str(api.base_url.join("/api/auth/register")), json=body).status_code == 201
    window.add("Alpha")
    window.in_step()
    window.log_out()
    window.email = f"other-{window.email}"
    window.log_in()
    window.page.press("u")
    window.page.wait("document.querySelector('#toast').innerText.includes('Nothing to undo.')")
