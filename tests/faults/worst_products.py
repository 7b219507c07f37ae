"""The worst files of other products: long values, many rows, rings, and zips that unpack to far more."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.worst_values import MB

FILES = Path(__file__).parents[1] / "api" / "products" / "files"
ROWS_SENT = 20_000
LONG_VALUE = 900_000  # characters
LONG_VALUES = {
    "letters": "a" * LONG_VALUE,
    "tags of HTML": "<p>" * (LONG_VALUE // 3),
    "no end of a tag": "<a href='" * (LONG_VALUE // 9),
    "line ends": "\n" * LONG_VALUE,
    "spaces": " " * LONG_VALUE + "x",
    "commas": "a," * (LONG_VALUE // 2),
    "words": "+a @b c:d " * (LONG_VALUE // 10),
    "marks": "e" + "\u0301\u0323" * (LONG_VALUE // 4),
    "digits": "9" * LONG_VALUE,
}
TICKTICK_NAMES = (
    "List Name", "Title", "Tags", "Content", "Is Check list", "Start Date", "Due Date", "Reminder", "Repeat",
    "Priority", "Status", "Created Time", "Timezone", "Is All Day", "taskId", "parentId",
)  # fmt: skip
TICKTICK_HEADER = ",".join(f'"{name}"' for name in TICKTICK_NAMES) + "\n"
KEPT_NAMES = {"id", "uuid", "status", "kind"}


def packed(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def product_files() -> Iterator[tuple[str, bytes]]:
    """Yields files, each with what it is."""
    for kind, value in LONG_VALUES.items():
        for name, make in DOCUMENTS.items():
            yield f"{name}, {kind}", json.dumps(make([ROW_MAKERS[name](1) | long_row(name, value)])).encode()
        yield f"todo.txt, {kind}", f"x @a\n(A) {value}\n".encode()
        for column in range(len(TICKTICK_NAMES)):
            row = ['""'] * len(TICKTICK_NAMES)
            row[1], row[column] = '"x"', f'"{value}"'
            yield f"TickTick, column {column} of {kind}", (TICKTICK_HEADER + ",".join(row) + "\n").encode()
    for name, make in DOCUMENTS.items():
        yield f"{name}, {ROWS_SENT:,} rows", json.dumps(make([ROW_MAKERS[name](n) for n in range(ROWS_SENT)])).encode()
        yield f"{name}, rows that are none", json.dumps(make([1] * ROWS_SENT)).encode()
        yield f"{name}, deep", json.dumps(make([])).encode().replace(b"[]", b"[" * 100_000 + b"]" * 100_000, 1)
    ring = "".join(
        f'"A","x {n}","","","N","","","","","0","0","","","","{n}","{(n + 1) % ROWS_SENT}"\n' for n in range(ROWS_SENT)
    )
    yield "TickTick, a ring", (TICKTICK_HEADER + ring).encode()
    items = '"' + "▫x\n" * 100_000 + '"'
    yield "TickTick, a checklist", (TICKTICK_HEADER + f'"A","x","",{items},"Y"\n').encode()
    yield "todo.txt, many rows", b"x 2026-01-01 2026-01-01 a +p @t due:2027-01-01 rec:1w\n" * ROWS_SENT
    yield "todo.txt, many projects", b"".join(b"x a +p%d\n" % n for n in range(ROWS_SENT))
    yield "a zip of zeros", packed(("a.json", b"[" + b" " * (30 * MB) + b"]"))
    yield "a zip of many files", packed(*((f"{n}.txt", b"x @a") for n in range(900)))
    yield "a zip of too many files", packed(*((f"{n}.txt", b"") for n in range(20_000)))


def long_row(name: str, value: str) -> dict[str, Any]:
    """Returns a value for every text of a row."""
    row = ROW_MAKERS[name](1)
    return {field: value for field, each in row.items() if isinstance(each, str) and field not in KEPT_NAMES}


DOCUMENTS: dict[str, Any] = {
    "Google": lambda rows: {"kind": "tasks#taskLists", "items": [{"id": "l", "title": "L", "items": rows}]},
    "Microsoft": lambda rows: [{"displayName": "L", "id": "l", "tasks": rows}],
    "Todoist": lambda rows: {"sync_token": "x", "projects": [], "items": rows, "notes": []},
    "Trello": lambda rows: {"id": "b", "name": "B", "cards": rows, "lists": [], "checklists": [], "actions": []},
    "Vikunja": lambda rows: [{"id": 1, "title": "P", "parent_project_id": 0, "tasks": rows}],
    "Taskwarrior": lambda rows: rows,
    "Super Productivity": lambda rows: {
        "project": {"ids": [], "entities": {}}, "tag": {"ids": [], "entities": {}},
        "task": {"ids": [], "entities": {str(number): row for number, row in enumerate(rows)}},
    },
}  # fmt: skip
ROW_MAKERS: dict[str, Any] = {
    "Google": lambda n: {
        "id": f"i{n}", "title": f"x {n}", "notes": "", "due": "2027-01-05T00:00:00Z", "parent": f"i{n + 1}",
        "status": "needsAction", "task_recurrence_id": "r", "created": "",
    },
    "Microsoft": lambda n: {
        "id": f"i{n}", "title": f"x {n}", "status": "notStarted", "importance": "high", "body": "<p>",
        "createdDateTime": "",
    },
    "Todoist": lambda n: {
        "id": f"i{n}", "content": f"x {n}", "project_id": "1", "parent_id": f"i{n + 1}", "description": "",
        "due": "2027-01-05", "deadline": "2027-01-05", "priority": "4",
    },
    "Trello": lambda n: {
        "id": f"i{n}", "name": f"x {n}", "desc": "", "idList": "l", "due": "", "start": "",
        "labels": [{"name": "a" * 60}] * 30,
    },
    "Vikunja": lambda n: {
        "id": n, "title": f"x {n}", "description": "<p>", "due_date": "", "created": "",
        "related_tasks": {"parenttask": [{"id": n + 1}]},
    },
    "Taskwarrior": lambda n: {
        "uuid": f"u{n}", "description": f"x {n}", "status": "pending", "project": "a.b", "due": "", "recur": "weekly",
        "depends": f"u{n + 1}", "parent": f"u{n % 100}", "own": "x",
    },
    "Super Productivity": lambda n: {
        "id": f"i{n}", "title": f"x {n}", "notes": "", "parentId": f"i{n + 1}", "dueDay": "", "timeEstimate": "60000",
    },
}  # fmt: skip
