"""The web client in another language than English, and in other ways to write dates and numbers."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.browser import Browser
from tests.servers import Server
from tests.web.client_texts import CLIENT
from tests.web.looks import FAULTS, SIZES, Look
from tests.web.test_catalogues import entries
from tests.web.window import PASSWORD, Window

pytestmark = pytest.mark.slow

PAGES = (
    "#/all", "#/today", "#/upcoming", "#/calendar", "#/activity", "#/inbox", "#/starred", "#/done", "#/trash",
    "#/channels", "#/nonsense", "#/settings/account", "#/settings/display", "#/settings/security",
    "#/settings/connections", "#/settings/data", "#/tag/drau%C3%9Fen",
)  # fmt: skip
# Every text that is shown or read aloud.
SHOWN = """(() => {
    const texts = new Set([document.title]);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()); )
        if (!node.parentElement.closest("script, noscript, code, [lang]:not(html)")) texts.add(node.data.trim());
    for (const name of ["aria-label", "title", "placeholder"])
        for (const one of document.querySelectorAll(`[${name}]`)) texts.add(one.getAttribute(name));
    return JSON.stringify([...texts].filter(Boolean));
})()"""
SETTLED = (
    "document.querySelector('main h1') !== null && !document.querySelector('.empty')?.innerText.includes('Moment')"
)


def prefer(window: Window, languages: str) -> None:
    """Lets the browser of the window prefer these languages, the first of which is also that of dates."""
    agent = window.page.run("navigator.userAgent")
    window.page.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=languages)
    window.page.call("Emulation.setLocaleOverride", locale=languages.split(",")[0])


@pytest.fixture
def german(browser: Browser, service: Server, forgotten_attempts: None) -> Iterator[Window]:
    """Opens a window of a new user whose browser prefers German."""
    window = Window(browser, service)
    window.register()
    prefer(window, "de-DE,de,en")
    window.reload()
    window.page.wait("document.querySelector('#state')?.innerText.trim() == 'Aktuell'")
    yield window
    window.close()


def is_english() -> re.Pattern[str]:
    """Returns what matches the texts of the page that the German catalogue says in other words."""
    german = entries(CLIENT / "languages" / "de.js")
    said = {text for _, text in german}
    keys = [key for key, text in german if key != text and key not in said]
    patterns = [
        "".join(".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", key))
        for key in keys
        if len(re.findall(r"[^\W\d_]", re.sub(r"\{\w+\}", "", key))) > 2
    ]
    return re.compile("|".join(patterns))


def fill(window: Window) -> tuple[str, ...]:
    """Creates rows of each kind, with words that are not English; returns the pages of a task and of a project."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    with window.api() as api:
        project = api.post("/projects", json={"name": "Garten"}).json()["id"]
        body = {"title": "Hecke schneiden", "project_id": project, "tags": ["draußen"], "priority": "urgent"}
        body |= {"due_date": f"{tomorrow}T09:00:00Z", "deadline": "2031-03-05", "estimate_minutes": 90}
        body |= {"recurrence": "FREQ=MONTHLY;BYDAY=1MO", "favorite": True, "reminders": ["-PT30M"]}
        task = api.post("/tasks", json=body).json()["id"]
        api.post("/tasks", json={"title": "Schere suchen", "parent_id": task})
        api.post("/tasks", json={"title": "Miete", "due_date": "2026-01-01"})
        api.post(f"/tasks/{task}/comments", json={"body": "Vorsicht, Vögel!"})
        done = api.post("/tasks", json={"title": "Laub"}).json()["id"]
        api.patch(f"/tasks/{done}/complete", json={"completed": True})
        gone = api.post("/tasks", json={"title": "Altes"}).json()["id"]
        api.delete(f"/tasks/{gone}")
        api.post("/views", json={"name": "Dringendes", "parameters": {"priority": ["urgent"]}})
    return f"#/all?task={task}", f"#/project/{project}", f"#/project/{project}?layout=board"


