"""Sizes are checked before work: input that is too large is refused before anything with a cost by its length.

``tests/faults/test_worst_values.py`` sends the worst values to every field; this file tests the bounds.
"""

import asyncio
import gc
import json
import sys
import threading
import time
import unicodedata
import weakref
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import now
from app.config import Settings
from app.errors import TooManyRows
from app.errors.findings import OTHER_SENTENCES
from app.http import body as http_body
from app.http.problems import FINDINGS_MAX
from app.http.responses import encode_list
from app.http.routing import SmallBodyRoute
from app.http.unfinished_bodies import HELD_BYTES_MAX
from app.jobs.importing import Import
from app.json_codec import NAMES_MAX, encode, parse_json
from app.live.hub import encode_events
from app.models.task_fields import TAG_MAX, TAGS_MAX, TITLE_MAX
from app.models.types import MARKS_MAX, PAIRED_MARKS, RAW_FACTOR
from app.services import user_settings
from app.services.changes.feed import change_row
from app.services.transfer.formats import json_row_count
from app.services.transfer.formats.csv import LIST_CELL_MAX
from app.services.transfer.formats.encoding import TEXT_LINE_MAX
from app.services.transfer.import_row import RowRefused
from tests.api.test_transfer import CSV, ICS, JSON, counts, imported
from tests.support import Person, assert_problem
from tests.timing import allowed

REFUSAL_MAX = 65_536
TASK = {"title": "Buy milk", "tags": ["home"], "version": 1}
MARKS = "\u0323\u0301"  # in the wrong order, so that they are sorted


async def test_a_letter_has_at_most_the_allowed_number_of_marks(alice: Person) -> None:
    letter = "q" + "\u0301" * MARKS_MAX  # there is no composed form of it
    assert (await alice.add(letter))["title"] == letter
    problem = assert_problem(await alice.post("/tasks", {"title": letter + "\u0301"}), 422, "validation_error")
    assert problem["errors"] == [
        {"loc": ["body", "title"], "msg": f"A letter has at most {MARKS_MAX} marks.", "type": "too_many_marks"}
    ]


@pytest.mark.parametrize("letter", ["a", " ", "\u0301", "e" + MARKS, "\U0001f600"])
async def test_a_text_far_too_long_is_refused_with_the_limit_of_its_field(alice: Person, letter: str) -> None:
    """Whichever bound refuses it, the reported limit is that of the field."""
    title = "x" + letter * (RAW_FACTOR * TITLE_MAX)
    problem = assert_problem(await alice.post("/tasks", {"title": title}), 422)
    assert problem["detail"] == f"title: Expected at most {TITLE_MAX} characters."


async def test_text_may_be_longer_before_trimming_and_composing(alice: Person) -> None:
    title = "e\u0323\u0302" * TITLE_MAX  # three characters that become one
    assert (await alice.add(f"   {title}   "))["title"] == "\u1ec7" * TITLE_MAX
    doubled = await alice.add(tags=["home"] * (RAW_FACTOR * TAGS_MAX))
    assert doubled["tags"] == ["home"]


@pytest.mark.parametrize("item", ["a", 1, None, {}, ["a"]])
async def test_a_list_far_too_long_is_one_validation_error(alice: Person, item: Any) -> None:
    answer = await alice.post("/tasks", {"title": "x", "tags": [item] * (RAW_FACTOR * TAGS_MAX + 1)})
    problem = assert_problem(answer, 422)
    assert problem["detail"] == f"tags: Expected at most {TAGS_MAX} items."
    assert len(problem["errors"]) == 1


async def test_a_refusal_lists_the_first_errors_and_counts_all(alice: Person) -> None:
    unknown = {f"name{number}": 1 for number in range(NAMES_MAX - 1)}
    problem = assert_problem(await alice.post("/tasks", {"title": "x", **unknown}), 422)
    assert problem["detail"] == f"name0: {OTHER_SENTENCES['extra_forbidden']} There are {NAMES_MAX - 2} more errors."
    assert len(problem["errors"]) == FINDINGS_MAX


