"""``python -m tests.web.screenshots``: the pictures of the README, with demo data on an embedded database."""

import base64
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.browser import browsing, find_browser
from tests.servers import running
from tests.web.window import Window

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
PROJECTS = {"Home": "#1d6b5a", "Garden": "#5f8a3a", "Thesis": "#3d5a98", "Choir": "#8a4f7d"}


def day(offset: int, time: str = "") -> str:
    date = (datetime.now(UTC) + timedelta(days=offset)).date().isoformat()
    return f"{date}T{time}:00Z" if time else date


TASKS: list[dict[str, Any]] = [
    {"title": "Pay the rent", "due_date": day(0), "priority": "high", "tags": ["bank"], "project": "Home",
     "recurrence": "FREQ=MONTHLY"},
    {"title": "Ring the dentist about Thursday", "due_date": day(-2), "tags": ["calls"]},
    {"title": "Draft chapter three: methods", "due_date": day(5), "priority": "urgent", "project": "Thesis",
     "steps": ["Describe the survey", "Redraw figure 4", "Ask Miriam to read it"]},
    {"title": "Send the figures to Miriam", "due_date": day(1, "13:30"), "tags": ["mail"], "project": "Thesis"},
    {"title": "Order tulip bulbs before the frost", "tags": ["shopping"], "project": "Garden"},
    {"title": "Learn the second bass line of the Fauré", "due_date": day(3), "project": "Choir"},
    {"title": "Mend the dripping tap in the bathroom", "priority": "low", "project": "Home"},
    {"title": "Book train tickets for the holidays", "due_date": day(12),
     "description": "Window seat, quiet coach.\nThe early train, if it is under 40."},
    {"title": "Buy milk, bread and coffee", "due_date": day(0), "tags": ["shopping"]},
    {"title": "Read “The Timeless Way of Building”", "priority": "none"},
]  # fmt: skip


def fill(window: Window) -> None:
    """Creates the data by the API, as any client would."""
    with window.api() as api:
        ids = {n: api.post("/projects", json={"name": n, "color": c}).json()["id"] for n, c in PROJECTS.items()}
        for task in TASKS:
            body = {name: value for name, value in task.items() if name not in {"project", "steps"}}
            body["project_id"] = ids.get(task.get("project", ""))
            made = api.post("/tasks", json=body)
            assert made.status_code == 201, made.text
            for number, step in enumerate(task.get("steps", [])):
                child = {"title": step, "parent_id": made.json()["id"], "completed": number == 0}
                assert api.post("/tasks", json=child).status_code == 201


def shoot(window: Window, name: str, *, width: int, height: int, dark: bool = False, scale: int = 1) -> None:
    """Saves the window at that size, once it no longer changes."""
    page = window.page
    phone = width < 500
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.call("Emulation.setEmulatedMedia", features=[scheme])
    page.run("(document.activeElement.blur(), new Promise((done) => setTimeout(done, 500)))")
    picture = base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.png").write_bytes(picture)
    assert len(picture) < 150_000, "too large for a README"


def main() -> None:
    binary = find_browser()
    assert binary, "no Chromium on this machine"
    with (
        tempfile.TemporaryDirectory(prefix="todo-") as data,
        tempfile.TemporaryDirectory() as profile,
        running("", DATA_DIR=data) as service,
        browsing(binary, Path(profile)) as browser,
    ):
        browser.first_page()
        window = Window(browser, service)
        window.register()
        fill(window)
        window.page.wait("document.querySelectorAll('.row').length >= 12")
        window.open_details("Draft chapter three")
        shoot(window, "desktop-light", width=1360, height=860)
        window.close_details()
        window.go("#/all")
        shoot(window, "phone-dark", width=390, height=760, dark=True, scale=2)


if __name__ == "__main__":
    main()
