"""The settings of the web client, and the pages to which mails lead: what a person changes there is so."""

import json
import re
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller

from app.db.connection_options import ConnectOptions
from tests.accounts.mail_server import text_of
from tests.browser import Browser, until
from tests.ports import free_port
from tests.receivers import receiving
from tests.servers import Server, running
from tests.web.factors import other_complaints
from tests.web.looks import COLOURS, FAULTS, SIZES, Look
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow

NEW_PASSWORD = "another horse battery staple"
PARTS = ("account", "display", "security", "connections", "data")


class Inbox:
    """A mail server in a thread of its own, which keeps the mails it receives."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.port = free_port()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    found = Inbox()
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    yield found
    controller.stop()


@pytest.fixture(scope="module")
def service(anyio_backend: str, postgres: ConnectOptions, inbox: Inbox) -> Iterator[Server]:
    """Starts a process that sends mails and webhooks, with the web client's own pages for its mails."""
    settings = {"SMTP_URL": f"smtp://127.0.0.1:{inbox.port}", "OUTBOUND_ALLOW": "127.0.0.1", "PUBLIC_URL": "{url}"}
    with running(postgres.dsn, WORKER="inside", **settings) as server:
        yield server


def link_in(inbox: Inbox, window: Window) -> str:
    """Waits for a mail to the user of ``window``, and returns the URL in it."""

    def links() -> list[str]:
        own = [text_of(mail) for mail in inbox.mails if mail["To"] == window.email]
        return [url for text in own for url in re.findall(r"http\S+token=\S+", text)]

    return until(links)[-1]


def fill(window: Window, form: str, **values: str) -> None:
    """Types into the fields of a form, and sends it."""
    for name, value in values.items():
        field = f"#{form} [name={name}]"
        window.page.wait(f"(document.querySelector({json.dumps(field)}).select(), true)")
        window.page.type(field, value)
    window.page.click(f"#{form} .primary")


def says(window: Window, text: str) -> None:
    window.page.wait(f"document.body.innerText.includes({json.dumps(text)})")


def test_name_and_time_zone_are_kept(window: Window) -> None:
    window.page.click("#settings")
    fill(window, "profile-form", name="Ann Example")
    says(window, "Your name is saved.")
    fill(window, "zone-form", timezone="Pacific/Auckland")
    says(window, "Your account is in Pacific/Auckland now.")
    fill(window, "zone-form", timezone="Europe/Nowhere")
    window.page.shows("#zone-form [role=alert]")
    assert window.page.run("document.querySelector('#zone-form input').value") == "Europe/Nowhere"
    window.reload()
    window.page.wait("document.querySelector('#profile-form input').value == 'Ann Example'")
    window.page.wait("document.querySelector('#zone-form input').value == 'Pacific/Auckland'")


def test_a_changed_password_ends_other_sessions_and_keeps_this_one(window: Window, browser: Browser) -> None:
    other = Window(browser, window.service)
    other.email = window.email
    other.open()
    other.log_in()
    window.go("#/settings/account")
    fill(window, "password-form", current="wrong", next=NEW_PASSWORD)
    window.page.shows("#password-form [role=alert]")
    assert window.page.run("document.querySelector('#password-form [name=next]').value") == NEW_PASSWORD
    fill(window, "password-form", current=PASSWORD, next=NEW_PASSWORD)
    says(window, "Your password is changed.")
    other.page.shows("#ended")
    window.go("#/all")
    window.add("Buy milk")
    window.in_step()
    other.close()
    body = {"email": window.email, "password": NEW_PASSWORD}
    assert httpx.post(f"{window.service.url}/api/auth/login", json=body).status_code == 200


def test_a_forgotten_password_is_chosen_by_the_mailed_link(window: Window, inbox: Inbox) -> None:
    window.log_out()
    window.page.click("#forgot")
    window.page.wait("(document.querySelector('input[name=email]').select(), true)")
    window.page.type("input[name=email]", window.email)
    window.page.click("form .primary")
    says(window, "a mail was sent to it")
    link = link_in(inbox, window)
    assert link.startswith(f"{window.service.url}/app#/reset?token=")
    window.page.open(link)
    fill(window, "mailed-form", password=NEW_PASSWORD)
    says(window, "Log in with it.")
    window.page.click("#go-on")
    window.page.shows("#switch")
    assert window.page.run("location.hash") == "#/all"
    window.page.open(link)
    fill(window, "mailed-form", password=PASSWORD)  # a link is good for one use
    window.page.shows("#mailed-form [role=alert]")
    body = {"email": window.email, "password": NEW_PASSWORD}
    assert httpx.post(f"{window.service.url}/api/auth/login", json=body).status_code == 200