@pytest.mark.parametrize("letter", ["x", "\u0323", "\U0001f600", "\ud800"])
async def test_a_refusal_is_bounded_for_any_unknown_names(alice: Person, letter: str) -> None:
    unknown = {letter * 300 + str(number): 1 for number in range(NAMES_MAX - 1)}
    body = json.dumps({"title": "x", **unknown})
    answer = await alice.call("POST", "/tasks", content=body, headers={"Content-Type": "application/json"})
    problem = assert_problem(answer, 422)
    assert len(answer.content) < REFUSAL_MAX
    # an unpaired surrogate is refused with its object
    assert len(problem["errors"]) >= (1 if letter == "\ud800" else 20)
    assert (await alice.call("GET", f"/tasks?{'x' * 5000}=1")).status_code == 422


@pytest.mark.parametrize("where", ["/tasks", "/views", "/tasks/bulk", "/tasks/quick"])
async def test_an_object_with_too_many_names_is_refused(alice: Person, where: str) -> None:
    many = {f"name{number}": 1 for number in range(NAMES_MAX + 1)}
    for body in (many, {"title": "x", "parameters": many, "filter": many}):
        problem = assert_problem(await alice.post(where, body), 400, "malformed_body")
        assert problem["detail"] == f"An object has more than {NAMES_MAX} names."


AUTH: tuple[str, ...] = ("login", "register", "refresh", "logout", "password/forgot", "password/reset", "email/confirm")
AUTH += ("signin", "signup")


@pytest.mark.parametrize("path", AUTH)
async def test_routes_without_a_token_accept_only_small_bodies(client: httpx.AsyncClient, path: str) -> None:
    body = json.dumps({"email": "a@example.com", "password": "x" * 8_192})
    headers = {"Content-Type": "application/json"}
    assert_problem(await client.post(f"/api/auth/{path}", content=body, headers=headers), 413, "body_too_large")

    async def streamed() -> Any:
        for _ in range(9):
            yield b" " * 1_024

    assert_problem(await client.post(f"/api/auth/{path}", content=streamed(), headers=headers), 413, "body_too_large")


