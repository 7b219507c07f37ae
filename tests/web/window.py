"""A window of the web client, with the actions of its user."""

import json
import uuid
from collections.abc import Callable
from typing import Any, Self

import httpx

from tests.browser import PATIENCE, Browser, Page
from tests.servers import Server

PASSWORD = "correct horse battery staple"


class Window:
    def __init__(self, browser: Browser, service: Server, context: str | None = None) -> None:
        """Opens a window with a profile of its own, or with the ``context`` of another window."""
        self.browser, self.service = browser, service
        self.context = context or browser.new_context()
        self.page: Page = browser.new_page(self.context)
        self.email = ""
        self._tokens: dict[str, str] = {}  # by the user's email

    def close(self) -> None:
        self.browser.close_context(self.context)

    def complaints(self) -> list[str]:
        return self.page.complaints()

    def another(self) -> "Window":
        """Opens a second window of the same user in the same browser."""
        window = Window(self.browser, self.service, self.context)
        window.email = self.email
        return window.open()

    def open(self, place: str = "") -> Self:
        self.page.open(f"{self.service.url}/app{place}")
        return self

    def reload(self, place: str = "") -> Self:
        """Loads the page anew, at ``place`` if it is named."""
        if place:
            self.go(place)
        self.page.run("(window.isOld = true)")
        self.page.call("Page.reload")
        self.page.wait("!window.isOld && document.readyState == 'complete'")
        return self

    def register(self) -> None:
        self.email = f"{uuid.uuid4().hex}@example.com"
        self.open()
        self.page.click("#switch")
        self.page.wait("document.querySelector('h1').innerText == 'Create account'")
        self.page.type("input[name=email]", self.email)
        self.page.type("input[name=password]", PASSWORD)
        self.page.click("form .primary")
        self.in_step()

    def log_in(self) -> None:
        self.give_password()
        self.in_step()

    def give_password(self) -> None:
        self.page.wait("(document.querySelector('input[name=email]').select(), true)")
        self.page.type("input[name=email]", self.email)
        self.page.type("input[name=password]", PASSWORD)
        self.page.click("form .primary")

    def log_out(self) -> None:
        self.page.click("#logout")
        self.page.shows("input[name=password]")

    def in_step(self) -> None:
        self.page.wait("document.querySelector('#state').textContent.trim() == 'Synced'")

    def go(self, place: str) -> None:
        self.page.run(f"location.hash = {json.dumps(place)}")

    def add(self, *titles: str) -> None:
        for title in titles:
            self.page.type("#add", title)
            self.page.press("Enter")
            self.page.wait("document.querySelector('#add').value == ''")

    def titles(self) -> list[str]:
        return list(self.page.run("[...document.querySelectorAll('.row .title')].map((one) => one.textContent)"))

    def shows(self, *titles: str) -> None:
        """Waits until exactly these titles are shown, in this order."""
        shown = "[...document.querySelectorAll('.row .title')].map((one) => one.textContent)"
        self.page.wait(f"JSON.stringify({shown}) == JSON.stringify({json.dumps(titles)})")

    def row(self, title: str) -> str:
        """Returns a JavaScript expression for the row of that title."""
        return f"[...document.querySelectorAll('.row')].find((row) => row.textContent.includes({json.dumps(title)}))"

    def complete(self, title: str) -> None:
        self.page.wait(f"({self.row(title)}.querySelector('.check').click(), true)")

    def edit(self, title: str, new: str) -> None:
        self.page.wait(f"({self.row(title)}.querySelector('.title').focus(), true)")
        self.page.press("e")
        self.page.wait("document.activeElement.matches('.edit')")
        self.page.run("document.activeElement.select()")
        self.page.call("Input.insertText", text=new)
        self.page.press("Enter")
        self.page.wait("!document.querySelector('.edit')")
        self.page.run("new Promise((done) => setTimeout(done))")  # in which the row gets the focus again

    def open_details(self, title: str) -> None:
        self.page.wait(f"({self.row(title)}.querySelector('.title').click(), true)")
        self.page.shows(".details")

    def close_details(self) -> None:
        """Returns once they are gone: until then keys go to the field in them that had the focus."""
        self.page.click("#close-details")
        self.page.wait("!document.querySelector('#close-details')")

    def drag(self, title: str, target: str, *, above: bool, before_drop: Callable[[], None] | None = None) -> None:
        """Drags a row with the mouse, from its grip to the upper or the lower part of another row."""
        self.drag_to(title, self.row(target), at=0.2 if above else 0.8, sideways=False, before_drop=before_drop)

    def drag_to(
        self,
        title: str,
        target: str,
        *,
        at: float = 0.5,
        sideways: bool = True,
        grip: str = ".grip",
        before_drop: Callable[[], None] | None = None,
    ) -> None:
        """Drags a row by its grip to the element of a JavaScript expression, ``at`` that part of its height."""
        # The pointer does not hit new elements before they are painted.
        self.page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box = "{const box = %s.getBoundingClientRect(); JSON.stringify([box.left, box.top, box.width, box.height])}"
        handle = self.row(title) + (f".querySelector('{grip}')" if grip else "")
        left, top, _, height = json.loads(self.page.run(box % handle))
        x, y = left + 12, top + height / 2
        there, ceiling, wide, tall = json.loads(self.page.run(box % target))
        end_x, end_y = there + wide / 2 if sideways else x, ceiling + tall * at
        mouse = {"button": "left", "buttons": 1, "clickCount": 1}
        self.page.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
        self.page.shows(".dragged")
        for step in (0.3, 0.7, 1.0):
            now = {"x": x + (end_x - x) * step, "y": y + (end_y - y) * step}
            self.page.call("Input.dispatchMouseEvent", type="mouseMoved", **now, **mouse)
        if before_drop:
            before_drop()
        self.page.call("Input.dispatchMouseEvent", type="mouseReleased", x=end_x, y=end_y, **mouse)

    def api(self) -> httpx.Client:
        """Opens another client of the same user, whose login is kept: on a busy machine one takes seconds."""
        options: dict[str, Any] = {"trust_env": False, "timeout": PATIENCE}
        url = f"{self.service.url}/api"
        if httpx.get(f"{url}/me/settings", headers=self._headers(), **options).status_code == 401:
            account = {"email": self.email, "password": PASSWORD}
            answer = httpx.post(f"{url}/auth/login", json=account, **options)
            self._tokens[self.email] = answer.json()["access_token"]
        return httpx.Client(base_url=f"{url}/me", headers=self._headers(), **options)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[self.email]}"} if self.email in self._tokens else {}

    def kept(self, **query: Any) -> list[str]:
        """Returns the titles stored by the service, in the order of their creation."""
        with self.api() as api:
            rows = api.get("/tasks", params={"order": "asc", "limit": 1000, **query}).json()
        return [row["title"] for row in rows]
