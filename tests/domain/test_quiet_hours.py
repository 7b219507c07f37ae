"""Quiet hours by the clock on the wall: over midnight, and over changes of clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.notifications import quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda parts: f"{parts[0]:02}:{parts[1]:02}")
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
).map(ZoneInfo)
# Every change of 2026 in these zones, and the days between.
MOMENTS = st.integers(0, 366 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


# Written out here as well: it is the definition.
def is_quiet(moment: datetime, begin: str, end: str, zone: ZoneInfo) -> bool:
    clock = f"{moment.astimezone(zone):%H:%M}"
    return begin <= clock < end if begin < end else clock >= begin or clock < end


@pytest.mark.parametrize(
    ("moment", "begin", "end", "expected"),
    [
        ("2026-11-30T22:59+01:00", "23:00", "07:00", None),
        ("2026-11-30T23:00+01:00", "23:00", "07:00", "2026-12-01T07:00+01:00"),
        ("2026-12-01T06:59+01:00", "23:00", "07:00", "2026-12-01T07:00+01:00"),
        ("2026-12-01T07:00+01:00", "23:00", "07:00", None),
        ("2026-12-01T13:30+01:00", "13:00", "14:00", "2026-12-01T14:00+01:00"),
        ("2026-12-01T00:30+01:00", "00:00", "06:00", "2026-12-01T06:00+01:00"),
        # The clocks go forward at 02:00 on 29 March, and back at 03:00 on 25 October.
        ("2026-03-28T23:30+01:00", "23:00", "07:00", "2026-03-29T07:00+02:00"),
        ("2026-03-29T01:30+01:00", "23:00", "02:30", "2026-03-29T03:30+02:00"),
        ("2026-03-29T03:10+02:00", "02:30", "06:00", "2026-03-29T06:00+02:00"),
        ("2026-10-24T23:30+02:00", "23:00", "07:00", "2026-10-25T07:00+01:00"),
        ("2026-10-25T02:15+02:00", "23:00", "02:30", "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:15+01:00", "23:00", "02:30", "2026-10-25T02:30+01:00"),
        ("2026-10-25T02:45+01:00", "02:30", "06:00", "2026-10-25T06:00+01:00"),
    ],
)
def test_a_moment_in_quiet_hours_waits_for_their_end(moment: str, begin: str, end: str, expected: str | None) -> None:
    given_moment = datetime.fromisoformat(moment)
    assert quiet_until(given_moment, begin, end, BERLIN) == datetime.fromisoformat(expected or moment)


@given(MOMENTS, CLOCKS, CLOCKS, ZONES)
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:40", "02:20", BERLIN)
@example(datetime(2026, 3, 29, 1, 10, tzinfo=UTC), "02:15", "02:45", BERLIN)
def test_nothing_is_sent_while_the_clock_shows_quiet_hours(
    moment: datetime, begin: str, end: str, zone: ZoneInfo
) -> None:
    if begin == end:
        return
    until = quiet_until(moment, begin, end, zone)
    assert not is_quiet(until, begin, end, zone)
    assert (until == moment) is not is_quiet(moment, begin, end, zone)
    assert moment <= until <= moment + timedelta(hours=49), "two days where the clocks skip the only free hours"
    if until != moment:
        shown = until.astimezone(zone)
        wanted = datetime.combine(shown.date(), time.fromisoformat(end), zone)
        assert shown.strftime("%H:%M") == end or wanted.astimezone(UTC) == until, "the clocks skip it"


def test_without_quiet_hours_nothing_waits() -> None:
    moment = datetime(2026, 11, 30, 3, tzinfo=UTC)
    assert quiet_until(moment, None, None, BERLIN) == moment
