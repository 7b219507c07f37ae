"""Quick add: the table of phrases, and properties that hold for any text."""

import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.domain.quick_add import QUICK_ADD_TEXT_MAX, ParsedTask, Span, parse
from app.domain.quick_add.text import tokenize
from app.domain.quick_add.words import words
from app.domain.recurrence.days import matching_days
from app.domain.recurrence.rule import parse_rule
from app.errors import EmptyTitle
from app.models.task_fields import TAGS_MAX, Priority
from app.models.task_reminders import REMINDERS_MAX, ReminderList
from tests.timing import assert_takes_less_than

TABLE = json.loads(Path(__file__).with_name("quick_add_phrases.json").read_text(encoding="utf-8"))
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 10, tzinfo=BERLIN)  # a Friday
FIELDS = {"project", "tags", "priority", "due_date", "start_date", "recurrence", "reminders"}


def quick(text: str, now: datetime = NOW, zone: ZoneInfo = BERLIN) -> ParsedTask:
    return parse(text, now=now, timezone=zone)


ROWS = [pytest.param(group, row, id=f"{group['group']}: {row['text']}") for group in TABLE for row in group["phrases"]]


def described(result: ParsedTask) -> dict[str, Any]:
    """Returns the result in the form of the table: without fields that are not set."""
    values = {
        "title": result.title,
        "due": result.due,
        "start": result.start,
        "recurrence": result.recurrence,
        "reminders": result.reminders,
        "project": result.project,
        "tags": result.tags,
        "priority": result.priority,
    }
    return {name: value for name, value in values.items() if value}


@pytest.mark.parametrize(("group", "row"), ROWS)
def test_a_phrase_is_parsed_as_in_the_table(group: dict[str, Any], row: dict[str, Any]) -> None:
    now, zone = datetime.fromisoformat(group["now"]), ZoneInfo(group["timezone"])
    assert now.utcoffset() == now.astimezone(zone).utcoffset(), "the table's now does not exist there"
    assert now.strftime("%A") == group["weekday"]
    expected = {name: value for name, value in row.items() if name != "text"}
    if "error" in expected:
        with pytest.raises(EmptyTitle) as raised:
            quick(row["text"], now, zone)
        assert raised.value.code == expected["error"]
        return
    for name in ("due", "start"):
        if moment := expected.get(name):
            expected[name] = datetime.fromisoformat(moment) if "T" in moment else date.fromisoformat(moment)
    found = described(quick(row["text"], now, zone))
    assert found == expected
    for name in ("due", "start"):
        assert type(found.get(name)) is type(expected.get(name))


def test_the_table_is_large_and_has_no_duplicates() -> None:
    texts = Counter((group["now"], group["timezone"], row["text"]) for group in TABLE for row in group["phrases"])
    assert len(texts) >= 180
    assert max(texts.values()) == 1


def test_the_phrase_of_the_api_example_has_the_documented_spans() -> None:
    text = "Pay rent every month on the 1st at 9 #home p:high @bank"
    rule, due = "FREQ=MONTHLY;BYMONTHDAY=1", "2026-12-01T08:00:00Z"
    assert quick(text).understood == [
        Span("every month on the 1st", 9, 31, "recurrence", rule),
        Span("at 9", 32, 36, "due_date", due),
        Span("#home", 37, 42, "project", "home"),
        Span("p:high", 43, 49, "priority", "high"),
        Span("@bank", 50, 55, "tags", "bank"),
    ]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Call mom monday, 9am", ["monday, 9am"]),
        ("Call mom tomorrow about the party at 11", ["tomorrow", "at 11"]),
        ("Call mom (tomorrow)!", ["tomorrow"]),
        ("Call mom Dec. 1.", ["Dec. 1"]),
        ("Water 🌵🌵 every 2 days until Dec 31 @🏠", ["every 2 days until Dec 31", "@🏠"]),
        ("Yoga every monday starting Dec 7", ["every monday", "starting Dec 7"]),
        ("Buy milk @a @a", ["@a", "@a"]),
        ('Paint #"Home office" p1', ['#"Home office"', "p1"]),
        (
            "Fly tomorrow at 15:00, remind me 2h before and 1 hour before",
            ["tomorrow at 15:00", "remind me 2h before", "and 1 hour before"],
        ),
        ("Remind me at 5pm to call Bob", ["Remind me at 5pm to"]),
    ],
)
def test_spans_are_the_words_of_the_text(text: str, spans: list[str]) -> None:
    """Positions count code points: a cactus is one."""
    result = quick(text)
    assert [span.text for span in result.understood] == spans
    assert_sound(text, result)


