"""A calendar app: a client of /dav with an API token as its password, and readers of what it gets."""

import re
import uuid
from base64 import b64encode
from urllib.parse import unquote
from xml.etree import ElementTree

import httpx

from tests.support import Person

SPACES = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:caldav",
    "CS": "http://calendarserver.org/ns/",
    "A": "http://apple.com/ns/ical/",
    "T": "http://org.tasks/ns/",
    "OC": "http://owncloud.org/ns",
    "ME": "http://me.com/_namespace/",
    "P": "https://bitfire.at/webdav-push",
    "CARD": "urn:ietf:params:xml:ns:carddav",
}


def full_name(short: str) -> str:
    """Returns the name of ``D:prop`` as ElementTree has it."""
    prefix, _, name = short.partition(":")
    return f"{{{SPACES[prefix]}}}{name}"


def unfolded(text: str) -> str:
    return re.sub("\r?\n[ \t]", "", text)


class Found:
    """One response of a multistatus: its properties by status, or its own status."""

    def __init__(self, element: ElementTree.Element) -> None:
        self.href = element.findtext(full_name("D:href")) or ""
        self.status = _status(element)
        self.props: dict[str, ElementTree.Element] = {}
        self.missing: set[str] = set()
        for stat in element.findall(full_name("D:propstat")):
            props = stat.find(full_name("D:prop"))
            assert props is not None
            if _status(stat) == 200:
                self.props |= {each.tag: each for each in props}
            else:
                self.missing |= {each.tag for each in props}

    def text(self, short: str) -> str:
        """Returns the text of a property, of the href in it where it has one."""
        element = self.props[full_name(short)]
        return (element.findtext(full_name("D:href")) or element.text or "").strip()

    @property
    def data(self) -> str:
        return unfolded(self.text("C:calendar-data"))


def _status(element: ElementTree.Element) -> int:
    text = element.findtext(full_name("D:status"))
    return int(text.split()[1]) if text else 0


class Multistatus:
    """The responses by the paths of their hrefs, decoded."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 207, answer.text
        assert answer.headers["content-type"].startswith("application/xml")
        self.root = ElementTree.fromstring(answer.content)
        self.found = {unquote(each.href): each for each in map(Found, self.root.findall(full_name("D:response")))}
        assert len(self.found) == len(self.root.findall(full_name("D:response"))), "a resource is there twice"

    def __getitem__(self, href: str) -> Found:
        return self.found[unquote(href)]

    @property
    def token(self) -> str:
        return (self.root.findtext(full_name("D:sync-token")) or "").strip()

    @property
    def there(self) -> dict[str, Found]:
        return {href: each for href, each in self.found.items() if each.status != 404}

    @property
    def gone(self) -> set[str]:
        return {href for href, each in self.found.items() if each.status == 404}


class CalendarApp:
    """Calls /dav as one user."""

    def __init__(self, client: httpx.AsyncClient, owner: str, token: str) -> None:
        self.client, self.owner = client, owner
        self.token = token
        self.auth = {"Authorization": "Basic " + b64encode(f"anybody:{token}".encode()).decode()}
        self.home = f"/dav/{owner}/"
        self.inbox = f"{self.home}inbox/"

    async def call(self, method: str, path: str, body: str | bytes = b"", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body.encode() if isinstance(body, str) else body
        return await self.client.request(method, path, content=content, headers=self.auth | named)

    async def multistatus(self, method: str, path: str, body: str = "", **headers: str) -> Multistatus:
        return Multistatus(await self.call(method, path, body, **headers))

    async def find(self, path: str, *props: str, depth: int = 0) -> Multistatus:
        """Sends a PROPFIND for properties such as ``D:getetag``."""
        return await self.multistatus("PROPFIND", path, propfind(*props), Depth=str(depth))

    async def list(self, path: str, *props: str) -> Multistatus:
        """Sends a calendar-query for all to-dos."""
        return await self.multistatus("REPORT", path, query(*(props or ("D:getetag",))), Depth="1")

    async def multiget(self, path: str, *hrefs: str) -> Multistatus:
        found = "".join(f"<D:href>{href}</D:href>" for href in hrefs)
        body = f"<C:calendar-multiget {xmlns()}>{props_of('D:getetag', 'C:calendar-data')}{found}</C:calendar-multiget>"
        return await self.multistatus("REPORT", path, body)

    async def sync(self, path: str, token: str = "", *props: str, limit: int | None = None) -> Multistatus:
        return await self.multistatus("REPORT", path, sync_body(token, *props, limit=limit))

    async def put(self, path: str, *lines: str, **headers: str) -> httpx.Response:
        """Puts a to-do with these lines; the uid is the name."""
        uid = unquote(path.rsplit("/", 1)[1]).removesuffix(".ics")
        return await self.call("PUT", path, todo(uid, *lines), Content_Type="text/calendar", **headers)

    async def get(self, path: str) -> str:
        """Returns an object, unfolded."""
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return unfolded(answer.text)


def xmlns() -> str:
    return " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in SPACES.items())


def props_of(*props: str) -> str:
    return f"<D:prop>{''.join(f'<{name}/>' for name in props)}</D:prop>"


def propfind(*props: str) -> str:
    return f"<D:propfind {xmlns()}>{props_of(*props)}</D:propfind>"


def query(*props: str, inner: str = "") -> str:
    todos = f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VTODO">{inner}</C:comp-filter></C:comp-filter>'
    return f"<C:calendar-query {xmlns()}>{props_of(*props)}<C:filter>{todos}</C:filter></C:calendar-query>"


def sync_body(token: str = "", *props: str, limit: int | None = None) -> str:
    most = f"<D:limit><D:nresults>{limit}</D:nresults></D:limit>" if limit else ""
    return (
        f"<D:sync-collection {xmlns()}><D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level>{most}"
        f"{props_of(*(props or ('D:getetag',)))}</D:sync-collection>"
    )


def todo(uid: str, *lines: str) -> str:
    """Returns a calendar object with one to-do."""
    return calendar(["BEGIN:VTODO", f"UID:{uid}", "DTSTAMP:20261117T200000Z", *lines, "END:VTODO"])


def calendar(*parts: list[str]) -> str:
    inner = [line for part in parts for line in part]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *inner, "END:VCALENDAR", ""])


async def new_app(person: Person, scope: str = "write") -> CalendarApp:
    """Returns an app with an API token of ``person``."""
    answer = await person.call("POST", "/api/auth/tokens", json={"name": "phone", "scope": scope})
    assert answer.status_code == 201, answer.text
    return CalendarApp(person.client, person.subject, answer.json()["token"])


def new_uid() -> str:
    return str(uuid.uuid4())
