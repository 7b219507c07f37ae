"""The content decides what a file is; what is not recognized is refused with what would be."""

# ruff: noqa: RUF001 - Cyrillic letters that look like Latin ones

import io
import json
import struct
import zipfile
from typing import Any

import pytest

from tests.api.products.test_expected import FOLDER, send
from tests.api.test_transfer import counts
from tests.support import Person, assert_problem

TICKTICK = (FOLDER / "files" / "ticktick-7.1.csv").read_bytes()
TYPES = ("", "application/x-www-form-urlencoded", "application/json", "text/html", "image/png", "text/calendar")
PRODUCTS = ("TickTick", "Todoist", "Microsoft To Do", "Google Takeout", "Vikunja", "Trello", "Super Productivity",
            "Taskwarrior", "todo.txt", "iCalendar", "Outlook")  # fmt: skip


def packed(*members: tuple[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return file.getvalue()


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("name", ["trello-board.json", "ticktick-7.1.csv", "vikunja-2.zip"])
async def test_the_media_type_does_not_matter(alice: Person, name: str, media_type: str) -> None:
    content = (FOLDER / "files" / name).read_bytes()
    assert (await send(alice, content, media_type))["created"]["tasks"] > 2


@pytest.mark.parametrize(
    "content",
    [
        TICKTICK.decode("utf-8-sig").encode("utf-16"),
        TICKTICK.decode("utf-8-sig").encode(),
        TICKTICK.replace(b"\n", b"\r\n"),
        b"sep=,\r\n" + TICKTICK.removeprefix(b"\xef\xbb\xbf"),
        TICKTICK.decode("utf-8-sig").replace('","', '";"').replace(",,,", ";;;").encode(),
    ],
    ids=["utf-16", "no mark", "crlf", "sep", "semicolons"],
)
async def test_encodings_and_separators_of_a_table(alice: Person, content: bytes) -> None:
    report = await send(alice, content, "text/csv")
    assert (report["format"], counts(report)[0]) == ("ticktick", 7)


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"", "application/octet-stream", 415, "unsupported_media_type"),
        (b"hello", "application/octet-stream", 415, "unsupported_media_type"),
        (b"hello", "text/plain", 415, "unsupported_media_type"),
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png", 415, "unsupported_media_type"),
        (b"%PDF-1.7 @x", "application/pdf", 415, "unsupported_media_type"),
        (b"<html><body>+x @y</body></html>", "text/html", 415, "unsupported_media_type"),
        (b"a,b\r\n1,2\r\n", "application/octet-stream", 415, "unsupported_media_type"),
        (b'{"a": 1}', "application/octet-stream", 422, "import_format"),
        (b'["a"]', "", 422, "import_format"),
        (b'[{"a": 1}]', "application/json", 422, "import_format"),
        (b'{"value": 5, "kind": 7, "items": []}', "application/json", 422, "import_format"),
        (b'{"tasks": [{"title": "x"}], "projects": []}', "application/json", 422, "import_format"),
        (packed(("a.bin", b"\0")), "application/zip", 415, "unsupported_media_type"),
        (packed(("a.json", "{}")), "application/zip", 415, "unsupported_media_type"),
        (packed(), "application/zip", 415, "unsupported_media_type"),
    ],
)
async def test_an_unknown_file_is_refused_with_what_is_known(
    alice: Person, content: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await alice.call("POST", "/import", content=content, headers={"Content-Type": media_type})
    problem = assert_problem(answer, status, code)
    assert all(name in problem["detail"] for name in PRODUCTS)


async def test_a_form_is_refused_with_the_command_that_works(alice: Person) -> None:
    answer = await alice.call("POST", "/import", files={"file": ("a.csv", b"title\r\nx\r\n")})
    assert "--data-binary" in assert_problem(answer, 415, "unsupported_media_type")["detail"]


async def test_a_zip_of_several_files_is_read_as_these(alice: Person) -> None:
    lists = {"kind": "tasks#taskLists", "items": [{"title": "L", "items": [{"id": "1", "title": "google"}]}]}
    content = packed(
        ("Takeout/Tasks/Tasks.json", json.dumps(lists)), ("todo.txt", "x 2026-11-01 text @a\n"),
        ("own.csv", "title\r\nown\r\n"),
        ("Takeout/archive_browser.html", "<html>"), ("empty.csv", ""), ("__MACOSX/._todo.txt", "x @a"),
    )  # fmt: skip
    report = await send(alice, content, "application/zip")
    assert counts(report) == (3, 0, 0)
    assert [(each["field"], each["value"]) for each in report["warnings"]] == [("zip", "Takeout/archive_browser.html")]
    assert counts(await send(alice, content, "application/zip")) == (0, 3, 0)


async def test_names_in_a_zip_are_utf_8_without_a_mark_too(alice: Person) -> None:
    table = "TYPE,CONTENT,PRIORITY,INDENT\r\ntask,x,4,1\r\n"
    content = packed(("Gr\u00f6\u00dfe [12].csv", table)).replace(b"\x00\x08", b"\x00\x00")
    await send(alice, content, "application/zip")
    assert [project["name"] for project in (await alice.get("/projects")).json()] == ["Größe"]


def bombs() -> dict[str, bytes]:
    zeros = b"[" + b" " * 30_000_000 + b"]"
    many = packed(*((f"{number}.json", "{") for number in range(12_000)))
    lying = bytearray(packed(("a.json", zeros)))
    place = lying.rindex(b"PK\x01\x02")
    struct.pack_into("<L", lying, place + 24, 10)  # the size that the table of contents names
    nested = packed(("a.zip", packed(("b.json", zeros))))
    return {"ratio": packed(("a.json", zeros)), "files": many, "lying": bytes(lying), "nested": nested}


@pytest.mark.parametrize("name", ["ratio", "files", "lying", "nested"])
async def test_a_zip_that_unpacks_to_more_is_refused(alice: Person, name: str) -> None:
    answer = await alice.call("POST", "/import", content=bombs()[name], headers={"Content-Type": "application/zip"})
    assert answer.status_code in {413, 415, 422}, answer.text
    assert answer.json()["code"] == {"lying": "import_format", "nested": "unsupported_media_type"}.get(
        name, "archive_too_large"
    )


@pytest.fixture
def small_limit(app: Any) -> Any:
    before, app.state.settings.import_limit = app.state.settings.import_limit, 2_000_000
    yield
    app.state.settings.import_limit = before


async def test_a_zip_holds_at_most_what_a_file_may_have(alice: Person, small_limit: None) -> None:
    text = "".join(f"{number} {number * 7919} title @a\n" for number in range(60_000))
    content = packed(("a.txt", text), ("b.txt", text))
    assert len(content) < 2_000_000 < 2 * len(text)
    answer = await alice.call("POST", "/import", content=content, headers={"Content-Type": "application/zip"})
    assert_problem(answer, 413, "archive_too_large")


@pytest.mark.parametrize("damage", ["cut", "encrypted", "method", "checksum"])
async def test_a_damaged_zip_is_an_error(alice: Person, damage: str) -> None:
    content = bytearray(packed(("a.txt", "x @a\n" * 100)))
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        place = content.rindex(b"PK\x01\x02") + {"encrypted": 8, "method": 10, "checksum": 16}[damage]
        content[place] = 1 if damage == "encrypted" else content[place] ^ 14
    answer = await alice.call("POST", "/import", content=bytes(content), headers={"Content-Type": "application/zip"})
    assert_problem(answer, 422, "import_format")


async def test_projects_of_one_name_keep_their_equal_tasks(alice: Person) -> None:
    table = "TYPE,CONTENT,PRIORITY,INDENT\r\ntask,Same,4,1\r\nsection,Someday,,\r\n"
    content = packed(("Garden [1].csv", table), ("Garden [2].csv", table))
    report = await send(alice, content, "application/zip")
    assert counts(report)[0] == 2
    assert [warning["value"] for warning in report["warnings"] if warning["field"] == "section"] == ["Someday"] * 2
    assert counts(await send(alice, content, "application/zip"))[0] == 0


async def test_an_empty_export_of_vikunja_holds_nothing(alice: Person) -> None:
    report = await send(alice, packed(("data.json", "[]"), ("filters.json", "null"), ("VERSION", "2")), "")
    assert (report["format"], {*report["created"].values()}) == ("vikunja", {0})


@pytest.mark.parametrize(
    ("code_page", "table"),
    [
        ("cp1251", "Тема,Срок,Важность,Состояние\r\nПолить,05.01.2027,Высокая,Выполняется\r\n"),
        ("cp1250", "Temat;Data rozpoczęcia;Termin;Priorytet;Stan\r\nŚwieca;;2027-01-05;Wysoki;W toku\r\n"),
        ("cp932", '"件名","期限","優先度","状態"\r\n"水やり","2027/1/5","高","進行中"\r\n'),
        ("cp936", "主题,截止日期,优先级,状态\r\n浇水,2027/1/5,高,进行中\r\n"),
    ],
)  # fmt: skip
async def test_the_headings_show_the_code_page(alice: Person, code_page: str, table: str) -> None:
    report = await send(alice, table.encode(code_page), "text/csv")
    assert code_page.removeprefix("cp") in report["warnings"][0]["message"]
    (task,) = (await alice.get("/tasks")).json()
    assert task["title"] in table
    assert (task["due_date"], task["priority"], task["status"]) == ("2027-01-05", "high", "in_progress")