async def test_a_large_body_is_parsed_in_another_thread(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    def seen(body: bytes) -> Any:
        threads.add(threading.current_thread().name)
        return parse_json(body)

    monkeypatch.setattr(http_body, "parse_json", seen)
    for items in (10, http_body.ON_LOOP_BYTES // 2):
        assert_problem(await alice.post("/tasks", [{}] * items), 422)
    assert len(threads) == 2


async def test_rows_of_import_files_have_the_same_bounds(alice: Person) -> None:
    """A cell, a line and a row may be large, but their number of parts is bounded."""
    tags = ",".join(["a"] * (LIST_CELL_MAX // 2 + 1))
    report = await imported(alice, f'title,tags\r\nfine,a\r\nmany,"{tags}"\r\n', CSV)
    assert counts(report) == (2, 0, 0)
    assert [each["field"] for each in report["warnings"]] == ["tags"]
    marks = "e" + MARKS * 200_000
    report = await imported(alice, f"title\r\n{marks}\r\nfine too\r\n", CSV)
    assert counts(report) == (1, 0, 1)
    todo = "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nSUMMARY:x\r\n{}END:VTODO\r\nEND:VCALENDAR\r\n"
    lines = f"CATEGORIES:{','.join(['a'] * 40_000)}\r\n" * 20
    assert counts(await imported(alice, todo.format(lines), ICS)) == (1, 0, 0)
    todoist = f"TYPE,CONTENT,PRIORITY,INDENT,DATE\r\ntask,{'a ' * 400_000},1,1,\r\ntask,fine,1,1,\r\n"
    report = await imported(alice, todoist, CSV)
    assert counts(report) == (2, 0, 0)
    assert len(json.dumps(report)) < 2_000
    rows = [{"title": "x", "tags": ["a"] * 200_000}, {"title": "x", "y" * 500_000: 1}, {"title": "fine"}]
    report = await imported(alice, json.dumps({"format": "todo/1", "user_id": "u", "tasks": rows}), JSON)
    assert counts(report) == (2, 0, 1)
    assert len(json.dumps(report)) < 2_000
    document = {"format": "todo/1", "user_id": "u" * 256, "tasks": [{"id": 1, "title": "x"}]}
    answer = await alice.post("/import", document)
    assert_problem(answer, 422, "import_format")


async def test_a_time_zone_is_validated_without_reading_the_zone_directory(alice: Person) -> None:
    """Formerly the directory of zones was read for each request: 16 to 48 ms."""
    await alice.patch("/settings", {"timezone": "Mars/Base"})
    began = time.process_time()
    for _ in range(20):
        assert_problem(await alice.patch("/settings", {"timezone": "Mars/Base"}), 422)
    assert time.process_time() - began < allowed(0.2)


def test_the_list_limit_allows_the_most_and_longest_tags() -> None:
    assert LIST_CELL_MAX > TAGS_MAX * (TAG_MAX + 3)  # with quotes and a comma each


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("title\r\nfine\r\n" + "x" * (TEXT_LINE_MAX + 1) + "\r\nlast\r\n", CSV),
        ('title\r\nfine\r\n"' + ("x" * 1_000 + "\r\n") * (TEXT_LINE_MAX // 1_000) + '"\r\nlast\r\n', CSV),
        (
            "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nSUMMARY:"
            + "x" * (TEXT_LINE_MAX + 1)
            + "\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
            ICS,
        ),
    ],
)
async def test_a_file_with_a_line_over_the_limit_is_refused(alice: Person, text: str, kind: dict[str, str]) -> None:
    assert_problem(await alice.call("POST", "/import", content=text, headers=kind), 400, "malformed_body")
    assert await alice.titles() == []


@given(st.lists(st.sampled_from(['"', "\\", ",", "[", "]", "{", "}", "\n", "a", "\u00e9"])), st.integers(2, 9))
def test_rows_are_counted_for_any_strings_and_chunk_boundaries(text: list[str], chunk: int) -> None:
    document = json.dumps({"tasks": [{"title": "".join(text)}] * 3 + [["".join(text), []]]}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_row_count, "JSON_CHUNK", chunk)
        json_row_count.check_rows(document, 4)
        with pytest.raises(TooManyRows):
            json_row_count.check_rows(document, 3)


async def test_an_unterminated_string_is_scanned_once(alice: Person) -> None:
    """Formerly each quote in it was tried as the beginning of a string: 40 KB took 3 s, in which nothing else ran."""
    text = '{"format": "todo/1", "tasks": [[' + "," * 200_001 + '"' + '\\"' * 1_000_000
    began = time.process_time()
    assert_problem(await alice.call("POST", "/import", content=text, headers=JSON), 400, "malformed_body")
    assert time.process_time() - began < allowed(2)


@pytest.mark.parametrize("value", ['"' + "\\" * 15_000 + '"', '"' + '\\"' * 7_500 + '"', "=" * 15_000])
async def test_a_cookie_is_read_without_unquoting_it(client: httpx.AsyncClient, value: str) -> None:
    """Python's own parser of cookies takes the square of their backslashes before 3.11.10: 0.6 s for 16 KB."""
    began = time.process_time()
    headers = {"Cookie": f"other={value}; todo_refresh={value}", "Origin": "http://test"}
    assert_problem(await client.post("/api/auth/refresh", headers=headers), 401)
    assert time.process_time() - began < allowed(0.2)


def test_every_letter_that_decomposes_into_marks_is_counted() -> None:
    """Letters without a combining class of their own that normalization decomposes into marks: Unicode 14 has three."""
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if code >= 0x300 and not unicodedata.combining(letter):
            parts = unicodedata.normalize("NFD", letter)
            if unicodedata.combining(parts[0]):
                assert code in PAIRED_MARKS, hex(code)
                assert unicodedata.normalize("NFC", PAIRED_MARKS[code]) == unicodedata.normalize("NFC", letter)


@pytest.mark.parametrize("letter", [*map(chr, PAIRED_MARKS), "\u0344"])
async def test_letters_that_decompose_into_two_marks_are_refused_beyond_the_limit(alice: Person, letter: str) -> None:
    began = time.process_time()
    task = await alice.add("x")
    answer = await alice.post(f"/tasks/{task['id']}/comments", {"body": "\u0f40" + letter * 39_000})
    assert assert_problem(answer, 422)["errors"][0]["type"] == "too_many_marks"
    assert time.process_time() - began < allowed(0.5)
    assert (await alice.post(f"/tasks/{task['id']}/comments", {"body": "\u0f40" + letter * 15})).status_code == 201


async def test_large_bodies_are_503_when_too_many_wait(monkeypatch: pytest.MonkeyPatch, alice: Person) -> None:
    monkeypatch.setattr("app.http.body.WAITING_BODIES_MAX", 1)
    body = {"title": "x", "description": "y" * http_body.ON_LOOP_BYTES}
    answers = await asyncio.gather(*[alice.post("/tasks", body) for _ in range(20)])
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} == {422, 503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert (await alice.post("/tasks", body)).status_code == 422


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"method": "x" * 9_000}, 413),
        ({"method": "ping", "id": "x" * 9_000}, 413),
        ({"method": "initialize", "params": {"clientInfo": {"icons": [1] * 9_000}}}, 413),
        ({"method": "tools/call", "params": {"name": "x" * 9_000, "arguments": {}}}, 413),
        ({"method": "tools/call", "params": {"name": "add_task", "_meta": {"a": [1] * 9_000}}}, 413),
        ({"method": "tools/call", "params": [1] * 9_000}, 413),
        ([{}] * 9_000, 413),
        ({"method": "tools/call", "params": {"name": "add_task", "arguments": {"title": "x" * 90_000}}}, 200),
    ],
)
async def test_an_mcp_message_may_be_large_only_in_its_arguments(alice: Person, message: Any, status: int) -> None:
    """The SDK validates the rest without bounds: 480,000 numbers blocked the event loop for 0.8 s."""
    if isinstance(message, dict):
        message = {"jsonrpc": "2.0", "id": 1, **message}
    headers = {"Accept": "application/json, text/event-stream", "Host": "localhost"}
    answer = await alice.client.post("/mcp", json=message, headers={**alice.headers, **headers})
    assert answer.status_code == status, answer.text
    assert len(answer.content) < REFUSAL_MAX


