"""The projects, lists, boards and folders of other products as projects within each other.

What is deeper than projects can be here is in the last outer one that can hold it, and its name begins with those of
the others. So does a name that another project of the file has, or it gets a number: names of projects are unique.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.models.projects import PROJECT_LEVELS_MAX, PROJECT_NAME_MAX
from app.schemas.transfer import ProjectImport
from app.services.transfer.import_row import ImportRow, LoadedRow, RowWarning, bounded_source_id, make_warning

PATH_SEPARATOR = " / "
PATH_LEVELS_MAX = 20
# Names that products give the list of tasks without a project, in the languages of their users.
INBOX_NAMES = frozenset(
    {
        "inbox", "eingang", "posteingang", "boîte de réception", "bandeja de entrada", "posta in arrivo", "in arrivo",
        "caixa de entrada", "entrada", "postvak in", "inkorg", "inkorgen", "innboks", "indbakke", "saapuneet",
        "skrzynka spraw", "skrzynka odbiorcza", "входящие", "вхідні", "gelen kutusu", "收件箱", "收集箱", "收件匣",
        "受信トレイ", "インボックス", "받은편지함", "수신함", "관리함", "doručené", "beérkezett", "inbox_project",
    }
)  # fmt: skip


def is_inbox(name: str) -> bool:
    return name.strip().casefold() in INBOX_NAMES


@dataclass(slots=True)
class FoundProject:
    """A project of a file. ``parent`` is the id of the one that it is in, in the file.

    ``source``: what identifies it in other files, where its id does not.
    """

    name: str
    parent: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    warnings: list[RowWarning] = field(default_factory=list)
    is_inbox: bool = False
    source: str = ""

    def put(self, **fields: Any) -> None:
        """Adds fields that have a value; one that projects do not have is named."""
        for name, value in fields.items():
            if not value:
                continue
            if name in ProjectImport.model_fields:
                self.fields[name] = value
            else:
                self.warnings.append(make_warning(name, "A project has no such field: it was left out.", value))


class ProjectTree:
    """The projects of one file. ``prefix`` makes source ids of the file's own ids."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._found: dict[str, FoundProject] = {}

    def add(self, id_: str, project: FoundProject) -> None:
        """Adds a project, of several with one id the first."""
        self._found.setdefault(id_, project)

    def refer(self, id_: str) -> str | None:
        """Returns the source id of a project; None for the inbox, and for one that is not in the file."""
        found = self._found.get(id_)
        if found is None or found.is_inbox:
            return None
        return bounded_source_id(f"{self._prefix}:{found.source or id_}")

    def rows(self) -> Iterator[tuple[str, ImportRow]]:
        """Yields the projects, each after the one that it is in."""
        paths = {id_: self._path(id_) for id_ in self._found}
        names = UniqueNames()
        order = sorted(paths, key=lambda id_: len(paths[id_]))  # stable: else as in the file
        for number, id_ in enumerate(order, start=1):
            if (source := self.refer(id_)) is None:
                continue
            path = paths[id_]
            outer, inner = path[: PROJECT_LEVELS_MAX - 1][: len(path) - 1], path[PROJECT_LEVELS_MAX - 1 :] or path[-1:]
            name = names.choose(*(_join([self._name_of(one) for one in part]) for part in (inner, path)))
            parent = self.refer(outer[-1]) if outer else None
            yield "projects", self._row(number, id_, source, name, parent)

    def _row(self, number: int, id_: str, source: str, name: str, parent: str | None) -> ImportRow:
        found = self._found[id_]
        fields, warnings = found.fields | {"name": name}, found.warnings
        return ImportRow(number, source, lambda: LoadedRow(fields, warnings), parent=parent, uid=id_)

    def _name_of(self, id_: str) -> str:
        return " ".join(self._found[id_].name.split()) or "?"

    def _path(self, id_: str) -> list[str]:
        """Returns the ids from the outermost project to this one; a ring ends where it began."""
        path: list[str] = []
        place: str | None = id_
        while place is not None and place not in path and (found := self._found.get(place)) is not None:
            if found.is_inbox or len(path) == PATH_LEVELS_MAX:
                break
            path.insert(0, place)
            place = found.parent
        return path


class UniqueNames:
    """Names for the projects of one file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: Counter[str] = Counter()  # so that many of one name are not tried again and again

    def choose(self, name: str, whole: str) -> str:
        """Returns ``name``, or if it is taken the ``whole`` one, with those around it, or that with a number."""
        found = name if name.casefold() not in self._taken else whole
        while found.casefold() in self._taken:
            self._numbers[whole] += 1
            found = f"{whole} ({self._numbers[whole] + 1})"
        self._taken.add(found.casefold())
        return found


class NamedProjects:
    """The projects of a file that has only their names: ``refer`` makes each at its first task."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made: set[str] = set()
        self._names = UniqueNames()

    def refer(self, *path: str, has_inbox: bool = True) -> tuple[list[tuple[str, ImportRow]], str | None]:
        """Returns the rows of projects that are new, and the source id of the innermost; None for the inbox.

        Without ``has_inbox`` a project of such a name is one.
        """
        names = tuple(clean for name in path if (clean := " ".join(name.split())))
        if not names or (has_inbox and len(names) == 1 and is_inbox(names[0])):
            return [], None
        if len(names) > PROJECT_LEVELS_MAX:
            names = (*names[: PROJECT_LEVELS_MAX - 1], _join([*names[PROJECT_LEVELS_MAX - 1 :]]))
        levels = [names[: level + 1] for level in range(len(names))]
        rows = [("projects", self._row(level)) for level in levels if self._source(level) not in self._made]
        return rows, self._source(names)

    def _row(self, path: tuple[str, ...]) -> ImportRow:
        self._made.add(self._source(path))
        parent = self._source(path[:-1]) if path[:-1] else None
        loaded = LoadedRow({"name": self._names.choose(path[-1], _join([*path]))})
        return ImportRow(len(self._made), self._source(path), lambda: loaded, parent=parent, uid=path[-1])

    def _source(self, path: tuple[str, ...]) -> str:
        return bounded_source_id(f"{self._prefix}:project:{PATH_SEPARATOR.join(path)}".casefold())


def _join(path: list[str]) -> str:
    """Returns the names of a path, without outer ones where all are too long."""
    while len(path) > 1 and len(PATH_SEPARATOR.join(path)) > PROJECT_NAME_MAX:
        path = path[1:]
    return PATH_SEPARATOR.join(path)


def color_of(value: object) -> str | None:
    """Returns a color as it is stored, of ``1973ff``, ``#1973FF`` or ``#1973ffff``."""
    digits = value.strip().removeprefix("#").lower()[:6] if isinstance(value, str) else ""
    return f"#{digits}" if len(digits) == 6 and all(sign in "0123456789abcdef" for sign in digits) else None


def left_out_text(name: str, value: object) -> list[RowWarning]:
    """Returns the warning of a text that a project has no field for."""
    return [make_warning(name, "A project has no such field: it was left out.", value)] if value else []
