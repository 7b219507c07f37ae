"""docs/architecture.md lists every route and every setting with a file that serves or reads it, and its files exist."""

import re
from pathlib import Path

from fastapi.routing import APIRoute, iter_route_contexts

from app.config import Settings
from app.main import create_app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text()


def table(heading: str) -> list[list[list[str]]]:
    """Returns the code spans of a table, by row and cell."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")] for line in lines]


def test_every_route_is_in_one_row_with_its_router() -> None:
    routers = {
        url if re.match(r"/(api|\.well-known|health|ready)\b", url) else f"/api/{{user_id}}{url}": files
        for urls, files, _ in table("Find a route")
        for url in urls
    }
    served: dict[str, list[str]] = {}
    for context in iter_route_contexts(create_app(Settings(_env_file=None)).routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema:
            module = route.endpoint.__module__.rpartition(".")[2]
            served[route.path.replace(":path}", "}")] = [f"routers/{module}.py"]
    assert routers == served


def files_of(cell: list[str]) -> set[str]:
    """Returns the files that a cell may mean: a list can begin with the folder of its files."""
    folders = ["", *(code for code in cell if code.endswith("/"))]
    return {folder + code for folder in folders for code in cell if code.endswith(".py")}


def test_every_setting_is_in_one_row_with_a_file_that_reads_it() -> None:
    rows = [(name, files_of(cell)) for names, cell in table("Find a setting") for name in names]
    readers = {
        line.split("|")[1].strip(" `"): set(re.findall(r"`([^`]+)`", line.split("|")[-2]))
        for line in SETTINGS_PAGE.splitlines()
        if line.startswith("| `")
    }
    assert len(readers) == len(Settings.model_fields)
    for name, read_by in readers.items():
        found = [
            files for p, files in rows if p == name or (p.endswith("...") and name.startswith(p.removesuffix("...")))
        ]
        assert len(found) == 1, name
        assert found[0] & read_by, (name, read_by)


def test_every_file_on_the_page_exists() -> None:
    for line in PAGE.splitlines():
        names = [code for code in re.findall(r"`([^`]+)`", line) if re.fullmatch(r"[\w./]+(/|\.py)", code)]
        folders = ["", "app", *(f"app/{name}" for name in names if name.endswith("/"))]
        assert [name for name in names if not any((ROOT / folder / name).exists() for folder in folders)] == []