def test_bounds_are_those_of_the_security_page() -> None:
    """docs/security.md lists them."""
    bounds = {
        name: Settings.model_fields[name].default for name in ("body_idle_timeout", "body_limit", "write_timeout")
    }
    assert bounds == {"body_idle_timeout": 10, "body_limit": 1_048_576, "write_timeout": 60}
    assert (HELD_BYTES_MAX, SmallBodyRoute.body_max) == (64 * 1_048_576, 8_192)


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        # One row over many lines, and the same in the header, by which the format is recognized.
        ('title\r\nfine\r\n"' + ('\r\n"' + "," * 99_998 + '"') * 12, 400, "malformed_body"),
        ('"' + ('\r\n"' + "," * 99_998 + '"') * 12, 422, "import_format"),
    ],
)
async def test_a_row_of_many_lines_has_the_limit_of_a_line(alice: Person, text: str, status: int, code: str) -> None:
    """15 lines of 4 MB were 58 million cells: 4 s in one piece and 2 GB."""
    assert_problem(await alice.call("POST", "/import", content=text, headers=CSV), status, code)


async def test_a_refused_row_is_released(alice: Person) -> None:
    """Formerly its exception held the row by its traceback, and itself: 1 GB remained after three files."""
    kept: list[weakref.ref[Any]] = []
    read = Import._read

    def seen(self: Import, entity: str, item: Any) -> Any:
        kept.append(weakref.ref(self))
        return read(self, entity, item)

    gc.collect()
    gc.disable()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Import, "_read", seen)
            assert counts(await imported(alice, "title\r\n" + "\0" * 5_000 + "\r\n", CSV)) == (0, 0, 1)
        refused = [each for each in gc.get_objects() if isinstance(each, RowRefused)]
        assert refused == []
        assert kept
    finally:
        gc.enable()