def english_on(window: Window, english: re.Pattern[str]) -> list[str]:
    return [text for text in json.loads(window.page.run(SHOWN)) if english.fullmatch(text)]


def test_a_browser_that_prefers_german_gets_german(german: Window) -> None:
    page, english = german.page, is_english()
    own = fill(german)
    assert page.run("[document.documentElement.lang, document.documentElement.dir].join()") == "de,ltr"
    found: dict[str, list[str]] = {}
    for place in (*PAGES, *own):
        german.go(place)
        page.wait(SETTLED)
        if "task=" in place:
            page.shows("#notes")
            page.run("document.querySelector('.history summary').click()")
            page.shows(".history li")
        if "settings" in place:
            page.wait("document.querySelectorAll('.settings section').length >= 2")
        found[place] = english_on(german, english)
    german.go("#/all")
    german.page.wait(SETTLED)
    for key, shown in (("?", ".keys"), ("b", "#close-bell")):
        page.press(key)
        page.shows(shown)
        found[key] = english_on(german, english)
        page.click("dialog .primary")
        page.wait("!document.querySelector('dialog')")
    page.click("#find")
    page.shows("#palette-list .name")
    found["#find"] = english_on(german, english)
    page.click("dialog .quiet-button")
    page.click("#select")
    page.shows("#selection")
    found["#select"] = english_on(german, english)
    page.press("Escape")
    page.wait("!document.querySelector('#selection')")
    german.complete("Miete")
    page.wait("document.querySelector('#toast span')?.innerText == '„Miete“ erledigt'")
    assert {place: texts for place, texts in found.items() if texts} == {}
    assert german.complaints() == []


def test_dates_and_numbers_are_written_as_germans_do(german: Window) -> None:
    page = german.page
    fill(german)
    german.go("#/all")
    page.wait(f"{german.row('Hecke')}?.innerText.includes('Morgen, ')")
    meta = page.run(f"{german.row('Hecke')}.querySelector('.meta').innerText")
    for words in ("Morgen, ", "Frist 5. März 2031", "1 Std. 30 Min.", "jeden Monat am ersten Mo", "dringend"):
        assert words in meta, (words, meta)
    numbers = page.run("""import([...document.querySelectorAll("link[rel=modulepreload]")].find((one) =>
        one.href.endsWith("/language.js")).href).then(({ tn }) => tn("{count} task", "{count} tasks", 1779))""")
    assert numbers == "1.779 Aufgaben"
    assert week_start(german) == 1


