"""Colours of tags in the web client: chosen where a tag is renamed, shown in lists and the sidebar."""

import json

import pytest

from tests.web.looks import Look
from tests.web.window import Window

CHIPS = """[...document.querySelectorAll(".row .tag")].map((chip) =>
    [chip.innerText, chip.querySelector("circle")?.getAttribute("fill") ?? null])"""
SIDE = "document.querySelector(\".sidebar a[href*='tag/home'] circle\")?.getAttribute('fill') ?? null"


def shows(window: Window, *wanted: tuple[str, str | None]) -> None:
    rows = json.dumps([list(each) for each in wanted], separators=(",", ":"))
    window.page.wait(f"JSON.stringify({CHIPS}) == {json.dumps(rows)}")


def paint(window: Window, color: str) -> None:
    window.page.shows("#tag-color")
    window.page.run(
        f"(() => {{ const field = document.querySelector('#tag-color'); field.value = '{color}';"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def test_a_tag_is_coloured_renamed_and_gets_no_colour(window: Window) -> None:
    with window.api() as api:
        api.post("/tasks", json={"title": "Buy milk", "tags": ["home", "work"]})
        shows(window, ("@home", None), ("@work", None))
        window.go("#/tag/home")
        paint(window, "#b4552d")
        shows(window, ("@home", "#b4552d"), ("@work", None))
        window.page.wait(f"{SIDE} == '#b4552d'")
        window.in_step()
        assert {tag["name"]: tag["color"] for tag in api.get("/tags").json()} == {"home": "#b4552d", "work": None}
        api.patch("/tags/home", json={"name": "house"})  # in another place
        window.go("#/all")
        shows(window, ("@house", "#b4552d"), ("@work", None))
        window.go("#/tag/house")
        window.page.shows("#no-tag-color")
        window.page.wait("document.querySelector('#no-tag-color').click() ?? true")
        shows(window, ("@house", None), ("@work", None))
        window.in_step()
        assert {tag["name"]: tag["color"] for tag in api.get("/tags").json()} == {"house": None, "work": None}
    assert window.complaints() == []


@pytest.mark.parametrize("colours", ["light", "dark", "forced"])
def test_the_words_of_a_chip_keep_their_contrast(window: Window, colours: str) -> None:
    """The colour is a dot next to them, so that any can be chosen."""
    with window.api() as api:
        api.post("/tasks", json={"title": "Buy milk", "tags": ["home", "work"]})
        api.patch("/tags/home", json={"color": "#ffff00"})
    Look(390, 844, colours).apply(window)
    window.open("#/all")
    shows(window, ("@home", "#ffff00"), ("@work", None))
    colors = "[...document.querySelectorAll('.row .tag')].map((chip) => getComputedStyle(chip).color)"
    assert len(set(window.page.run(colors))) == 1
    assert window.page.run("document.querySelector('.row .tag .dot').getBoundingClientRect().width") > 5