def test_a_new_address_counts_once_it_is_confirmed(
    window: Window, browser: Browser, inbox: Inbox, postgres: ConnectOptions
) -> None:
    """Where registration asks for a mail, so does a new address."""
    mailing = {"SMTP_URL": f"smtp://127.0.0.1:{inbox.port}", "PUBLIC_URL": "{url}", "REGISTRATION": "mail"}
    with running(postgres.dsn, **mailing) as service:
        other = Window(browser, service)
        other.email = window.email
        other.open()
        other.log_in()
        other.go("#/settings/account")
        other.page.click("#change-email")
        old, other.email = other.email, f"new-{other.email}"
        fill(other, "email-form", email=other.email, password=PASSWORD)
        says(other, "Waits until you confirm")
        other.page.open(link_in(inbox, other))
        other.page.click("#mailed-form .primary")
        says(other, "Your e-mail address is confirmed.")
        login = f"{service.url}/api/auth/login"
        assert httpx.post(login, json={"email": old, "password": PASSWORD}).status_code == 401
        assert httpx.post(login, json={"email": other.email, "password": PASSWORD}).status_code == 200
        other.close()


def test_sessions_are_listed_and_ended(window: Window, browser: Browser) -> None:
    others = [Window(browser, window.service) for _ in range(3)]
    for other in others:
        other.email = window.email
        other.open()
        other.log_in()
    window.go("#/settings/security")
    window.page.wait("document.querySelectorAll('[aria-labelledby=sessions-title] li').length == 4")
    assert "this one" in window.page.text()
    window.page.click("[id^=end-]:not(#end-others)")
    window.page.click("[id^=end-].danger")
    window.page.wait("document.querySelectorAll('[aria-labelledby=sessions-title] li').length == 3")
    window.page.click("#end-others")
    window.page.click("#end-others")
    window.page.wait("document.querySelectorAll('[aria-labelledby=sessions-title] li').length == 1")
    for other in others:
        other.page.shows("#ended")
        other.close()


def test_a_token_works_until_it_is_revoked(window: Window) -> None:
    window.go("#/settings/connections")
    window.page.click("#add-token")
    fill(window, "token-form", name="Script")
    window.page.shows("#token")
    token = window.page.run("document.querySelector('#token').textContent")
    for url in ("/mcp", "/dav/"):
        assert f"{window.service.url}{url}" in window.page.run("document.querySelector('.offer').textContent")
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{window.service.url}/api/me/tasks", headers=headers).status_code == 200
    window.page.click("#token-kept")
    window.page.click("[id^=revoke-]")
    window.page.click("[id^=revoke-].danger")
    window.page.wait("!document.querySelector('[aria-labelledby=tokens-title] li')")
    assert token not in window.page.text()
    assert httpx.get(f"{window.service.url}/api/me/tasks", headers=headers).status_code == 401


def test_a_calendar_reads_a_feed_until_it_is_revoked(window: Window) -> None:
    with window.api() as api:
        api.post("/tasks", json={"title": "Pay rent", "due_date": "2026-12-01"})
    window.go("#/settings/connections")
    window.page.click("#add-feed")
    fill(window, "feed-form", name="Phone")
    window.page.shows("#feed")
    url = window.page.run("document.querySelector('#feed').textContent")
    assert "SUMMARY:Pay rent" in httpx.get(url).text
    window.page.click("[id^=revoke-feed-]")
    window.page.click("[id^=revoke-feed-].danger")
    window.page.wait("!document.querySelector('[aria-labelledby=calendars-title] li')")
    assert httpx.get(url).status_code == 401


def latest_deliveries(window: Window, hooks: str) -> str:
    """Opens the latest deliveries, and returns them when it has closed them again."""
    window.page.click("[id^=deliveries-]")
    text = str(window.page.wait(f"document.querySelector('{hooks} .latest').innerText"))
    window.page.click("[id^=deliveries-]")
    window.page.wait(f"document.querySelector('{hooks} .latest') === null")
    return text


