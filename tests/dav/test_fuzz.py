"""Bodies that no app sends: a 4xx each, and nothing is lost."""

import random

import pytest

from tests.dav.apps import CalendarApp, new_uid, propfind, query, sync_body, todo, xmlns
from tests.support import Person

ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
DEEP = "<D:a>" * 5_000 + "</D:a>" * 5_000


def around(inner: str, head: str = "") -> str:
    return f"{head}<D:propfind {xmlns()}>{inner}</D:propfind>"


XML_BODIES = [
    "", " ", "x", "<", "<a", "<a/>", "<a></b>", "\0", "\ufeff", "<a>\0</a>", '{"json": true}', "<x:a/>",
    around("<D:prop>&b;</D:prop>", ENTITIES), around("<D:prop>&f;</D:prop>", OUTSIDE), around("", "<!DOCTYPE x>"),
    around(DEEP), around("<D:prop>" + "<D:x/>" * 30_000 + "</D:prop>"), around("&undefined;"),
    '<?xml version="1.0" encoding="utf-16"?><a/>', '<?xml version="1.0" encoding="nonsense"?><a/>',
    '<?xml version="1.0" encoding="utf-7"?><a/>', "<D:propfind/>", "\udcff", "<a>" + "x" * 2_000_000 + "</a>",
    f"<D:sync-collection {xmlns()}><D:limit><D:nresults>-1</D:nresults></D:limit></D:sync-collection>",
    f"<D:sync-collection {xmlns()}><D:limit><D:nresults>{'9' * 5000}</D:nresults></D:limit></D:sync-collection>",
    f"<C:calendar-query {xmlns()}/>", f"<C:calendar-query {xmlns()}><C:filter/></C:calendar-query>",
    f"<C:free-busy-query {xmlns()}/>", f"<D:expand-property {xmlns()}/>",
    query("D:getetag", inner="<C:prop-filter/>"), query("D:getetag", inner='<C:time-range start="x"/>'),
    query("D:getetag", inner='<C:time-range start="99991231T235959Z" end="00010101T000000Z"/>'),
    query("D:getetag", inner='<C:prop-filter name="DUE"><C:time-range/></C:prop-filter>'),
    query("D:getetag", inner='<C:prop-filter name="\u20ac"><C:text-match collation="x"/></C:prop-filter>'),
    query("D:getetag", inner="<C:prop-filter><C:text-match/></C:prop-filter>" * 200),
    query("D:getetag", inner="<C:comp-filter/>"), query("C:calendar-data", inner="<C:prop-filter name='UID'/>"),
    f"<C:calendar-multiget {xmlns()}>{'<D:href>/dav/x</D:href>' * 3}<D:href>http://[</D:href></C:calendar-multiget>",
    f"<C:calendar-multiget {xmlns()}><D:prop><D:getetag/></D:prop><D:href>%00%ff</D:href></C:calendar-multiget>",
    f'<D:propertyupdate {xmlns()}><D:set><D:prop><D:displayname>{"x" * 500}</D:displayname></D:prop></D:set>'
    "</D:propertyupdate>",
    f"<D:propertyupdate {xmlns()}><D:set/><D:remove><D:prop><D:displayname/></D:prop></D:remove></D:propertyupdate>",
    f"<D:propertyupdate {xmlns()}><D:set><D:prop><A:calendar-color>red</A:calendar-color></D:prop></D:set>"
    "</D:propertyupdate>",
    sync_body("urn:todo:sync:1" + "0" * 400),
]  # fmt: skip


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "PROPPATCH", "MKCOL", "MKCALENDAR"])
async def test_no_xml_is_a_server_error(phone: CalendarApp, method: str) -> None:
    await phone.put(f"{phone.inbox}x.ics", "SUMMARY:mine")
    for number, body in enumerate(XML_BODIES):
        for path in (phone.home, phone.inbox, f"{phone.inbox}x.ics", f"{phone.home}new-{method}-{number}/"):
            answer = await phone.call(method, path, body.encode("utf-8", "surrogateescape"), Depth="1")
            assert answer.status_code < 500, (method, path, body[:200], answer.text[:500])
            assert answer.status_code < 300 or answer.headers["content-type"].startswith("application/")
    assert "SUMMARY:mine" in await phone.get(f"{phone.inbox}x.ics")


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("PROPFIND", around("<D:prop>&b;</D:prop>", ENTITIES), 400),
        ("PROPFIND", around("<D:prop>&f;</D:prop>", OUTSIDE), 400),
        ("PROPFIND", around(DEEP), 400),
        ("PROPFIND", around("<D:prop>" + "<D:x/>" * 30_000 + "</D:prop>"), 400),
        ("PROPFIND", around("x" * 2_000_000), 413),
        ("REPORT", f"<C:free-busy-query {xmlns()}/>", 403),
        ("REPORT", query("D:getetag", inner='<C:time-range start="x"/>'), 403),
    ],
)
async def test_a_refusal_has_its_status(phone: CalendarApp, method: str, body: str, status: int) -> None:
    answer = await phone.call(method, phone.inbox, body)
    assert answer.status_code == status, answer.text
    assert b":error" in answer.content


