"""The page of channels: each kind, what is missing, tests, secrets that never come back."""

import json
from collections.abc import Iterator

import pytest

from app.db.connection_options import ConnectOptions
from tests.receivers import receiving
from tests.servers import Server, running
from tests.web.window import Window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts a process that may call the loopback, on which the receivers are."""
    with running(postgres.dsn, WEBHOOKS_ALLOW_PRIVATE="true") as server:
        yield server


def open_form(window: Window, kind: str) -> None:
    window.go("#/channels")
    window.page.click(f"#add-{kind}")
    window.page.shows(".channel-form")


def fill(window: Window, **fields: str) -> None:
    for name, text in fields.items():
        selector = f".channel-form [name={name}]"
        window.page.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        window.page.run(f"document.querySelector({json.dumps(selector)}).select?.()")
        if name.startswith(("quiet_", "digest_")):  # typed in the browser's parts of a time
            set_value = "Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set"
            window.page.run(
                f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
                f" {set_value}.call(field, {json.dumps(text)});"
                " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
            )
        else:
            window.page.type(selector, text)


def save(window: Window) -> None:
    window.page.click(".channel-form .primary")
    window.page.wait("document.querySelector('.channel-form') === null")


def channel(window: Window, count: int = 1) -> str:
    """Returns a selector of the newest channel, once there are ``count``."""
    rows = "[...document.querySelectorAll('.channel[data-id]')]"
    window.page.wait(f"{rows}.length == {count} && {rows}.every((row) => row.dataset.id > 0)")
    newest = window.page.run(f"Math.max(...{rows}.map((row) => row.dataset.id))")
    return f".channel[data-id='{newest}']"


def shows_text(window: Window, selector: str, text: str) -> None:
    window.page.wait(f"document.querySelector({json.dumps(selector)}).innerText.includes({json.dumps(text)})")


def test_each_kind_is_added_tested_changed_paused_and_deleted(window: Window) -> None:
    with receiving(lambda _: 200) as receiver:
        open_form(window, "gotify")
        assert window.page.run("document.querySelector('[type=password]').autocomplete") == "new-password"
        fill(window, name="Desk", url=receiver.server_url, token="secret-of-gotify", quiet_from="22:00")
        window.page.click(".channel-form .primary")
        window.page.shows(".channel-form [role=alert]")
        window.page.shows(".channel-form [name^=quiet_][aria-invalid=true]")
        fill(window, quiet_to="07:00", digest_time="08:00")
        window.page.click(".channel-form [value=sun]")
        save(window)
        row = channel(window)
        shows_text(window, row, "07:00 · digest 08:00 on Mon, Tue, Wed, Thu, Fri, Sat")
        assert window.page.run(f"document.activeElement.matches({json.dumps(row + ' button')})")
        window.page.click(f"{row} [id^=test-]")
        shows_text(window, f"{row} [role=status]", "Test delivered")
        assert window.page.run(f"document.activeElement.matches({json.dumps(row + ' button')})")
        assert receiver.calls[0].headers["x-gotify-key"] == "secret-of-gotify"
        window.page.click(f"{row} [id^=edit-]")
        window.page.shows(".channel-form")
        assert "secret-of-gotify" not in window.page.run("document.documentElement.outerHTML")
        fill(window, name="Desk at home")
        save(window)
        shows_text(window, row, "Desk at home")
        window.page.click(f"{row} [id^=test-]")
        shows_text(window, f"{row} [role=status]", "Test delivered")
        assert receiver.calls[1].headers["x-gotify-key"] == "secret-of-gotify"  # it stayed
        window.page.click(f"{row} [id^=pause-]")
        shows_text(window, row, "Switched off.")
        window.in_step()
        window.page.click(f"{row} [id^=pause-]")
        window.page.wait(f"!document.querySelector({json.dumps(row)}).innerText.includes('Switched off.')")
        window.in_step()
        open_form(window, "ntfy")
        topic = window.page.run("document.querySelector('.channel-form [name=topic]').value")
        assert len(topic) > 16
        fill(window, url=receiver.server_url)
        save(window)
        second = channel(window, 2)
        window.page.click(f"{second} [id^=test-]")
        shows_text(window, f"{second} [role=status]", "Test delivered")
        assert json.loads(receiver.calls[2].body)["topic"] == topic
        open_form(window, "apprise")
        fill(window, url=f"{receiver.server_url}/notify", urls="json://localhost xml://localhost")
        save(window)
        third = channel(window, 3)
        window.page.click(f"{third} [id^=test-]")
        shows_text(window, f"{third} [role=status]", "Test delivered")
        assert json.loads(receiver.calls[3].body)["urls"] == "json://localhost,xml://localhost"
    window.page.click(f"{third} [id^=test-]")
    window.page.shows(f"{third} .last.failed[role=status]")
    for _ in range(2):
        window.page.click(f"{third} [id^=delete-]")
    channel(window, 2)
    assert window.page.run("document.activeElement.matches('.channel button')")
    window.page.click("#undo")
    channel(window, 3)
    window.in_step()
    with window.api() as api:
        kept = api.get("/channels").json()
    assert [(one["name"], one["secrets"]) for one in kept] == [
        ("Apprise", ["urls"]), ("Desk at home", ["token"]), ("ntfy", [])
    ]  # fmt: skip
    stored = window.page.run("JSON.stringify({...localStorage})")
    assert "secret-of-gotify" not in stored
    assert [each for each in window.complaints() if "status of 422" not in each] == []


def test_the_page_says_what_to_do_where_a_kind_cannot_be_used(window: Window) -> None:
    window.go("#/channels")
    window.page.wait("document.querySelectorAll('.channel.kind').length == 5")
    kinds = "[...document.querySelectorAll('.channel.kind')].find((one) => one.innerText.startsWith('{}')).innerText"
    assert "set SMTP_URL" in window.page.run(kinds.format("Mail"))
    assert "set VAPID_PRIVATE_KEY" in window.page.run(kinds.format("This browser"))
    assert window.page.run("document.querySelector('#add-mail, #add-webpush')") is None


def test_channels_of_other_windows_and_their_failures_are_shown(window: Window) -> None:
    window.go("#/channels")
    with window.api() as api, receiving(lambda _: 500) as receiver:
        body = {"kind": "ntfy", "topic": "t", "url": receiver.server_url, "name": "Phone"}
        made = api.post("/channels", json=body).json()
        row = channel(window)
        assert api.post(f"/channels/{made['id']}/test").json()["outcome"] == "failed"
    window.open("?again#/channels")
    shows_text(window, f"{row} .last.failed", "The server responded with 500.")


def test_the_page_opens_once_the_service_is_reached(window: Window, service: Server) -> None:
    service.stop()
    try:
        window.page.run("dispatchEvent(new Event('online'))")
        window.go("#/channels")
        window.page.wait("document.querySelector('main').innerText.includes('Offline')")
    finally:
        service.start()
    window.page.wait("document.querySelectorAll('.channel.kind').length == 5")


def test_a_task_names_the_channels_of_its_reminders(window: Window) -> None:
    page = window.page
    with window.api() as api:
        body = {"title": "Buy milk", "due_date": "2030-01-01T09:00:00Z", "reminders": ["PT0S"]}
        task_id = api.post("/tasks", json=body).json()["id"]
        window.open_details("Buy milk")
        page.wait("document.querySelector('.details').innerText.includes('when it is due')")
        assert page.run("document.querySelector('#send-to')") is None  # nothing to choose from
        bodies = [{"kind": "ntfy", "topic": f"t{number}", "name": f"Phone {number}"} for number in (1, 2)]
        first, second = (api.post("/channels", json=body).json()["id"] for body in bodies)
        page.shows("#send-to")

        def named() -> list[int] | None:
            window.in_step()
            found: list[int] | None = api.get(f"/tasks/{task_id}").json()["remind_channels"]
            return found

        def choose(choice: str, shown: int) -> None:
            page.run(
                f"(() => {{ const field = document.querySelector('#send-to'); field.value = '{choice}';"
                " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
            )
            page.wait(f"document.querySelectorAll('.named input').length == {shown}")

        choose("named", 2)  # the page knows both channels from here on: it may have been asked between the two
        for choice, kept in (("all", None), ("named", [first, second])):
            choose(choice, len(kept or []))
            assert named() == kept
        for count, kept in ((1, [second]), (0, [])):
            page.click(f".named label:nth-child({2 - count}) input")
            page.wait(f"document.querySelectorAll('.named input:checked').length == {count}")
            assert named() == kept
        page.wait("document.querySelector('.named').innerText.includes('shown by the bell only')")
        page.click(".named input")
        page.wait("!document.querySelector('.named').innerText.includes('bell')")
        assert named() == [first]
        assert api.delete(f"/channels/{first}").status_code == 204
        page.wait("document.querySelector('.named').innerText.includes('sent to all that take reminders')")
        page.click(".named input")
        page.wait("!document.querySelector('.named').innerText.includes('sent to all')")
        assert named() == [second]
    assert window.complaints() == []