def test_a_webhook_is_tested_paused_and_deleted(window: Window) -> None:
    hooks = "[aria-labelledby=webhooks-title]"
    with receiving() as receiver:
        window.go("#/settings/connections")
        window.page.click("#add-webhook")
        fill(
            window, "webhook-form", url=f"http://127.0.0.1:{receiver.port}/hook", events="task.created, task.completed"
        )
        window.page.shows("#webhook-secret")
        secret = window.page.run("document.querySelector('#webhook-secret').textContent")
        window.page.click("#webhook-secret-kept")
        window.page.click("[id^=test-webhook-]")
        until(lambda: "204, " in latest_deliveries(window, hooks))
        window.page.click("[id^=rotate-]")
        window.page.click("[id^=rotate-].danger")
        window.page.wait(f"document.querySelector('#webhook-secret').textContent != {json.dumps(secret)}")
    window.page.run(f"[...document.querySelectorAll('{hooks} button')].find((one) => one.innerText == 'Pause').click()")
    window.page.wait(f"document.querySelector('{hooks} .meta .failed') !== null")
    window.page.click("[id^=delete-webhook-]")
    window.page.click("[id^=delete-webhook-].danger")
    window.page.wait(f"!document.querySelector('{hooks} li')")


def give_file(window: Window, name: str, text: str) -> None:
    """Drops a file where files are dropped."""
    window.page.shows("#drop")
    window.page.run(f"""(() => {{
        const given = new DataTransfer();
        given.items.add(new File([{json.dumps(text)}], {json.dumps(name)}));
        document.querySelector("#drop").dispatchEvent(new DragEvent("drop", {{ dataTransfer: given, bubbles: true }}));
    }})()""")


def test_a_file_is_checked_then_imported_and_skipped_the_second_time(window: Window) -> None:
    window.go("#/settings/data")
    lines = "title,due_date,uid\nBuy milk,2026-12-01,milk\nRead,someday,read\n"
    give_file(window, "things.csv", lines)
    says(window, "would bring")
    noted = window.page.run("document.querySelector('#noted').textContent")
    assert "someday" in noted
    assert window.kept() == []
    window.page.click("#import")
    says(window, "brought")
    assert "Buy milk" in window.kept()
    give_file(window, "things.csv", lines)
    says(window, "2 tasks here already")
    give_file(window, "picture.png", "\ufffdPNG, which is no list of tasks")
    window.page.shows("[aria-labelledby=imports-title] .failed")


def saved(file: Path) -> str:
    return until(lambda: file.read_text() if file.exists() else "")


def test_exports_are_saved_as_files(window: Window, browser: Browser, tmp_path: Path) -> None:
    window.add("Buy milk")
    window.in_step()
    browser.save_downloads(window.context, tmp_path)
    window.go("#/settings/data")
    for name in ("todo-json", "todo-csv", "todo-ics", "account-json"):
        window.page.click(f"#export-{name}")
        assert ("Buy milk" if "todo" in name else window.email) in saved(tmp_path / name.replace("-", "."))
    window.page.click("#export-todo-zip")
    until(lambda: zipfile.is_zipfile(tmp_path / "todo.zip"))
    assert "README.txt" in " ".join(zipfile.ZipFile(tmp_path / "todo.zip").namelist())


def test_statistics_count_what_was_done(window: Window) -> None:
    window.add("Buy milk", "Read")
    window.complete("Read")
    window.in_step()
    window.go("#/settings/data")
    window.page.wait("document.querySelector('.figures').innerText.replace(/\\s+/g, ' ').includes('done 1')")
    assert window.page.run("document.querySelectorAll('.bars rect').length") == 30


def test_a_deleted_account_is_gone(window: Window) -> None:
    window.go("#/settings/account")
    window.page.click("#delete-account")
    fill(window, "deletion-form", password="wrong")
    window.page.shows("#deletion-form [role=alert]")
    fill(window, "deletion-form", password=PASSWORD)
    window.page.shows("#switch")
    body = {"email": window.email, "password": PASSWORD}
    assert httpx.post(f"{window.service.url}/api/auth/login", json=body).status_code == 401
    assert other_complaints(window) == []


def test_a_closed_registration_offers_no_account(browser: Browser, postgres: ConnectOptions) -> None:
    with running(postgres.dsn, REGISTRATION="closed") as service:
        window = Window(browser, service).open()
        window.page.shows("#forgot")
        assert window.page.run("document.querySelector('#switch')") is None
        window.close()


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_part_fits(window: Window, size: tuple[int, int], colours: str) -> None:
    Look(*size, colours).apply(window)
    for part in PARTS:
        window.go(f"#/settings/{part}")
        window.page.wait("document.querySelectorAll('.settings section').length >= 2")
        window.page.run("new Promise((done) => setTimeout(done, 200))")
        assert json.loads(window.page.run(FAULTS)) == [], part
        tab = f"document.querySelector('#tab-{part}').getBoundingClientRect()"
        assert window.page.run(f"{tab}.left >= 0 && {tab}.right <= innerWidth"), part