async def test_rows_that_wait_for_their_parent_are_held_as_text(alice: Person) -> None:
    todo = "BEGIN:VTODO\r\nUID:{}\r\nSUMMARY:x\r\nRELATED-TO:{}\r\nEND:VTODO\r\n"
    circle = "".join(todo.format(f"u{n}", f"u{n ^ 1}") for n in range(3_000))
    chain = todo.format("child", "parent") + todo.format("parent", "gone") + todo.format("other", "child")
    report = await imported(alice, f"BEGIN:VCALENDAR\r\n{circle}{chain}END:VCALENDAR\r\n", ICS)
    assert counts(report) == (3_003, 0, 0)
    assert {each["field"] for each in report["warnings"]} == {"parent_id"}
    good = todo.format("below", "above") + "BEGIN:VTODO\r\nUID:above\r\nSUMMARY:y\r\nEND:VTODO\r\n"
    report = await imported(alice, f"BEGIN:VCALENDAR\r\n{good}END:VCALENDAR\r\n", ICS)
    assert counts(report) == (2, 0, 0)
    assert report["warned"] == 0


async def test_a_stream_reads_a_write_of_many_rows_in_slices(alice: Person) -> None:
    """Formerly a stream copied the whole write for each of its rows: 24,000 blocked the event loop for 2 minutes."""
    changes = [change_row((1, "task", n, "updated", TASK | {"id": n}, now(), "api")) for n in range(1, 20_001)]
    turns, began = 0, time.process_time()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    ((revision, text),) = await encode_events(changes)
    listed = bytes(await encode_list(changes))
    beside.cancel()
    assert time.process_time() - began < allowed(5)
    assert turns > 100
    assert (revision, text.count(b"\nid: 1\n"), text.count(b"event: task.updated\n")) == (1, 1, 20_000)
    assert listed == encode(changes)


async def test_a_new_time_zone_moves_many_reminders_in_several_revisions(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"title": f"t{n}", "due_date": "2030-01-01", "reminders": ["-P1D"]} for n in range(12)]
    await imported(alice, json.dumps({"format": "todo/1", "user_id": "u", "tasks": rows}), JSON)
    before = (await alice.get("/changes")).json()["next"]
    monkeypatch.setattr(user_settings, "SHIFT_REMINDERS", user_settings.shift_statement(5))
    assert (await alice.patch("/settings", {"timezone": "Asia/Tokyo"})).status_code == 200
    found = (await alice.get(f"/changes?since={before}")).json()["changes"]
    assert [sum(row["revision"] == before + n for row in found) for n in (1, 2, 3)] == [5, 5, 2]
    assert {row["data"]["remind_at"] for row in found} == {"2029-12-30T15:00:00Z"}


@pytest.mark.parametrize("port", ["0", "65536", "9" * 1_900])
async def test_a_webhook_url_with_an_invalid_port_is_refused(alice: Person, port: str) -> None:
    assert_problem(await alice.post("/webhooks", {"url": f"https://example.com:{port}/"}), 422, "url_refused")