def test_an_instant_is_in_utc() -> None:
    due = quick("Call mom at noon").due
    assert isinstance(due, datetime)
    assert due.tzinfo is UTC


def test_names_are_stored_in_nfc() -> None:
    result = quick("Buy milk @cafe\u0301 #cafe\u0301")
    assert (result.tags, result.project) == (["caf\u00e9"], "caf\u00e9")
    assert result.understood[0].text == "@cafe\u0301"


def test_words_beyond_the_limits_stay_in_the_title() -> None:
    tags = [f"@t{number}" for number in range(TAGS_MAX + 2)]
    assert quick("Buy " + " ".join(tags)).title == "Buy @t20 @t21"
    assert quick("Buy @" + "x" * 50).tags == ["x" * 50]
    assert quick("Buy @" + "x" * 51).title == "Buy @" + "x" * 51
    assert quick("Buy #" + "x" * 101).project is None


def test_a_task_has_so_many_reminders() -> None:
    spans = ", ".join(f"{number} minutes before" for number in range(1, REMINDERS_MAX + 3))
    result = quick(f"Fly tomorrow at 15:00, remind me {spans}")
    assert result.reminders == [f"-PT{number}M" for number in range(1, REMINDERS_MAX + 1)]
    assert "11 minutes before" in result.title


def test_a_reminder_of_a_day_is_a_time_by_its_clock() -> None:
    """Also on the days on which the clocks change: 28 March and 31 October 2027."""
    assert quick("Fly 2027-03-28, remind me at 9am").reminders == ["PT9H"]
    assert quick("Fly 2027-03-29, remind me the day before at 9am").reminders == ["-PT15H"]
    assert quick("Fly 2027-03-28 at 09:00, remind me at 01:00").reminders == ["-PT7H"]
    assert quick("Fly 2027-10-31 at 09:00, remind me at 01:00").reminders == ["-PT9H"]


def test_relative_minutes_end_at_a_whole_minute() -> None:
    now = NOW.replace(second=59, microsecond=999_999)
    assert quick("Call mom in 5 minutes", now).due == NOW + timedelta(minutes=5)


def test_a_text_without_visible_characters_has_no_title() -> None:
    for text in ("", "   ", "\u200b\u2060", "\u3164 tomorrow"):
        with pytest.raises(EmptyTitle):
            quick(text)


# Typical input, similar words, and text that breaks parsers.
WORDS = sorted(
    words(
        "call mom buy 7up every each on by due at the of in from until for and or , - . ( ) ! monday sat sun may march"
        " dec december 1 1st 2nd 15th 31 feb 29 2027 2026-12-01 12/1 9 9am 9:30 17:00 noon midnight am pm today"
        " tomorrow tonight next last first second other day days week weeks month year years weekday hour minutes"
        ' morning evening times end daily weekly #home #1 #"a @bank me@example.com p1 p:high p5 " \' http://x.y/today'
        " 24/7 o'clock starting half an a 5 remind me before earlier please starts begins not on"
    )
)
TEXTS = st.one_of(
    st.text(max_size=QUICK_ADD_TEXT_MAX),
    st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
    st.lists(st.sampled_from([*WORDS, " ", "  ", "\n"]), max_size=60).map("".join),
    st.lists(st.sampled_from([row["text"] for group in TABLE for row in group["phrases"]]), max_size=4).map(" ".join),
).map(lambda text: text[:QUICK_ADD_TEXT_MAX])
NOWS = st.integers(0, 180 * 365 * 24 * 60).map(
    lambda minutes: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]
).map(ZoneInfo)


def assert_sound(text: str, result: ParsedTask) -> None:
    """Asserts that spans are parts of the text, in order and disjoint, and that the title consists of the rest."""
    end = 0
    rest = ""
    for span in result.understood:
        assert end <= span.start < span.end <= len(text)
        assert span.text == text[span.start : span.end]
        assert span.field in FIELDS
        rest += text[end : span.start]
        end = span.end
    rest += text[end:]
    characters = iter(rest)
    assert all(c in characters for c in "".join(result.title.split())), "in the order of the text"
    assert result.title == result.title.strip() != ""


