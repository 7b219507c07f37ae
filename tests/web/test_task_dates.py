"""Start, deadline, estimate and star of a task in the web client."""

import json
from datetime import date, timedelta
from typing import Any

from tests.web.window import Window


def day(ahead: int) -> str:
    """Returns the day that is so many days from today, of the browser, on this machine."""
    return str(date.today() + timedelta(days=ahead))  # noqa: DTZ011


def fill(window: Window, field: str, value: str) -> None:
    window.page.run(
        f"(() => {{ const field = document.querySelector({json.dumps(field)}); field.value = {json.dumps(value)};"
        " field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def test_the_details_set_them_and_the_row_shows_them(window: Window) -> None:
    page, later = window.page, day(40)
    with window.api() as api:
        task_id = api.post("/tasks", json={"title": "Paint the fence"}).json()["id"]

        def fields() -> dict[str, Any]:
            window.in_step()
            task = api.get(f"/tasks/{task_id}").json()
            return {name: task[name] for name in ("start_date", "deadline", "estimate_minutes", "favorite")}

        window.open_details("Paint the fence")
        fill(window, "input[name=start_day]", later)
        page.wait(f"{window.row('Paint the fence')}.innerText.includes('from ')")
        fill(window, "input[name=start_time]", "09:00")
        page.wait(f"{window.row('Paint the fence')}.innerText.includes('09:00')")
        fill(window, "#deadline", day(-1))
        page.wait(
            f"{window.row('Paint the fence')}.querySelector('.overdue')?.innerText.endsWith('deadline yesterday')"
        )
        fill(window, "#estimate", "90")
        page.wait(f"{window.row('Paint the fence')}.innerText.includes('1 h 30 min')")
        page.click("#star")
        page.wait(f"{window.row('Paint the fence')}.querySelector('.starred') !== null")
        found = fields()
        assert found["start_date"].startswith(later[:7])
        assert "T" in found["start_date"]
        assert found | {"start_date": ""} == {
            "start_date": "",
            "deadline": day(-1),
            "estimate_minutes": 90,
            "favorite": True,
        }
        fill(window, "#estimate", "0")  # is refused by the field
        fill(window, "input[name=start_day]", "")
        fill(window, "#deadline", "")
        page.click("#star")
        page.wait(f"!{window.row('Paint the fence')}.innerText.includes('deadline')")
        page.wait(f"{window.row('Paint the fence')}.querySelector('.starred') === null")
        assert fields() == {"start_date": None, "deadline": None, "estimate_minutes": 90, "favorite": False}
    assert window.complaints() == []


def test_lists_hide_what_starts_later_and_show_what_is_starred(window: Window) -> None:
    page = window.page
    with window.api() as api:
        api.post("/tasks", json={"title": "Now", "start_date": day(-1), "favorite": True})
        api.post("/tasks", json={"title": "Later", "start_date": day(2)})
        api.post("/tasks", json={"title": "Late", "deadline": day(-2)})
        window.go("#/all?sort=title")
        window.shows("Late", "Later", "Now")
        window.go("#/all?sort=title&due=available")
        window.shows("Late", "Now")
        page.wait(
            "(() => { const all = [...document.querySelectorAll('.toolbar button')];"
            " const keep = all.find((one) => one.innerText == 'Keep as view'); keep?.click();"
            " return Boolean(keep); })()"
        )
        page.wait("document.querySelector('.sidebar').innerText.includes('can be started')")
        window.in_step()
        (view,) = api.get("/views").json()
        assert view["parameters"] == {"status": "pending", "sort": "title", "available": True}
        window.go("#/all?due=overdue")
        window.shows("Late")
        window.go("#/starred")
        window.shows("Now")
        page.wait("document.querySelector('h1').innerText == 'Starred'")
        window.go("#/all")
        page.type("#add", "Paint the fence starting tomorrow")
        page.wait("document.querySelector('#understood .start_date')?.innerText == 'from tomorrow'")
        page.click(".quick-add .primary")
        page.wait(f"{window.row('Paint the fence')}.innerText.includes('from tomorrow')")
    assert window.complaints() == []