async def test_random_changes_of_xml(phone: CalendarApp) -> None:
    chance = random.Random(25)
    bodies = [propfind("D:getetag", "C:calendar-data"), query("D:getetag"), sync_body("urn:todo:sync:1")]
    for _ in range(300):
        body = bytearray(chance.choice(bodies).encode())
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(body))
            body[place : place + chance.randint(0, 3)] = bytes(
                chance.choices(b"<>/\"'&;:= \0\xffaD", k=chance.randint(0, 3))
            )
        for method in ("PROPFIND", "REPORT"):
            answer = await phone.call(method, phone.inbox, bytes(body))
            assert answer.status_code < 500, bytes(body)


LINES = [
    "SUMMARY:" + "x" * 5_000, "DESCRIPTION:" + "\\n" * 9_000, "CATEGORIES:" + ",".join("abc" * 30 for _ in range(30)),
    "PRIORITY:99999999999999999999", "PRIORITY:-1", "PRIORITY:\u0665", "PERCENT-COMPLETE:x", "STATUS:\u20ac",
    "DUE:99991231T235959Z", "DUE:00010101T000000", "DUE;VALUE=DATE:20270230", "DUE:x", "DUE;TZID=x/y:20270101T000000",
    "DTSTART:20270101T000000Z\r\nDURATION:P99999D", "DTSTART;VALUE=DATE:20270101\r\nDURATION:-P1D", "DURATION:PT1H",
    "DUE;VALUE=DATE:20270101\r\nRRULE:FREQ=DAILY;COUNT=0", "DUE;VALUE=DATE:20270101\r\nRRULE:x",
    "DUE;VALUE=DATE:20270101\r\nRRULE:FREQ=YEARLY;UNTIL=00010101", "RRULE:FREQ=DAILY", "RRULE:FREQ=SECONDLY",
    "DUE;VALUE=DATE:21991231\r\nRRULE:FREQ=DAILY", "DUE;VALUE=DATE:20270101\r\nRRULE:FREQ=DAILY\r\nEXDATE:x,y",
    "COMPLETED:x", "COMPLETED:99991231T235959Z\r\nSTATUS:COMPLETED", "RELATED-TO:" + "p" * 400, "RELATED-TO:\u20ac/",
    "BEGIN:VALARM\r\nTRIGGER:x\r\nEND:VALARM", "BEGIN:VALARM\r\nTRIGGER:-P99999W\r\nEND:VALARM",
    "BEGIN:VALARM\r\nEND:VALARM", "X-\u20ac:1", "X;" + "a=b;" * 300 + "c=d:e", "SUMMARY:\x01\x0b\ufffe\ud7ff\U0001f600",
    "SUMMARY:" + "e\u0301" * 500, "SUMMARY:a" + "\u0301" * 500, "SUMMARY:\u200b", "SUMMARY:",
    "".join(f"BEGIN:VALARM\r\nTRIGGER:-PT{n}M\r\nEND:VALARM\r\n" for n in range(1, 15)).rstrip(),
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
async def test_a_line_that_no_field_holds_is_kept(phone: CalendarApp, alice: Person, line: str) -> None:
    for uid in ("a", "b"):
        path = f"{phone.inbox}{uid}.ics"
        body = todo(uid, line, "X-KEPT:yes")
        answer = await phone.call("PUT", path, body, Content_Type="text/calendar")
        assert answer.status_code in {201, 403}, answer.text
        if answer.status_code == 201:
            cleaned = body.replace("\x01", "").replace("\x0b", "").replace("\ufffe", "")
            assert (await phone.call("GET", path)).text == cleaned
            task = (await alice.get(f"/tasks/uid:{uid}")).json()
            assert (await alice.patch(f"/tasks/{task['id']}", {"title": "Other"})).status_code == 200
            assert "X-KEPT:yes" in await phone.get(path)
            assert (await phone.list(phone.inbox, "C:calendar-data")).found


CALENDARS = [
    b"", b"x", b"\xff", b"BEGIN:VCALENDAR", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", b"END:VCALENDAR",
    b"BEGIN:VTODO\r\nUID:a\r\nEND:VTODO", b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nEND:VTODO\r\nEND:VCALENDAR",
    b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\nEND:VEVENT\r\nEND:VCALENDAR",
    b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:a\r\nEND:VTODO\r\nBEGIN:VTODO\r\nUID:b\r\nEND:VTODO\r\nEND:VCALENDAR",
    b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:a\r\nEND:VTODO\r\nBEGIN:VTODO\r\nUID:a\r\nEND:VTODO\r\nEND:VCALENDAR",
    b"BEGIN:VCALENDAR\r\n" + b"BEGIN:X\r\n" * 2_000, b"BEGIN:VCALENDAR\r\nno property\r\nEND:VCALENDAR",
    b"BEGIN:VCALENDAR\r\n" + b"X:1\r\n" * 20_000, todo("a", "SUMMARY:" + "x" * 70_000).encode(),
    todo("a", "no property", "SUMMARY:x").encode(), b"\0" * 100, todo("", "SUMMARY:x").encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", CALENDARS, ids=range(len(CALENDARS)))
async def test_what_is_no_to_do_is_refused_by_name(phone: CalendarApp, alice: Person, body: bytes) -> None:
    answer = await phone.call("PUT", f"{phone.inbox}a.ics", body, Content_Type="text/calendar")
    assert answer.status_code == 403, answer.text
    assert b"<C:" in answer.content
    assert (await alice.get("/tasks")).json() == []


@pytest.mark.parametrize(
    "name",
    [
        "x" * 4_000,
        "x" * 256,
        "%00",
        "%2F",
        "a%2Fb.ics",
        "%ff",
        "..",
        "%E2%82%AC.ics",
        "a b.ics",
        "%0A",
        "'",
        "a;b=c.ics",
    ],
)
async def test_names_that_nobody_gives(phone: CalendarApp, name: str) -> None:
    path = f"{phone.inbox}{name}"
    answer = await phone.call("PUT", path, todo("u", "SUMMARY:x"))
    assert answer.status_code in {201, 403, 404, 405, 414}, answer.text
    if answer.status_code == 201:
        (found,) = (await phone.list(phone.inbox)).found
        assert "SUMMARY:x" in await phone.get(found)
    for method in ("GET", "PROPFIND", "DELETE"):
        assert (await phone.call(method, path)).status_code < 500
    for method in ("MKCALENDAR", "PROPFIND", "PROPPATCH", "DELETE"):
        assert (await phone.call(method, f"{phone.home}{name}/")).status_code < 500


@pytest.mark.parametrize(
    "destination", ["", "x", "http://[", "/dav/", "/dav/other/inbox/x.ics", "http://else.example/x"]
)
async def test_a_destination_that_is_none(phone: CalendarApp, destination: str) -> None:
    await phone.put(f"{phone.inbox}x.ics", "SUMMARY:mine")
    answer = await phone.call("MOVE", f"{phone.inbox}x.ics", Destination=destination)
    assert answer.status_code == 403
    assert "SUMMARY:mine" in await phone.get(f"{phone.inbox}x.ics")


@pytest.mark.parametrize("name", ["%2e", "%2e%2e"])
async def test_a_name_that_clients_take_out_of_a_path(phone: CalendarApp, name: str) -> None:
    """What had it could not be found again: the next request would be about the collection, or its parent."""
    path = f"{phone.inbox}{new_uid()}.ics"
    assert (await phone.put(path, "SUMMARY:x")).status_code == 201
    assert (await phone.call("MOVE", path, Destination=f"http://test{phone.inbox}{name}")).status_code == 403
    assert (await phone.call("MKCALENDAR", f"{phone.home}{name}/")).status_code == 403
    assert [*(await phone.list(phone.inbox)).found] == [path]