@given(TEXTS, NOWS, ZONES)
@example("at 9 every monday from 2199-12-31", NOW, BERLIN)
@example("x every day for 9999 years", NOW, BERLIN)
@example("x 1901-01-01T00:00+00:01", NOW, BERLIN)
def test_any_text_has_consistent_spans(text: str, now: datetime, zone: ZoneInfo) -> None:
    try:
        result = quick(text, now, zone)
    except EmptyTitle:
        return
    assert result == quick(text, now, zone)
    assert_sound(text, result)
    by_field: dict[str, set[str]] = {}
    for span in result.understood:
        by_field.setdefault(span.field, set()).add(span.value)
    assert by_field.get("tags", set()) == set(result.tags)
    assert by_field.get("reminders", set()) == set(result.reminders)
    assert TypeAdapter(ReminderList).validate_python(result.reminders) == result.reminders, "as tasks have them"
    assert not result.reminders or "remind" in text.lower()
    assert by_field.get("project", set()) == {result.project} - {None}
    assert by_field.get("priority", set()) == {result.priority} - {None}
    assert by_field.get("recurrence", set()) == {result.recurrence} - {None}
    assert result.priority is None or result.priority in set(Priority)
    if result.due is None:
        assert result.recurrence is None
        assert "due_date" not in by_field
    else:
        assert 1900 <= result.due.year <= 2199


@given(TEXTS, NOWS, ZONES)
def test_a_parsed_rule_is_valid_and_the_due_date_is_its_first_day(text: str, now: datetime, zone: ZoneInfo) -> None:
    try:
        result = quick(text, now, zone)
    except EmptyTitle:
        return
    if result.recurrence is None or result.due is None:
        return
    rule = parse_rule(result.recurrence)
    assert str(rule) == result.recurrence
    day = result.due.astimezone(zone).date() if isinstance(result.due, datetime) else result.due
    assert next(matching_days(rule, day, day - timedelta(days=1))) == day
    assert isinstance(rule.until, datetime) == (isinstance(result.due, datetime) and rule.until is not None)


SUBJECTS = st.sampled_from(
    ["Call mom", "Buy 7up", "Fix issue #42", "Work at home", "Read the 1st chapter", 'See "today"']
)
MARKS = st.permutations(["#home", "@bank", "@shop", "p:high"])
DAYS = st.sampled_from(
    ["", "today", "tomorrow", "on monday", "Dec 1", "2026-12-01", "in 3 days", "every day", "every mon"]
)
TIMES = st.sampled_from(["", "at 11", "at 9pm", "by 17:00"])


@given(SUBJECTS, MARKS, DAYS, TIMES, st.booleans())
def test_the_order_of_words_does_not_matter(
    subject: str, marks: list[str], day: str, clock: str, day_first: bool
) -> None:
    """Nor do marks affect day and time; parsed again, the title contains nothing more."""
    when = f"{day} {clock}" if day_first else f"{clock} {day}"
    plain = quick(f"{subject} {day} {clock}")
    assert plain.title == subject
    for text in (f"{subject} {when} {' '.join(marks)}", f"{' '.join(marks)} {subject} {when}"):
        result = quick(text)
        assert (result.title, result.due, result.recurrence) == (subject, plain.due, plain.recurrence)
        assert (result.project, sorted(result.tags), result.priority) == ("home", ["bank", "shop"], "high")
    assert quick(subject).understood == []


@given(TEXTS)
def test_tokens_cover_the_text_except_white_space(text: str) -> None:
    tokens = tokenize(text)
    assert all(one.end <= other.start for one, other in pairwise(tokens))
    covered = {index for t in tokens for index in range(t.start, t.end)}
    assert all(index in covered or c.isspace() for index, c in enumerate(text))


UNITS = [
    "!", "(", '"', "“", "`", "'a ", "a", "1", ":", "#", ",-", "((", '"a\' ', "mon,", "a.m.", "http://", "@a ", "é",
    "at 9 ", "at 9 x ", "at 9, ", "2 weeks from ", "the 1st of ", "1st, 2nd, 3rd, ", "Feb 29 ", "sat 9:30 ", "monday, ",
    "on monday , ", "every monday and ", "every 2 ", "every on the ", "this morning ", "tomorrow at 9 x ", "until ",
    "every month on the 1st, ", "every month on the first and last ", "every day until ", "end of the ",
    "remind me ", "remind me 2 days before and ", "remind me tomorrow ", "remind me at 9 on ", "remind 1 hour before, ",
]  # fmt: skip
HOSTILE = [
    *((word + " ") * QUICK_ADD_TEXT_MAX for word in WORDS),
    *(unit * QUICK_ADD_TEXT_MAX for unit in UNITS),
    " " * (QUICK_ADD_TEXT_MAX - 1) + "x",
    '"' + "a" * QUICK_ADD_TEXT_MAX,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_parsing_any_text_takes_less_than_eight_milliseconds(text: str) -> None:
    """About 0.3 ms for typical text, at most 4 ms for the worst of these on a quiet machine."""

    def read() -> None:
        with suppress(EmptyTitle):
            quick(text[:QUICK_ADD_TEXT_MAX])

    assert_takes_less_than(0.008, read, runs=5)
