"""The zone of a time in an iCalendar file: by its name, by the file, else the owner's with a warning."""

import pytest

from app.services.transfer.formats.ics import zones
from tests.api.ics.calendars import calendar, import_calendar, import_each, todo
from tests.support import Person

NEW_YORK = """BEGIN:VTIMEZONE
TZID:{name}
{more}BEGIN:STANDARD
DTSTART:16010101T020000
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=1SU;BYMONTH=11
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=2SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE"""
FIXED = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:{offset}
TZOFFSETTO:{offset}
END:STANDARD
END:VTIMEZONE"""


KNOWN_NAMES = [
    ("Europe/London", "2027-07-15T08:00:00Z"),
    ('"Europe/London"', "2027-07-15T08:00:00Z"),
    ("europe/london", "2027-07-15T08:00:00Z"),
    ("EUROPE/LONDON", "2027-07-15T08:00:00Z"),
    ("America/New York", "2027-07-15T13:00:00Z"),
    ("/mozilla.org/20050126_1/Europe/London", "2027-07-15T08:00:00Z"),
    ("/freeassociation.sourceforge.net/Tzfile/America/Argentina/Buenos_Aires", "2027-07-15T12:00:00Z"),
    ("/citadel.org/20210210_1/America/Los_Angeles", "2027-07-15T16:00:00Z"),
    ("/softwarestudio.org/Olson_20011030_5/America/Indiana/Indianapolis", "2027-07-15T13:00:00Z"),
    ("tzone://Microsoft/Utc", "2027-07-15T09:00:00Z"),
    ("Pacific Standard Time", "2027-07-15T16:00:00Z"),
    ("pacific standard time", "2027-07-15T16:00:00Z"),
    ("Pacific Daylight Time", "2027-07-15T16:00:00Z"),
    ("W. Europe Standard Time", "2027-07-15T07:00:00Z"),
    ("GMT Standard Time", "2027-07-15T08:00:00Z"),
    ("India Standard Time", "2027-07-15T03:30:00Z"),
    ("Central Standard Time (Mexico)", "2027-07-15T15:00:00Z"),
    ("Russia Time Zone 3", "2027-07-15T05:00:00Z"),
    ("US/Central", "2027-07-15T14:00:00Z"),
    ("UTC", "2027-07-15T09:00:00Z"),
    ("GMT", "2027-07-15T09:00:00Z"),
    ("Z", "2027-07-15T09:00:00Z"),
    ("Etc/GMT+2", "2027-07-15T11:00:00Z"),  # the sign of POSIX
    ("GMT+0200", "2027-07-15T07:00:00Z"),
    ("GMT+02:00", "2027-07-15T07:00:00Z"),
    ("UTC-5", "2027-07-15T14:00:00Z"),
    ("+0530", "2027-07-15T03:30:00Z"),
]


async def test_known_names_of_zones_are_read_without_a_warning(alice: Person) -> None:
    found = await import_each(alice, [f"DUE;TZID={name}:20270715T090000" for name, _ in KNOWN_NAMES])
    read = [(name, each.task["due_date"], each.warned) for (name, _), each in zip(KNOWN_NAMES, found, strict=True)]
    assert read == [(name, due, []) for name, due in KNOWN_NAMES]


async def test_an_unknown_zone_is_the_owners_and_named(alice: Person) -> None:
    names = ["Company Time", "PST", "Nowhere/Land", "Customized Time Zone", "x" * 300, ""]
    lines = [f'DTSTART;TZID="{name}":20270715T090000\nDUE;TZID="{name}":20270715T090000' for name in names]
    for name, found in zip(names, await import_each(alice, lines), strict=True):
        assert found.task["due_date"] == "2027-07-15T07:00:00Z"
        assert [warning["type"] for warning in found.report["warnings"]] == (["guessed"] if name else [])
        assert [value[:199] for _, value in found.warned] == ([name[:199]] if name else [])


async def test_an_outlook_name_with_an_offset_is_that_offset_and_named(alice: Person) -> None:
    for uid, name in enumerate(("(GMT+01:00) Amsterdam, Berlin", "(UTC-08:00) Pacific Time (US & Canada)")):
        quoted, plain = f'DUE;TZID="{name}":20270715T090000', f"DUE;TZID={name}:20270715T090000"
        text = calendar(todo(quoted, uid=f"q{uid}"), todo(plain, uid=f"p{uid}"))
        found = await import_calendar(alice, text)
        due = ["2027-07-15T08:00:00Z", "2027-07-15T17:00:00Z"][uid]
        assert [task["due_date"] for task in found.tasks[-2:]] == [due, due]
        assert found.report["warned"] == 2


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", ["Company Time", "Customized Time Zone", "tzone://Microsoft/Custom", "PST"])
async def test_a_zone_is_read_as_the_file_defines_it(alice: Person, name: str, after: bool) -> None:
    zone = NEW_YORK.format(name=name, more="")
    dates = ["20270115T090000", "20270715T090000", "20270314T023000", "20271107T013000"]  # in the gap, in the overlap
    todos = [todo(f'DUE;TZID="{name}":{date}', uid=date, title=date) for date in dates]
    found = await import_calendar(alice, calendar(*([*todos, zone] if after else [zone, *todos])))
    assert [task["due_date"] for task in found.tasks] == [
        "2027-01-15T14:00:00Z", "2027-07-15T13:00:00Z", "2027-03-14T07:30:00Z", "2027-11-07T05:30:00Z",
    ]  # fmt: skip
    assert found.warned == []


async def test_an_exact_name_means_the_iana_zone_whatever_the_file_says(alice: Person) -> None:
    wrong = FIXED.format(name="Europe/London", offset="+0900")
    found = await import_calendar(alice, calendar(wrong, todo("DUE;TZID=Europe/London:20270115T090000")))
    assert found.task["due_date"] == "2027-01-15T09:00:00Z"


@pytest.mark.parametrize("more", ["X-LIC-LOCATION:Asia/Tokyo\n", "TZID-ALIAS-OF:Asia/Tokyo\n"])
async def test_a_definition_may_name_the_iana_zone(alice: Person, more: str) -> None:
    zone = NEW_YORK.format(name="Office", more=more)
    found = await import_calendar(alice, calendar(zone, todo("DUE;TZID=Office:20270115T090000")))
    assert found.task["due_date"] == "2027-01-15T00:00:00Z"


async def test_each_calendar_of_a_file_defines_its_own_zones(alice: Person) -> None:
    def task(uid: str) -> str:
        return todo("DUE;TZID=Office:20270115T090000", uid=uid, title=uid)

    one = calendar(FIXED.format(name="Office", offset="+0900"), task("tokyo"))
    two = calendar(task("kathmandu"), FIXED.format(name="Office", offset="+0545"))
    found = await import_calendar(alice, one + two + calendar(task("as the first")))
    assert {task["title"]: task["due_date"] for task in found.tasks} == {
        "tokyo": "2027-01-15T00:00:00Z",
        "kathmandu": "2027-01-15T03:15:00Z",
        "as the first": "2027-01-15T00:00:00Z",
    }
    assert found.warned == []


RDATES = """BEGIN:VTIMEZONE
TZID:Moving
BEGIN:STANDARD
DTSTART:20200101T000000
TZOFFSETFROM:+0000
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:20270301T000000
RDATE:20270301T000000,20280301T000000
TZOFFSETFROM:+0100
TZOFFSETTO:+023000
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:20270901T000000
RRULE:FREQ=YEARLY;BYMONTH=9;BYMONTHDAY=1;UNTIL=20271001T000000Z
TZOFFSETFROM:+0230
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE"""


@pytest.mark.parametrize(
    ("local", "due"),
    [
        ("20191231T120000", "2019-12-31T12:00:00Z"),  # before the first: the offset from which it changed
        ("20270201T120000", "2027-02-01T11:00:00Z"),
        ("20270601T120000", "2027-06-01T09:30:00Z"),
        ("20271201T120000", "2027-12-01T11:00:00Z"),
        ("20280601T120000", "2028-06-01T09:30:00Z"),
        ("20281201T120000", "2028-12-01T09:30:00Z"),  # the rule has ended
    ],
)
async def test_observances_begin_at_dates_and_by_rules_that_end(alice: Person, local: str, due: str) -> None:
    found = await import_calendar(alice, calendar(RDATES, todo(f"DUE;TZID=Moving:{local}")))
    assert found.task["due_date"] == due


@pytest.mark.parametrize("broken", ["", "BEGIN:STANDARD\nDTSTART:x\nTZOFFSETTO:y\nEND:STANDARD\n"])
async def test_a_definition_that_cannot_be_read_falls_back_to_the_name(alice: Person, broken: str) -> None:
    zone = f"BEGIN:VTIMEZONE\nTZID:Pacific Standard Time\n{broken}END:VTIMEZONE"
    found = await import_calendar(alice, calendar(zone, todo("DUE;TZID=Pacific Standard Time:20270115T090000")))
    assert found.task["due_date"] == "2027-01-15T17:00:00Z"
    assert found.warned == []


async def test_times_without_a_zone_are_in_the_calendars_zone_else_in_the_owners(alice: Person, bob: Person) -> None:
    text = todo("DUE:20270115T090000\nCREATED:20270101T000000\nLAST-MODIFIED:20270102T000000")
    found = await import_calendar(alice, calendar(text))
    assert (found.task["due_date"], found.task["created_at"]) == ("2027-01-15T08:00:00Z", "2026-12-31T23:00:00Z")
    found = await import_calendar(bob, calendar(text, head="X-WR-TIMEZONE:America/New_York"))
    assert (found.task["due_date"], found.task["updated_at"]) == ("2027-01-15T14:00:00Z", "2027-01-02T05:00:00Z")
    assert found.warned == []


async def test_definitions_beyond_the_limit_are_left_out_and_named(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zones, "ZONE_PROPERTIES_MAX", 500)
    definitions = [NEW_YORK.format(name=f"Z{n}", more="") for n in range(100)]
    todos = [todo(f"DUE;TZID=Z{n}:20270715T090000", uid=str(n)) for n in (0, 99)]
    found = await import_calendar(alice, calendar(*definitions, *todos))
    assert [task["due_date"] for task in found.tasks] == ["2027-07-15T13:00:00Z", "2027-07-15T07:00:00Z"]
    assert [field for field, _ in found.warned] == ["due_date", "VTIMEZONE"]


async def test_a_zone_with_too_many_rules_is_not_known(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "ZONE_RULES_MAX", 1)
    zone = NEW_YORK.format(name="Office", more="")
    found = await import_calendar(alice, calendar(zone, todo("DUE;TZID=Office:20270715T090000")))
    assert (found.task["due_date"], found.warned) == ("2027-07-15T07:00:00Z", [("due_date", "Office")])


async def test_a_definition_at_the_end_of_time_is_read(alice: Person) -> None:
    zone = NEW_YORK.format(name="Office", more="").replace("DTSTART:16010101T020000", "DTSTART:99991231T235959", 1)
    zone = zone.replace("RRULE:", "RDATE:00010101T000000,99991231T235959\nRRULE:")
    found = await import_calendar(alice, calendar(zone, todo("DUE;TZID=Office:20270715T090000")))
    assert found.task["due_date"] == "2027-07-15T13:00:00Z"
