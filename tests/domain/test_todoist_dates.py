"""The dates of Todoist's files: a table of phrases, each language with its own words, and no word read as English."""

import json
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.recurrence.rule import parse_rule
from app.domain.todoist_dates import TodoistDate, read_todoist_date
from app.domain.todoist_languages import ENGLISH_MONTHS, ENGLISH_WEEKDAYS, WORD_TABLES
from app.domain.written_dates import DayOrder, read_written_date

TABLE = json.loads(Path(__file__).with_name("todoist_phrases.json").read_text(encoding="utf-8"))
NOW, ZONE = datetime.fromisoformat(TABLE["now"]), ZoneInfo(TABLE["timezone"])
UNDERSTOOD = [(lang, text, found) for lang, rows in TABLE["understood"].items() for text, found in rows.items()]
NOT_UNDERSTOOD = [(lang, text) for lang, texts in TABLE["not_understood"].items() for text in texts]


def read(text: str, language: str = "en", day_first: bool | None = None) -> TodoistDate | None:
    return read_todoist_date(text, now=NOW, timezone=ZONE, language=language, day_first=day_first)


@pytest.mark.parametrize(("language", "text", "expected"), UNDERSTOOD)
def test_a_phrase_is_read_as_in_the_table(language: str, text: str, expected: list[str]) -> None:
    due, rule, start = [*expected, "", ""][:3]
    found = read(text, language)
    assert found is not None
    assert found.due == (datetime.fromisoformat(due) if "T" in due else date.fromisoformat(due))
    assert (found.recurrence or "", found.from_completion) == (rule, start == "completion")
    if found.recurrence:
        parse_rule(found.recurrence)


@pytest.mark.parametrize(("language", "text"), NOT_UNDERSTOOD)
def test_a_phrase_that_is_not_understood_is_not_read_in_part(language: str, text: str) -> None:
    assert read(text, language) is None


def test_a_duration_is_no_part_of_the_date() -> None:
    found = read("every day at 9am for 45min")
    assert found is not None
    assert (found.recurrence, found.duration) == ("FREQ=DAILY", "for 45min")


@pytest.mark.parametrize("day_first", [True, False])
def test_the_order_of_day_and_month_is_that_of_the_file(day_first: bool) -> None:
    found = read("01/02/2027", day_first=day_first)
    assert found is not None
    assert found.due == (date(2027, 2, 1) if day_first else date(2027, 1, 2))
    for written in ("31/12/2026", "12/31/2026"):  # can be read in one way only
        assert read_written_date(written, day_first=day_first) == (date(2026, 12, 31), False)


def test_a_file_shows_the_order_of_its_dates() -> None:
    order = DayOrder(default=True)
    order.note("01/02/2027")
    order.note("12/31/2026 9:00")
    order.settle()
    assert (order.day_first, order.guessed) == (False, "")


@pytest.mark.parametrize("language", WORD_TABLES)
def test_each_language_has_all_months_and_weekdays(language: str) -> None:
    months, weekdays, _ = WORD_TABLES[language]
    for number, words in enumerate(months.split(), start=1):
        for word in words.split("/"):
            found = read(f"7 {word} 2027", language)
            assert found is not None, word
            assert found.due == date(2027, number, 7)
    for words in weekdays.split():
        for word in words.split("/"):
            found = read(word, language)
            assert found is not None, word
            assert not isinstance(found.due, datetime)
    assert (len(months.split()), len(weekdays.split())) == (len(ENGLISH_MONTHS), len(ENGLISH_WEEKDAYS))


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["en", "de", "ja", "xx", ""]))
def test_no_text_fails(text: str, language: str) -> None:
    read(text, language)
    read_written_date(text)


@settings(deadline=None)
@given(st.datetimes(datetime.fromisoformat("1901-01-01"), datetime.fromisoformat("2198-12-31")))
def test_a_moment_is_read_in_every_form_that_programs_write(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    for form in (
        "%Y-%m-%d %H:%M:%S", "%Y%m%dT%H%M%S", "%d.%m.%Y %H:%M:%S", "%a, %d %b %Y %H:%M:%S", "%B %d, %Y %I:%M:%S %p",
        "%a %b %d %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y",
    ):  # fmt: skip
        found = read_written_date(moment.strftime(form))
        assert found is not None, form
        assert found.value == moment
