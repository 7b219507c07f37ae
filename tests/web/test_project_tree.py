"""Projects inside of projects, and favourite ones, in the web client."""

import json
from typing import Any

from tests.web.looks import Look
from tests.web.window import Window

SHOWN = """[...document.querySelectorAll(".sidebar ul:not(#favorites) > li > a[href*='project/']")].map((link) =>
    [link.querySelector(".name").innerText, link.parentElement.className])"""
FAVORITES = "[...document.querySelectorAll('#favorites .name')].map((name) => name.innerText)"


def shows(window: Window, *wanted: tuple[str, int]) -> None:
    rows = [[name, f"level-{level}" if level else ""] for name, level in wanted]
    window.page.wait(f"JSON.stringify({SHOWN}) == {json.dumps(json.dumps(rows, separators=(',', ':')))}")


def choose(window: Window, value: Any) -> None:
    window.page.run(
        f"(() => {{ const field = document.querySelector('#inside-of'); field.value = {json.dumps(value)};"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def press(window: Window, selector: str) -> None:
    window.page.wait(f"document.querySelector('{selector}')?.click() ?? !!document.querySelector('{selector}')")


def test_a_project_is_put_inside_of_another_one(window: Window) -> None:
    page = window.page
    with window.api() as api:
        area, home, garden = [
            api.post("/projects", json={"name": name}).json()["id"] for name in ("Area", "Home", "Garden")
        ]
        shows(window, ("Area", 0), ("Home", 0), ("Garden", 0))
        window.go(f"#/project/{home}")
        page.shows("#inside-of")
        choose(window, area)
        shows(window, ("Area", 0), ("Home", 1), ("Garden", 0))
        window.go(f"#/project/{garden}")
        page.wait("document.querySelector('h1').innerText == 'Garden' && !!document.querySelector('#inside-of')")
        choose(window, home)
        shows(window, ("Area", 0), ("Home", 1), ("Garden", 2))
        window.go(f"#/project/{area}")  # with two levels inside of it, it fits nowhere
        page.wait("document.querySelector('h1').innerText == 'Area' && !document.querySelector('#inside-of')")
        press(window, "#favorite-project")
        page.wait(f"JSON.stringify({FAVORITES}) == '[\"Area\"]'")
        window.in_step()
        found = {row["name"]: row for row in api.get("/projects").json()}
        assert (found["Garden"]["parent_id"], found["Home"]["parent_id"], found["Area"]["favorite"]) == (
            home,
            area,
            True,
        )
    assert window.complaints() == []


def test_an_area_is_archived_with_its_projects_and_deleted_without_them(window: Window) -> None:
    page = window.page
    with window.api() as api:
        area = api.post("/projects", json={"name": "Area"}).json()["id"]
        home = api.post("/projects", json={"name": "Home", "parent_id": area}).json()["id"]
        api.post("/projects", json={"name": "Garden", "parent_id": home})
        shows(window, ("Area", 0), ("Home", 1), ("Garden", 2))
        window.go(f"#/project/{area}")
        press(window, "#archive-project")
        page.wait("!document.querySelector('.sidebar ul:not(#favorites) > li.level-1')")
        window.in_step()
        assert api.get("/projects").json() == []
        page.wait("document.querySelector('#archive-project')?.innerText == 'Bring back'")
        press(window, "#archive-project")
        shows(window, ("Area", 0), ("Home", 1), ("Garden", 2))
        window.in_step()
        api.post("/tasks", json={"title": "Mow the lawn", "project_id": home})
        for choice, left in (("#delete-alone", [("Home", 0), ("Garden", 1)]), ("#delete-whole", [])):
            press(window, "#delete-project")
            page.wait("document.querySelector('dialog[open]').innerText.includes('There are 2 projects inside')")
            press(window, choice)
            shows(window, *left)
            page.wait("document.querySelector('.toast')?.innerText.includes('Deleted the project')")
            window.in_step()
            assert [row["name"] for row in api.get("/projects").json()] == [name for name, _ in left]
            assert bool(window.kept()) == bool(left)
            press(window, "#undo")
            shows(window, ("Area", 0), ("Home", 1), ("Garden", 2))
            window.in_step()
            window.go(f"#/project/{area}")
    assert window.kept() == ["Mow the lawn"]
    assert window.complaints() == []


def test_the_tree_is_whole_on_a_phone(window: Window) -> None:
    with window.api() as api:
        above = None
        for name in ("Area", "A project with quite a long name, which nobody shortened", "Part"):
            above = api.post("/projects", json={"name": name, "parent_id": above, "favorite": True}).json()["id"]
    Look(320, 640, "dark").apply(window)
    window.open(f"#/project/{above}")
    window.page.shows("#inside-of")
    assert window.page.run("document.scrollingElement.scrollWidth <= innerWidth")
    assert window.complaints() == []


def test_projects_are_ordered_and_coloured(window: Window) -> None:
    page = window.page
    with window.api() as api:
        ids = [api.post("/projects", json={"name": name}).json()["id"] for name in ("One", "Two", "Three")]
        names = (
            "[...document.querySelectorAll(\".sidebar a[href*='project/'] .name\")].map((one) => one.innerText).join()"
        )
        window.go(f"#/project/{ids[2]}")
        page.wait(f"{names} == 'One,Two,Three' && document.querySelector('#project-down').disabled")
        for shown in ("One,Three,Two", "Three,One,Two"):
            page.click("#project-up")
            page.wait(f"{names} == '{shown}'")
        page.wait("document.querySelector('#project-up').disabled")
        page.click("#project-down")
        page.wait(f"{names} == 'One,Three,Two'")
        window.in_step()
        assert [row["name"] for row in api.get("/projects").json()] == ["One", "Three", "Two"]
        page.click("#undo")
        page.wait(f"{names} == 'Three,One,Two'")
        page.run("""(() => {
            const field = document.querySelector("#project-color");
            field.value = "#a23b52";
            field.dispatchEvent(new Event("change", {bubbles: true}));
        })()""")
        page.wait("document.querySelector(\".sidebar a[aria-current] circle\").getAttribute('fill') == '#a23b52'")
        window.in_step()
        assert api.get(f"/projects/{ids[2]}").json()["color"] == "#a23b52"
    assert window.complaints() == []
