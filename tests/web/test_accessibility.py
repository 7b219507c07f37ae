"""The accessibility of every page of the web client (WCAG 2.2 AA), at three sizes, in light, dark and forced colours.

The pages are walked once, with all measurements at each; each test is about one of these.
"""

import json
from collections import defaultdict
from collections.abc import Iterator

import pytest

from app.db.connection_options import ConnectOptions
from tests.assistant.scripted import scripted
from tests.browser import Browser
from tests.servers import Server, running
from tests.web.accessibility import (
    AXE_FILE,
    BORDERS,
    CUT,
    FIELD_TEXT,
    FOCUS,
    MOTION,
    SPACING,
    TARGETS,
    measure,
    run_axe,
)
from tests.web.looks import COLOURS, FAULTS, SIZES, Look
from tests.web.walk import STATES, VISITOR_STATES, fill, respond, walk
from tests.web.window import Window

pytestmark = pytest.mark.slow

AXE_LOOKS = [(1440, 900, "light"), (1440, 900, "dark"), (390, 844, "dark"), (320, 640, "light")]
ZOOMED = [(720, 450), (320, 256)]  # a window of 1440 x 900 at 200 %, and of 1280 x 1024 at 400 %
TOUCHED = [(390, 844), (1024, 768)]
NARROWED = [(1100, 500), (390, 500)]  # where the details, the lists or what is sticky may cover the rest
Findings = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def service(postgres: ConnectOptions) -> Iterator[Server]:
    """Starts a process with an assistant, which fires reminders and may call the loopback."""
    with scripted(respond) as model:
        settings = {"LLM_MODEL": "m", "LLM_BASE_URL": model.url, "LLM_API_KEY": "x"}
        with running(postgres.dsn, WORKER="inside", WEBHOOKS_ALLOW_PRIVATE="true", **settings) as server:
            yield server


def examine(window: Window) -> Iterator[tuple[str, str, list[str]]]:
    """Yields what is examined, the look, and what was found; the focus last, since it closes what is open."""
    page = window.page
    for width, height, colours in AXE_LOOKS if AXE_FILE.exists() else ():
        Look(width, height, colours, calm=True).apply(window)
        yield "axe", f"{width}, {colours}", run_axe(page, only_contrast=(width, colours) == (1440, "dark"))
    yield "motion", "", measure(page, MOTION)
    for width, height in ZOOMED:
        Look(width, height, calm=True).apply(window)
        yield "zoom", f"{width}", json.loads(page.run(FAULTS))
    for width, height in SIZES[:2]:
        Look(width, height, calm=True).apply(window)
        yield "distances", f"{width}", measure(page, SPACING + CUT)
    for width, height in TOUCHED:
        Look(width, height, touch=True, calm=True).apply(window)
        yield "fingers", f"{width}", measure(page, FIELD_TEXT + TARGETS % 44)
    Look(calm=True).apply(window)
    yield "mouse", "", measure(page, TARGETS % 24)
    for width, height in NARROWED:
        Look(width, height, calm=True).apply(window)
        yield "focus", f"{width}", measure(page, FOCUS)
    for colours in COLOURS:
        Look(colours=colours, calm=True).apply(window)
        yield "borders", colours, measure(page, BORDERS)
        yield "focus", colours, measure(page, FOCUS)


@pytest.fixture(scope="module")
def findings(browser: Browser, service: Server) -> Findings:
    """Examines each page of a user who has something of everything, and of a visitor."""
    found: Findings = defaultdict(dict)
    user, visitor = Window(browser, service), Window(browser, service)
    user.register()
    visitor.open()
    for window, ids, states in ((user, fill(user), STATES), (visitor, {}, VISITOR_STATES)):
        for state in walk(window, ids, states):
            for name, look, faults in examine(window):
                found[name][f"{state.name} {look}".strip()] = faults
    user.close()
    visitor.close()
    return found


def assert_clean(found: dict[str, list[str]]) -> None:
    """Fails with what was found, by the page and the look."""
    assert len(found) >= len(STATES) + len(VISITOR_STATES)
    left = {name: faults for name, faults in found.items() if faults}
    assert not left, json.dumps(left, indent=1, ensure_ascii=False)


@pytest.mark.skipif(not AXE_FILE.exists(), reason="no axe-core here (npm ci): it did not look at the web client")
def test_axe_finds_nothing_and_leaves_nothing_undecided(findings: Findings) -> None:
    assert_clean(findings["axe"])


def test_fields_have_a_line_that_is_seen(findings: Findings) -> None:
    assert_clean(findings["borders"])


def test_the_focus_is_seen_and_not_covered(findings: Findings) -> None:
    assert_clean(findings["focus"])


@pytest.mark.parametrize("device", ["mouse", "fingers"])
def test_targets_are_large_enough(findings: Findings, device: str) -> None:
    """24 pixels for a mouse, 44 for fingers, on a phone and on a large screen."""
    assert_clean(findings[device])


def test_zoom_cuts_and_breaks_nothing(findings: Findings) -> None:
    assert_clean(findings["zoom"])


def test_wider_distances_cut_nothing(findings: Findings) -> None:
    """WCAG 1.4.12 lists them."""
    assert_clean(findings["distances"])


def test_nothing_moves_where_a_person_wants_it_so(findings: Findings) -> None:
    assert_clean(findings["motion"])
