"""The offline examples, with TanStack DB and RxDB, in a browser: two windows, no network, a reload, a conflict."""

import asyncio
import json
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.db.connection_options import ConnectOptions
from tests.browser import Browser, Page, browsing, find_browser
from tests.servers import Server, running
from tests.support import Person, make_token

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("tanstack-db", "rxdb")


class Network:
    """The way from a browser to the files of a page and to the service, which can be off."""

    def __init__(self, folder: Path, service: str) -> None:
        self.off = False
        self.sockets: set[socket.socket] = set()
        target = ("127.0.0.1", urlsplit(service).port)
        network = self

        class Files(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        class Relay(BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(target) as above:
                    network.sockets |= {self.request, above}
                    Thread(target=pass_on, args=(above, self.request)).start()
                    pass_on(self.request, above)

        class Gate(ThreadingTCPServer):
            daemon_threads = True

            def verify_request(self, *_: object) -> bool:
                return not network.off

        self.servers = [Gate(("127.0.0.1", 0), partial(Files, directory=str(folder))), Gate(("127.0.0.1", 0), Relay)]
        self.page_url, self.service_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)
        for server in self.servers:
            Thread(target=server.serve_forever).start()

    def turn(self, *, off: bool) -> None:
        self.off = off
        while self.sockets:
            with suppress(OSError):
                self.sockets.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.turn(off=True)
        for server in self.servers:
            server.shutdown()
            server.server_close()


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs and builds the examples as their READMEs say, both at once."""
    if shutil.which("npm") is None:
        pytest.skip("no Node.js on this machine: the offline examples were not tried")
    root = tmp_path_factory.mktemp("offline")
    shutil.copy(EXAMPLES / "sync.mjs", root)
    for name in NAMES:
        shutil.copytree(EXAMPLES / name, root / name, ignore=shutil.ignore_patterns("node_modules"))
    if any(npm(root, "ci", "--no-audit", "--no-fund", "--prefer-offline")):
        pytest.skip("npm could not fetch the packages: the offline examples were not tried")
    assert npm(root, "run", "build") == [0, 0]
    return root


def npm(root: Path, *arguments: str) -> list[int]:
    started = [subprocess.Popen(["npm", "--silent", *arguments], cwd=root / name) for name in NAMES]
    return [process.wait(180) for process in started]


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    with running(postgres.dsn) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = find_browser()
    if binary is None:
        pytest.skip("no Chromium on this machine: the offline examples were not tried")
    with browsing(binary, Path(tmp_path_factory.mktemp("profile"))) as started:
        started.first_page()
        yield started


class Windows:
    """The windows of one user in one browser."""

    def __init__(self, browser: Browser, network: Network, service: Server) -> None:
        self.browser, self.network, self.service = browser, network, service
        self.subject = f"user-{uuid.uuid4().hex}"
        self.context = browser.new_context()
        self.opened: list[Page] = []

    def open(self) -> Page:
        page = self.browser.new_page(self.context).open(f"{self.network.page_url}/")
        if not self.opened:
            page.shows("#sign-in")
            page.run("document.querySelector('[name=url]').value = ''")
            signing_in = {"url": self.network.service_url, "user": self.subject, "token": make_token(self.subject)}
            for name, value in signing_in.items():
                page.type(f"#sign-in [name={name}]", value)
            page.run("window.isOld = true")
            page.click("#sign-in button")
            until_loaded(page)
        page.wait("!document.querySelector('#add').hidden")
        page.wait("navigator.serviceWorker.controller !== null")
        self.opened.append(page)
        return page

    def go_offline(self, *, offline: bool = True) -> None:
        self.network.turn(off=offline)
        how = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        for page in self.opened:
            page.call("Network.emulateNetworkConditions", **how)


@pytest.fixture(params=NAMES)
def windows(request: pytest.FixtureRequest, built: Path, browser: Browser, service: Server) -> Iterator[Windows]:
    network = Network(built / request.param / "public", service.url)
    opened = Windows(browser, network, service)
    yield opened
    thrown = [page.seen("Runtime.exceptionThrown") for page in opened.opened]
    browser.close_context(opened.context)
    network.close()
    assert not any(thrown), thrown


SHOWN_TITLES = "[...document.querySelectorAll('li .title')].map((title) => title.value).sort()"


def add(page: Page, title: str) -> None:
    page.type("#add [name=title]", title)
    page.press("Enter")


def shows(page: Page, *titles: str) -> None:
    page.wait(f"JSON.stringify({SHOWN_TITLES}) == JSON.stringify({json.dumps(sorted(titles))})")


def reload(page: Page) -> None:
    page.run("window.isOld = true")
    page.call("Page.reload")
    until_loaded(page)


def until_loaded(page: Page) -> None:
    """Waits for the document that follows the one marked as old."""
    with suppress(AssertionError):  # of the protocol: the old document went away
        page.wait("!window.isOld")
    page.wait("!window.isOld && document.readyState == 'complete'")


def in_row(title: str, selector: str) -> str:
    """Returns a JavaScript expression for an element in the row of that title."""
    rows = "[...document.querySelectorAll('li')]"
    return f"{rows}.find((row) => row.querySelector('.title').value == {json.dumps(title)}).querySelector('{selector}')"


def rename(page: Page, title: str, new: str) -> None:
    page.wait(f"({in_row(title, '.title')}.focus(), {in_row(title, '.title')}.select(), true)")
    page.call("Input.insertText", text=new)
    page.press("Enter")


async def until_titles(person: Person, *titles: str) -> None:
    for _ in range(200):
        if sorted(await person.titles()) == sorted(titles):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await person.titles())


async def test_writes_made_offline_survive_a_reload_and_arrive_once(windows: Windows) -> None:
    first = windows.open()
    async with windows.service.person(windows.subject) as person:
        add(first, "Milk")
        await until_titles(person, "Milk")
        second = windows.open()
        shows(second, "Milk")
        await person.add("Bread")
        for page in windows.opened:
            shows(page, "Bread", "Milk")
        windows.go_offline()
        add(first, "Eggs")
        rename(second, "Milk", "Oat milk")
        shows(first, "Bread", "Eggs", "Oat milk")
        reload(second)
        shows(second, "Bread", "Eggs", "Oat milk")
        reload(first)
        shows(first, "Bread", "Eggs", "Oat milk")
        await person.add("Salt")
        assert sorted(await person.titles()) == ["Bread", "Milk", "Salt"]
        windows.go_offline(offline=False)
        await until_titles(person, "Bread", "Eggs", "Oat milk", "Salt")
        for page in windows.opened:
            shows(page, "Bread", "Eggs", "Oat milk", "Salt")
        first.click("li .delete")
        for page in windows.opened:
            page.wait(f"{SHOWN_TITLES}.length == 3")


async def test_a_conflict_is_shown_and_either_side_can_be_kept(windows: Windows) -> None:
    page = windows.open()
    async with windows.service.person(windows.subject) as person:
        task = await person.add("Milk")
        shows(page, "Milk")
        for keep, kept in (("mine", "Mine mine"), ("theirs", "Theirs theirs")):
            windows.go_offline()
            rename(page, (await person.titles())[0], f"Mine {keep}")
            page.wait(f"({in_row(f'Mine {keep}', 'input[type=checkbox]')}.click(), true)")
            await person.patch(f"/tasks/{task['id']}", {"title": f"Theirs {keep}", "description": keep})
            windows.go_offline(offline=False)
            page.wait(f"document.querySelector('.refused')?.innerText.includes('Theirs {keep}')")
            assert f"Mine {keep}" in page.run("document.querySelector('.refused').innerText")
            shows(page, f"Theirs {keep}")
            reload(page)  # it is still there
            page.click(f".refused .{keep}")
            page.wait("!document.querySelector('.refused')")
            shows(page, kept)
            await until_titles(person, kept)
        row = (await person.get(f"/tasks/{task['id']}")).json()
        assert (row["completed"], row["description"]) == (False, "theirs")  # completed and reopened


async def test_a_refused_write_is_kept_until_the_user_has_seen_it(windows: Windows) -> None:
    page = windows.open()
    async with windows.service.person(windows.subject) as person:
        await person.add("Milk")
        shows(page, "Milk")
        rename(page, "Milk", "M" * 201)
        page.wait("document.querySelector('.refused')?.innerText.includes('MMM')")
        shows(page, "Milk")
        reload(page)
        page.click(".refused .theirs")
        page.wait("!document.querySelector('.refused')")
        add(page, "Bread")  # later writes are sent
        await until_titles(person, "Bread", "Milk")


async def restore_backup(postgres: ConnectOptions, subject: str) -> None:
    """Makes the database what ``todo restore`` makes it, for one user: without the last rows, with higher revisions."""
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute("delete from changes where user_id = $1", subject)
    await connection.execute("delete from tasks where user_id = $1 and title = 'Lost'", subject)
    raised = "update users set revision = revision + 1000000, pruned_revision = revision + 1000000 where id = $1"
    await connection.execute(raised, subject)
    await connection.close()


async def test_after_a_restore_the_rows_are_those_of_the_service(windows: Windows, postgres: ConnectOptions) -> None:
    page = windows.open()
    async with windows.service.person(windows.subject) as person:
        for title in ("Kept", "Lost"):
            add(page, title)
            await until_titles(person, *{"Kept", title})
        shows(page, "Kept", "Lost")
        await asyncio.to_thread(windows.service.stop)
        try:
            add(page, "Made while it was away")
            rename(page, "Lost", "Edited")
            await restore_backup(postgres, windows.subject)
        finally:
            await asyncio.to_thread(windows.service.start)
        await until_titles(person, "Kept", "Made while it was away")
        shows(page, "Kept", "Made while it was away")
        page.wait("document.querySelector('.refused')?.innerText.includes('Edited')")  # what was typed is not lost


async def test_a_write_whose_response_was_lost_is_done_once(windows: Windows) -> None:
    page = windows.open()
    async with windows.service.person(windows.subject) as person:
        await person.add("Milk", recurrence="FREQ=DAILY", due_date="2027-01-01")
        shows(page, "Milk")
        page.call("Fetch.enable", patterns=[{"urlPattern": "*/batch", "requestStage": "Response"}])
        add(page, "Bread")
        page.wait(f"({in_row('Milk', 'input[type=checkbox]')}.click(), true)")
        for _ in range(50):
            page.run("1")
            if page.seen("Fetch.requestPaused"):
                break
            await asyncio.sleep(0.1)
        for paused in page.seen("Fetch.requestPaused"):
            page.call("Fetch.failRequest", requestId=paused["requestId"], errorReason="ConnectionReset")
        page.call("Fetch.disable")
        await until_titles(person, "Bread", "Milk", "Milk")  # the occurrence that is done, and the next one
        shows(page, "Bread", "Milk", "Milk")
        assert len((await person.get("/changes?since=0")).json()["changes"]) <= 4


async def test_edits_in_a_row_are_no_conflict(windows: Windows) -> None:
    """The next ones are made before the response to the first has arrived."""
    page = windows.open()
    async with windows.service.person(windows.subject) as person:
        add(page, "Milk")
        rename(page, "Milk", "Oat milk")
        rename(page, "Oat milk", "Rice milk")
        for _ in range(3):
            page.wait(f"({in_row('Rice milk', 'input[type=checkbox]')}.click(), true)")
        await until_titles(person, "Rice milk")
        page.wait("!document.querySelector('.unsent')")
        for _ in range(100):
            [row] = (await person.get("/tasks")).json()
            if row["completed"]:
                break
            await asyncio.sleep(0.1)
        assert (row["title"], row["completed"]) == ("Rice milk", True)
        assert not page.run("document.querySelector('.refused')")


async def test_a_title_that_changes_while_it_is_edited_is_a_conflict(windows: Windows) -> None:
    page = windows.open()
    async with windows.service.person(windows.subject) as person:
        task = await person.add("Milk")
        shows(page, "Milk")
        page.wait(f"({in_row('Milk', '.title')}.focus(), {in_row('Milk', '.title')}.select(), true)")
        page.call("Input.insertText", text="Oat milk")
        await person.patch(f"/tasks/{task['id']}", {"title": "Bread", "completed": True})
        page.wait("document.querySelector('li input[type=checkbox]').checked")
        shows(page, "Oat milk")  # what is typed stays
        page.press("Enter")
        page.click(".refused .theirs")
        shows(page, "Bread")
        assert await person.titles() == ["Bread"]
