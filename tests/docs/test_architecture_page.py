"""docs/architecture.md lists every route of the OpenAPI document and every setting, and every file it names exists."""

import re
from pathlib import Path

from fastapi.routing import APIRoute, iter_route_contexts

from app.config import Settings
from app.main import create_app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


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


def test_every_setting_is_in_one_row() -> None:
    patterns = [name for names, _ in table("Find a setting") for name in names]
    for setting in Settings.model_fields:
        name = setting.upper()
        found = [p for p in patterns if p == name or (p.endswith("...") and name.startswith(p.removesuffix("...")))]
        assert len(found) == 1, (name, found)


def test_every_file_on_the_page_exists() -> None:
    for line in PAGE.splitlines():
        names = [code for code in re.findall(r"`([^`]+)`", line) if re.fullmatch(r"[\w./]+(/|\.py)", code)]
        folders = ["", "app", *(f"app/{name}" for name in names if name.endswith("/"))]
        assert [name for name in names if not any((ROOT / folder / name).exists() for folder in folders)] == []