def week_start(window: Window) -> int:
    return int(
        window.page.run("""import([...document.querySelectorAll("link[rel=modulepreload]")].find((one) =>
        one.href.endsWith("/display.js")).href).then(({ weekStart }) => weekStart())""")
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_nothing_is_cut_in_german(german: Window, size: tuple[int, int]) -> None:
    own = fill(german)
    Look(*size).apply(german)
    faults: dict[str, list[str]] = {}
    for place in (*PAGES, *own):
        german.go(place)
        german.page.wait(SETTLED)
        if "settings" in place:
            german.page.wait("document.querySelectorAll('.settings section').length >= 2")
        german.page.run("new Promise((done) => setTimeout(done, 200))")  # what is fetched
        faults[place] = json.loads(german.page.run(FAULTS))
    assert {place: found for place, found in faults.items() if found} == {}


def test_the_language_is_chosen_and_nothing_typed_is_lost(window: Window) -> None:
    page = window.page
    window.go("#/settings/display")
    page.shows("#display-form select[name=language]")
    page.call("Network.setBlockedURLs", urls=["*/api/*"])
    window.go("#/all")
    window.add("Written offline")
    page.type("#add", "not sent yet")
    window.go("#/settings/display")
    page.shows("#display-form select[name=language]")
    choose(window, language="de", clock="12", week="0")
    page.wait("document.documentElement.lang == 'de'")
    page.call("Network.setBlockedURLs", urls=[])
    window.go("#/all")
    page.wait("document.querySelector('#add')?.value == 'not sent yet'")
    page.run("dispatchEvent(new Event('online'))")
    page.wait("document.querySelector('#state').innerText.trim() == 'Aktuell'")
    assert window.kept() == ["Written offline"]
    assert week_start(window) == 0
    window.go("#/settings/display")
    page.shows("#display-form")
    assert (
        page.run("[...document.querySelectorAll('#display-form select')].map((one) => one.value).join()") == "de,0,12"
    )
    choose(window, language="", clock="", week="")
    page.wait("document.documentElement.lang == 'en'")
    assert page.run("Object.keys(localStorage).filter((key) => /language|clock|week/.test(key)).length") == 0


def choose(window: Window, **values: str) -> None:
    page = window.page
    page.run("(window.isOld = true)")
    for name, value in values.items():
        page.run(f"(document.querySelector('#display-form [name={name}]').value = {json.dumps(value)})")
    page.click("#display-form .primary")
    page.wait("!window.isOld && document.readyState == 'complete'")


@pytest.mark.parametrize(
    ("languages", "lang", "first", "time"),
    [
        ("en-US,en", "en", 0, "Tomorrow 9:00 AM"),
        ("en-GB,en", "en", 1, "Tomorrow 09:00"),
        ("fr-FR,fr", "en", 1, "Tomorrow 09:00"),
        ("de-AT,en", "de", 1, "Morgen, 09:00"),
        ("en-US@posix,C,de-AT", "de", 1, "Morgen, 09:00"),
    ],
)
def test_dates_follow_the_locale_of_the_browser(
    window: Window, languages: str, lang: str, first: int, time: str
) -> None:
    prefer(window, languages)
    window.page.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    with window.api() as api:
        api.post("/tasks", json={"title": "Ring", "due_date": f"{tomorrow}T09:00:00Z"})
    window.reload()
    window.page.shows(".row .due")
    said = window.page.run("document.querySelector('.row .due').innerText.replaceAll('\\u202f', ' ')")
    assert said.upper() == time.upper()
    assert window.page.run("document.documentElement.lang") == lang
    assert week_start(window) == first


def test_the_login_is_german_also(browser: Browser, service: Server, forgotten_attempts: None) -> None:
    window = Window(browser, service)
    prefer(window, "de")
    window.open()
    page, english = window.page, is_english()
    page.shows("#forgot")
    found = english_on(window, english)
    page.click("#switch")
    page.shows("#password-rule")
    found += english_on(window, english)
    page.click("#switch")
    page.type("input[name=email]", "niemand@example.com")
    page.type("input[name=password]", PASSWORD)
    page.click("form .primary")
    page.shows(".said.failed")
    assert page.run("document.querySelector('.said').innerText") == "E-Mail-Adresse oder Passwort stimmt nicht."
    assert found == []
    window.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_page_from_right_to_left_is_a_mirror(window: Window, size: tuple[int, int]) -> None:
    """No such language is shipped: the direction is forced, as a language of RIGHT_TO_LEFT would set it."""
    details, *projects = fill(window)
    Look(*size).apply(window)
    window.page.run("(document.documentElement.dir = 'rtl')")
    faults: dict[str, list[str]] = {}
    for place in ("#/all", "#/trash", "#/calendar", "#/activity", "#/settings/display", *projects, details):
        window.go(place)
        window.page.wait("document.querySelector('main h1') !== null")
        window.page.run("new Promise((done) => setTimeout(done, 200))")  # what is fetched
        faults[place] = json.loads(window.page.run(FAULTS))
    assert {place: found for place, found in faults.items() if found} == {}
    box = "document.querySelector('.details').getBoundingClientRect()"
    assert window.page.run(f"{box}.left") == 0, "the details are at the end of the line"
    assert window.page.run(f"{box}.right") <= size[0]
