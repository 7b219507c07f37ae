"""Files with lines that are cut, repeated, moved or hold extreme values: no error but the named ones."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import AppError
from app.services.transfer.formats.file_context import FileContext, RowBudget
from app.services.transfer.formats.ics.reader import IcsFile
from app.services.transfer.import_row import RowRefused
from app.services.transfer.row_validation import RowReader

SAMPLES = [path.read_text().splitlines() for path in sorted((Path(__file__).parent / "files").iterdir())]
LINES = [line for sample in SAMPLES for line in sample]
EXTREMES = [
    "", "\0", "9" * 30, "00010101T000000", "00010101T000000Z", "19000101", "99991231T235959", "99991231T235959Z",
    "20270328T023000", "-P99999D", "P9999W", "P", "+2359", "-235959", '"', "\\", ";:,=", "FREQ=DAILY;UNTIL=00010101",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;COUNT=3000", "FREQ=YEARLY;UNTIL=99991231T235959",
]  # fmt: skip
ZONES = [ZoneInfo(name) for name in ("UTC", "America/St_Johns", "Pacific/Apia")]


@st.composite
def damaged(draw: st.DrawFn) -> list[str]:
    lines = list(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(lines) - 1))
        name, _, value = lines[place].partition(":")
        lines[place : place + 1] = draw(
            st.sampled_from(
                [
                    [],
                    [lines[place], draw(st.sampled_from(LINES))],
                    [f"{name}:{draw(st.sampled_from(EXTREMES))}"],
                    [f"{name}:{draw(st.sampled_from(LINES)).partition(':')[2]}"],
                    [f"{name}:{value[: draw(st.integers(0, 20))]}"],
                    lines[max(0, place - 6) : place + 1],
                ]
            )
        ) or ["X"]
    return [f"{line}\n" for line in lines]


@given(damaged(), st.sampled_from(ZONES))
@settings(max_examples=150, deadline=None)
def test_damaged_files_raise_no_other_error(lines: list[str], zone: ZoneInfo) -> None:
    reader = RowReader(description_max=1000, timezone=zone, now=datetime(2026, 11, 29, tzinfo=UTC))
    now = datetime(2026, 11, 29, tzinfo=UTC)
    calendar = IcsFile(FileContext("alice", now, zone, 1000, RowBudget(1000)))
    try:
        calendar.scan(lines)
    except AppError:
        return
    calendar.read_series(lines)
    for row in calendar.rows(lines):
        try:
            reader.read_loaded("tasks", row.load())
        except (AppError, RowRefused):
            continue
