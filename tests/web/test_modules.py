"""Modules of the web client alone: dates in words and in zones, places and their URLs, the order of matches."""

import json
from typing import Any

import pytest

from tests.web.looks import ZONES, Look
from tests.web.window import Window

pytestmark = pytest.mark.slow

RULES = {
    "FREQ=DAILY": "every day",
    "FREQ=DAILY;INTERVAL=3": "every 3 days",
    "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR": "every weekday",
    "FREQ=WEEKLY;BYDAY=MO,TH": "every week on Mon, Thu",
    "FREQ=MONTHLY;BYDAY=1MO": "every month on first Mon",
    "FREQ=MONTHLY;BYMONTHDAY=-1": "every month on the last day",
    "FREQ=MONTHLY;BYMONTHDAY=15;COUNT=2": "every month on day 15, 2 times",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU": "every year on last Sun in March",
    "FREQ=YEARLY;UNTIL=20301231": "every year until 31 Dec 2030",
    "FREQ=HOURLY": "FREQ=HOURLY",
}
# Local days and times, also next to those that a change of clocks leaves out or has twice.
MOMENTS = [
    ("2026-03-29", "03:30"),
    ("2026-11-01", "00:30"),
    ("2026-04-05", "04:00"),
    ("2026-12-31", "23:59"),
    ("2028-02-29", "09:00"),
]
PLACES: list[dict[str, Any]] = [
    {"list": "today"},
    {"list": "project", "id": "7", "status": "all", "task": 3},
    {"list": "tag", "id": "a/b ?#%&=ü"},
    {"list": "all", "search": 'tag:"x y" AND due < today+7d', "priority": "high", "due": "week", "sort": "title"},
]


def ask(window: Window, module: str, expression: str) -> Any:
    """Returns the value of an expression over ``all``, what a module of the page exports."""
    imported = f"import(new URL('{module}', document.querySelector('script[src]').src).href)"
    return json.loads(window.page.run(f"{imported}.then((all) => JSON.stringify({expression}))"))


def test_rules_are_in_words(window: Window) -> None:
    said = ask(window, "dates.js", f"{json.dumps(list(RULES))}.map((rule) => all.sayRule(rule))")
    assert dict(zip(RULES, said, strict=True)) == RULES


@pytest.mark.parametrize("zone", ZONES)
def test_a_due_date_keeps_its_local_day_and_time(window: Window, zone: str) -> None:
    Look(zone=zone).apply(window)
    window.reload()
    made = f"{json.dumps(MOMENTS)}.map(([day, time]) => all.makeDue(day, time))"
    found = ask(window, "dates.js", f"{made}.map((due) => [due.endsWith('Z'), all.dueDay(due), all.dueTime(due)])")
    assert found == [[True, day, time] for day, time in MOMENTS]
    keys = ask(window, "dates.js", f"{made}.map(all.dueKey)")
    assert keys == [f"{day}T{time}" for day, time in MOMENTS]
    assert ask(window, "dates.js", "[all.dueKey('2026-12-31'), all.dueKey(null)]") == ["2026-12-31T24", "9999"]


def test_a_place_is_what_its_url_says(window: Window) -> None:
    for place in PLACES:
        read = ask(window, "place.js", f"all.readPlace(all.hrefTo({json.dumps(place)}))")
        assert {name: read[name] for name in place} == place


def test_the_better_match_comes_first(window: Window) -> None:
    texts = ["milk", "milk and bread", "buy milk", "oat-milk", "the minute like", "silk mill"]
    ranks = ask(window, "palette.js", f"{json.dumps(texts)}.map((text) => all.rank(text, 'milk'))")
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] > ranks[1] > ranks[2] > 0
    assert ask(window, "palette.js", "all.rank('bread', 'milk')") == 0
    assert ask(window, "folding.js", "['Ärger', 'straße', 'İzmir', 'ΣΊΣΥΦΟΣ'].map(all.fold)") == [
        "arger",
        "strasse",
        "izmir",
        "σισυφοσ",
    ]
