"""Inputs that make an ordinary service return 500. Here each is refused, stores nothing, and affects no later
request."""

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from app.config import Settings
from app.errors.findings import OTHER_SENTENCES
from app.main import create_app
from app.models.task_fields import TAG_MAX, TAGS_MAX, TITLE_MAX
from app.pagination import Cursor
from tests.support import Person, assert_problem

JSON = {"Content-Type": "application/json"}
INT8 = 2**63
NUL, LONE = "\\u0000", "\\ud800"  # in JSON notation


def short(text: str) -> str:
    """Returns a readable test id."""
    return ascii(text)[1:-1] if len(text) <= 40 else f"{ascii(text)[1:20]}...{len(text)}"


async def post_raw(person: Person, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return await person.call("POST", "/tasks", content=body, headers=JSON if headers is None else headers)


async def assert_untouched(person: Person) -> None:
    """Asserts that nothing was stored, no revision was taken, and the next write works."""
    for path in ("/tasks", "/tasks/trash"):
        listed = await person.get(path)
        assert (listed.status_code, listed.json(), listed.headers["x-revision"]) == (200, [], "0")
    assert (await person.add("next"))["version"] == 1


async def assert_refused(person: Person, answer: httpx.Response, status: int, code: str | None = None) -> None:
    assert_problem(answer, status, code)
    await assert_untouched(person)


# --- bodies that cannot be parsed: 400 ---

MALFORMED = {
    "cut off": b'{"title": "x"',
    "not JSON": b"title=x",
    "single quotes": b"{'title': 'x'}",
    "trailing comma": b'{"title": "x",}',
    "two values": b'{"title": "x"} {"title": "y"}',
    "only blanks": b" \r\n",
    "only NUL": b"\0",
    "NUL after the text": b'{"title": "x"}\0',
    "raw control character": b'{"title": "a\nb"}',
    "NaN": b'{"title": "x", "due_date": NaN}',
    "Infinity": b'{"title": "x", "due_date": Infinity}',
    "-Infinity": b'{"title": "x", "due_date": -Infinity}',
    "number of 5000 digits": b'{"title": ' + b"1" * 5000 + b"}",
    "leading zero": b'{"title": 01}',
    "latin-1": '{"title": "\u00e9"}'.encode("latin-1"),
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "UTF-8 with BOM": b'\xef\xbb\xbf{"title": "x"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"title": "\xed\xa0\x80"}',
    "duplicate name": b'{"title": "x", "title": "y"}',
    "duplicate name, escaped": b'{"title": "x", "\\u0074itle": "y"}',
    "duplicate name, deeper": b'{"title": "x", "tags": [{"a": 1, "a": 1}]}',
    "100,000 lists": b"[" * 100_000,
    "100,000 closed lists": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"title":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_body_that_cannot_be_parsed_is_400(alice: Person, body: bytes) -> None:
    await assert_refused(alice, await post_raw(alice, body), 400, "malformed_body")


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("PUT", ""), ("PATCH", "/complete")])
async def test_every_body_is_parsed_strictly(alice: Person, method: str, path: str) -> None:
    task = await alice.add()
    for body in MALFORMED.values():
        answer = await alice.call(method, f"/tasks/{task['id']}{path}", content=body, headers=JSON)
        assert_problem(answer, 400, "malformed_body")
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


# --- bodies that are parsed but invalid: 422 ---

UNACCEPTABLE = {
    "nothing": "",
    "null": "null",
    "a list": "[]",
    "a list of tasks": '[{"title": "x"}]',
    "a string": '"x"',
    "a number": "1",
    "true": "true",
    "an empty object": "{}",
    "no title": '{"description": "x"}',
    "title null": '{"title": null}',
    "title a number": '{"title": 1}',
    "title beyond float": '{"title": 1e400}',
    "title beyond int8": f'{{"title": {INT8}}}',
    "title true": '{"title": true}',
    "title a list": '{"title": ["x"]}',
    "title 500 lists": '{"title": ' + "[" * 500 + "]" * 500 + "}",
    "title with NUL": f'{{"title": "a{NUL}b"}}',
    "title with a high surrogate": f'{{"title": "a{LONE}"}}',
    "title with a low surrogate": '{"title": "\\udfffb"}',
    "title with a pair the wrong way round": '{"title": "\\ude00\\ud83d"}',
    "description with NUL": f'{{"title": "x", "description": "{NUL}"}}',
    "description with a surrogate": f'{{"title": "x", "description": "{LONE}"}}',
    "description a number": '{"title": "x", "description": 1}',
    "description too long": json.dumps({"title": "x", "description": "d" * 16_385}),
    "completed a word": '{"title": "x", "completed": "true"}',
    "completed yes": '{"title": "x", "completed": "yes"}',
    "completed 1": '{"title": "x", "completed": 1}',
    "completed null": '{"title": "x", "completed": null}',
    "priority unknown": '{"title": "x", "priority": "extreme"}',
    "priority in capitals": '{"title": "x", "priority": "HIGH"}',
    "priority beyond int8": f'{{"title": "x", "priority": {INT8}}}',
    "priority with NUL": f'{{"title": "x", "priority": "high{NUL}"}}',
    "priority with a surrogate": f'{{"title": "x", "priority": "{LONE}"}}',
    "due_date beyond int8": f'{{"title": "x", "due_date": {INT8}}}',
    "due_date beyond float": '{"title": "x", "due_date": 1e400}',
    "due_date with NUL": f'{{"title": "x", "due_date": "2026-12-01{NUL}"}}',
    "due_date with a surrogate": f'{{"title": "x", "due_date": "2026-12-01{LONE}"}}',
    "due_date in other digits": '{"title": "x", "due_date": "\u0662\u0660\u0662\u0666-12-01"}',
    "due_date year 1, offset before it": '{"title": "x", "due_date": "0001-01-01T00:00:00+23:59"}',
    "due_date year 9999, offset after it": '{"title": "x", "due_date": "9999-12-31T23:59:59-23:59"}',
    "due_date -infinity": '{"title": "x", "due_date": "-infinity"}',
    "due_date a leap second": '{"title": "x", "due_date": "2016-12-31T23:59:60Z"}',
    "tags a string": '{"title": "x", "tags": "a,b"}',
    "tags an object": '{"title": "x", "tags": {"a": 1}}',
    "tags null": '{"title": "x", "tags": null}',
    "a tag null": '{"title": "x", "tags": [null]}',
    "a tag beyond int8": f'{{"title": "x", "tags": [{INT8}]}}',
    "a tag with NUL": f'{{"title": "x", "tags": ["{NUL}"]}}',
    "a tag with a surrogate": f'{{"title": "x", "tags": ["{LONE}"]}}',
    "a tag blank": '{"title": "x", "tags": ["ok", " \\u200b"]}',
    "a tag too long": json.dumps({"title": "x", "tags": ["t" * (TAG_MAX + 1)]}),
    "too many tags": json.dumps({"title": "x", "tags": [str(n) for n in range(TAGS_MAX + 1)]}),
    "an unknown name": '{"title": "x", "titel": "y"}',
    "an unknown name in capitals": '{"title": "x", "Title": "y"}',
    "an unknown name with NUL": f'{{"title": "x", "{NUL}": 1}}',
    "an unknown name with a surrogate": f'{{"title": "x", "{LONE}": 1}}',
    "an empty name": '{"title": "x", "": 1}',
    "__proto__": '{"title": "x", "__proto__": {"completed": true}}',
}


NULLS = {"completed null", "tags null"}  # in a new task, null is for what is left out


@pytest.mark.parametrize("name", [name for name in UNACCEPTABLE if name not in NULLS])
async def test_an_invalid_body_is_422(alice: Person, name: str) -> None:
    body = UNACCEPTABLE[name]
    answer = await post_raw(alice, body.encode())
    problem = assert_problem(answer, 422, "validation_error")
    assert problem["errors"]
    assert all(error["loc"][0] == "body" and error["msg"] and error["type"] for error in problem["errors"])
    await assert_untouched(alice)


async def test_an_invalid_update_changes_nothing(alice: Person) -> None:
    task = await alice.add("as it was", tags=["t"])
    clears = {"no title", "tags null"}  # an update may leave the title out, and may clear the tags
    for name, body in UNACCEPTABLE.items():
        for method in ("PATCH", "PUT"):
            if name not in clears:
                answer = await alice.call(method, f"/tasks/{task['id']}", content=body.encode(), headers=JSON)
                assert_problem(answer, 422, "validation_error")
    assert (await alice.get(f"/tasks/{task['id']}")).json() == task


@pytest.mark.parametrize(
    "body", ["{}", "[]", "1", '"x"', '{"completed": null}', '{"completed": 1}', '{"completed": "false"}', '{"done": 1}']
)
async def test_a_task_is_completed_only_by_a_boolean(alice: Person, body: str) -> None:
    task = await alice.add()
    path = f"/tasks/{task['id']}"
    answer = await alice.call("PATCH", path + "/complete", content=body.encode(), headers=JSON)
    assert_problem(answer, 422, "validation_error")
    assert (await alice.get(path)).json() == task


async def test_a_422_does_not_repeat_the_values_sent(alice: Person) -> None:
    answer = await alice.post("/tasks", {"title": 17, "description": ["hush-hush"], "due_date": "hush-hush"})
    assert_problem(answer, 422)
    assert "hush-hush" not in answer.text


async def test_read_only_fields_are_ignored_with_any_value(alice: Person) -> None:
    body = f'{{"title": "x", "id": {INT8}, "user_id": "eve", "version": "{LONE}", "created_at": [{NUL!r}]}}'
    answer = await post_raw(alice, body.replace("'", '"').encode())
    assert answer.status_code == 201
    assert (answer.json()["user_id"], answer.json()["version"]) == (alice.subject, 1)


# --- titles and tags ---

INVISIBLE = [
    "", " ", "\t\n\r", "\u00a0", "\u2003", "\u3000", "\u200b", "\u200c\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e",
    "\u200f", "\u061c", "\u202e", "\u2066\u2069", "\u2028\u2029", "\u115f", "\u1160", "\u3164", "\uffa0", "\u2800",
    "\u180e", "\u034f", "\ufe0f", "\u180b", "\U000e0100", "\U000e0020", "\x1f", "\x7f", "\x85", " \u200b\t\u3164 ",
]  # fmt: skip


@pytest.mark.parametrize("title", INVISIBLE, ids=short)
async def test_an_invisible_title_is_refused(alice: Person, title: str) -> None:
    await assert_refused(alice, await alice.post("/tasks", {"title": title}), 422, "validation_error")


@pytest.mark.parametrize("title", INVISIBLE, ids=short)
async def test_an_invisible_tag_is_refused(alice: Person, title: str) -> None:
    await assert_refused(alice, await alice.post("/tasks", {"title": "x", "tags": [title]}), 422)


KEPT_TEXTS = [
    ("x" * TITLE_MAX, "x" * TITLE_MAX),
    (" " * 300 + "x" * TITLE_MAX + "\n" * 300, "x" * TITLE_MAX),
    ("\U0001f600" * TITLE_MAX, "\U0001f600" * TITLE_MAX),
    ("e\u0301" * TITLE_MAX, "\u00e9" * TITLE_MAX),
    ("\u1100\u1161" * TITLE_MAX, "\uac00" * TITLE_MAX),
    ("\u202eabc", "\u202eabc"),
    ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    ("'; drop table tasks; --", "'; drop table tasks; --"),
    ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ("100% \\ _ $1 {} %s", "100% \\ _ $1 {} %s"),
    ("null", "null"),
    ("\uffff\U0010ffff", "\uffff\U0010ffff"),
]


@pytest.mark.parametrize(("sent", "stored"), KEPT_TEXTS, ids=[short(sent) for sent, _ in KEPT_TEXTS])
async def test_a_title_is_stored_trimmed_and_in_nfc(alice: Person, sent: str, stored: str) -> None:
    task = await alice.add(sent)
    assert task["title"] == stored
    assert await alice.titles() == [stored]


@pytest.mark.parametrize(
    "title",
    [
        "x" * (TITLE_MAX + 1),
        "\U0001f600" * (TITLE_MAX + 1),
        "e\u0301" * (TITLE_MAX + 1),
        "\u0958" * 150,  # NFC makes two of each
        "x" * 1_000_000,
    ],
    ids=["ascii", "astral", "combining", "grows in NFC", "a million"],
)
async def test_a_title_longer_than_200_characters_is_refused(alice: Person, title: str) -> None:
    await assert_refused(alice, await alice.post("/tasks", {"title": title}), 422, "validation_error")


async def test_tags_are_unique_in_nfc_and_keep_their_order_and_case(alice: Person) -> None:
    task = await alice.add(tags=["b", "B", " a ", "b", "a", "e\u0301", "\u00e9"])
    assert task["tags"] == ["b", "B", "a", "\u00e9"]


async def test_a_task_has_at_most_twenty_tags_of_fifty_characters(alice: Person) -> None:
    tags = [f"{number:02}".ljust(TAG_MAX, "\U0001f600") for number in range(TAGS_MAX)]
    assert (await alice.add(tags=tags))["tags"] == tags
    assert (await alice.add(tags=tags + tags))["tags"] == tags  # repeated tags do not count
    assert_problem(await alice.post("/tasks", {"title": "x", "tags": [*tags, "one more"]}), 422, "validation_error")


# --- content types ---


@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/xml", "application/jsonx", "application/json-patch", "json", "application/json, text/plain", "*/*",
    ],
)  # fmt: skip
async def test_a_body_of_another_content_type_is_415(alice: Person, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await post_raw(alice, b'{"title": "x"}', headers)
    await assert_refused(alice, answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
)
async def test_every_json_content_type_is_accepted(alice: Person, content_type: str) -> None:
    assert (await post_raw(alice, b'{"title": "x"}', {"Content-Type": content_type})).status_code == 201


# --- size ---

CHUNK = 65_536
TEN_MB = 10 * 1024 * 1024


class Chunks:
    """A body without a length, which counts the bytes taken."""

    def __init__(self, size: int) -> None:
        self.left, self.taken = size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left > 0:
            self.taken += CHUNK
            self.left -= CHUNK
            yield b" " * CHUNK


async def test_a_body_is_413_from_one_byte_over_the_limit(alice: Person, settings: Settings) -> None:
    body = b'{"title": "x"}'.ljust(settings.body_limit + 1)
    await assert_refused(alice, await post_raw(alice, body), 413, "body_too_large")
    assert (await post_raw(alice, body[:-1])).status_code == 201


async def test_a_body_that_declares_an_excessive_length_is_not_read(alice: Person) -> None:
    body = Chunks(TEN_MB)
    answer = await alice.call("POST", "/tasks", content=body, headers=JSON | {"Content-Length": str(TEN_MB)})
    assert body.taken <= CHUNK
    await assert_refused(alice, answer, 413, "body_too_large")


async def test_a_body_without_a_length_is_counted_while_it_streams(alice: Person, settings: Settings) -> None:
    body = Chunks(TEN_MB)
    answer = await alice.call("POST", "/tasks", content=body, headers=JSON)
    assert body.taken <= settings.body_limit + 2 * CHUNK
    await assert_refused(alice, answer, 413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "1e9", "\u00b2", "9" * 5000, "0x10", ""])
async def test_an_invalid_content_length_does_not_disable_the_limit(alice: Person, length: str) -> None:
    request = alice.client.build_request("POST", f"/api/{alice.subject}/tasks", content=Chunks(TEN_MB))
    request.headers = httpx.Headers({**alice.headers, **JSON, "Content-Length": length}, encoding="latin-1")
    await assert_refused(alice, await alice.client.send(request), 413, "body_too_large")


async def test_a_body_is_not_read_without_a_valid_token(client: httpx.AsyncClient) -> None:
    body = Chunks(TEN_MB)
    assert_problem(await client.post("/api/me/tasks", content=body, headers=JSON), 401)
    assert body.taken <= CHUNK


# --- ids in the path ---

NOT_IDS = [
    "0", "-1", "+1", "1_0", "01", "00", "1.0", "1e0", "0x1", " 1", "1 ", "1\n", "\u0661", "\uff11", "\u00b2", "\u0967",
    str(INT8), str(2**64), "9" * 19, "9" * 5000, "abc", "null", "1\0", "\0", "'", "1'--", "%", "\ufffd", "-0",
]  # fmt: skip


@pytest.mark.parametrize("spelling", NOT_IDS, ids=short)
async def test_an_id_that_is_not_a_canonical_positive_integer_is_404(alice: Person, spelling: str) -> None:
    path = f"/tasks/{quote(spelling, safe='')}"
    for call in (
        alice.get(path),
        alice.patch(path, {"title": "x"}),
        alice.call("PUT", path, json={"title": "x"}),
        alice.patch(path + "/complete"),
        alice.post(path + "/restore"),
        alice.delete(path),
    ):
        assert_problem(await call, 404)
    await assert_untouched(alice)


async def test_the_largest_id_is_a_missing_task(alice: Person) -> None:
    await assert_refused(alice, await alice.get(f"/tasks/{INT8 - 1}"), 404, "task_not_found")


@pytest.mark.parametrize("raw", ["%00", "%ED%A0%80", "%FF", "%F0%9F%98%80", "'%20or%201=1", "x" * 255, "..%2F.."])
async def test_a_user_id_of_any_bytes_in_the_path_is_another_user(alice: Person, raw: str) -> None:
    answer = await alice.get(f"/api/{raw}/tasks")
    if answer.status_code != 404:  # a decoded slash makes it another path, which does not exist
        assert_problem(answer, 403, "forbidden")
    await assert_untouched(alice)


# --- the query ---

BAD_QUERIES = [
    *(f"limit={value}" for value in ("-1", "0", "1001", "1_0", "%2B1", "+1", "", "1.0", "1e2", "abc", "0x10")),
    *(f"limit={value}" for value in (INT8, 2**64, "9" * 5000, "%EF%BC%91", "%D9%A1", "%C2%B2", "%00", "1%00", "1 ")),
    *(f"offset={value}" for value in ("-1", 2**31, INT8, INT8 - 1, 2**64, "1_0", "%2B1", "", "x", "1.5", "%00")),
    "limit=1&limit=2", "offset=1&offset=2", "sort=title&sort=title", "search=a&search=b",
    "sort=", "sort=user_id", "sort=title%00", "sort=Title", "sort=title;drop", "sort=created_at,title", "sort=-title",
    "order=", "order=up", "order=DESC", "order=desc%00", "status=", "status=done", "status=Pending", "status=%00",
    "priority=", "priority=extreme", "priority=HIGH", "priority=1", "priority=high,low", "priority=high&priority=x",
    "&".join(["priority=high"] * 6),
    "overdue=", "overdue=maybe", "overdue=2", "overdue=%00", "count=", "count=yes", "count=1&count=1",
    "search=%00", "search=a%00b", "search=" + "x" * 201, "search=" + "x" * 50_000,
    "tag=", "tag=%00", "tag=" + "x" * 51, "&".join(f"tag={n}" for n in range(21)),
    "due_before=", "due_before=tomorrow", "due_before=0001-01-01", "due_before=9999-12-31T23:59:59-14:00",
    "due_before=1900-01-01T00:00:00%2B14:00", "due_before=1600000000", "due_before=%00", "due_before=infinity",
    "due_after=2026-02-30", "due_after=2200-01-01", "due_after=2026-01-01&due_after=2026-01-02",
    "cursor=", "cursor=x", "cursor=%00", "cursor=%C3%A9", "cursor=" + "A" * 2001, "cursor=bnVsbA", "cursor=e30",
    "cursor=AAAA&offset=1",
    "page=0", "page=-1", "page=x", "page=", "page=1&page=2", "page=%00", "page=1&offset=0", "page=2&limit=x",
    "page=9999999999999999999&limit=1000", "skip=1&skip=2", "page=1&limit=1&limit=2",
    "skip=-1", "skip=1&offset=1", f"skip={INT8}",
    "completed=yes", "completed=", "completed=true&completed=false", "completed=true&status=pending",
    "completed=true&status_filter=pending", "status_filter=done", "q=%00", "q=a&search=b", "sort_by=rank",
    "sort_order=up", "sort_order=asc&order=desc",
    "foo=1", "limt=5", "Limit=5", "foo", "=1", "%00=1", "__proto__=1", "limit[]=5", "limit%20=5", "\u2028=1",
    "%ED%A0%80=1",
]  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES, ids=short)
async def test_an_invalid_query_is_422(alice: Person, query: str) -> None:
    problem = assert_problem(await alice.get(f"/tasks?{query}"), 422)
    assert all(error["loc"][0] == "query" and error["msg"] and error["type"] for error in problem["errors"])
    await assert_untouched(alice)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=1001", "offset=-1", f"offset={INT8}", "sort=title", "cursor=x", "foo=1"]
)
async def test_the_query_of_the_trash_is_checked_strictly(alice: Person, query: str) -> None:
    await assert_refused(alice, await alice.get(f"/tasks/trash?{query}"), 422)


FORGED = [
    Cursor("created_at", "desc", False, "0001-01-01T00:00:00+23:59", 1, 1),
    Cursor("created_at", "desc", True, "9999-12-31T23:59:59-23:59", 1, 1),
    Cursor("created_at", "desc", False, "infinity", 1, 1),
    Cursor("created_at", "desc", False, "x\0", 1, 1),
    Cursor("created_at", "desc", False, INT8, 1, 1),
    Cursor("created_at", "desc", False, None, 1, 1),
    Cursor("created_at", "desc", False, ["2026-01-01T00:00:00Z"], 1, 1),
    Cursor("created_at", "desc", False, "2026-01-01T00:00:00Z", INT8, 1),
    Cursor("created_at", "desc", False, "2026-01-01T00:00:00Z", 0, 1),
    Cursor("created_at", "asc", False, "2026-01-01T00:00:00Z", 1, 1),
    Cursor("title", "desc", False, "a", 1, 1),
]


@pytest.mark.parametrize("cursor", FORGED, ids=lambda cursor: short(str(cursor[1:])))
async def test_a_forged_cursor_is_422(alice: Person, cursor: Cursor) -> None:
    await assert_refused(alice, await alice.get(f"/tasks?cursor={cursor.encode()}"), 422)


@pytest.mark.parametrize("value", ["a\0", "x" * 5000, 17, ""], ids=lambda value: short(str(value)))
async def test_a_forged_title_cursor_is_harmless(alice: Person, value: str | int) -> None:
    cursor = Cursor("title", "asc", False, value, 1, 0).encode()
    assert (await alice.get(f"/tasks?sort=title&cursor={cursor}")).status_code == (200 if value == "" else 422)
    await assert_untouched(alice)


async def test_an_unknown_query_parameter_is_named(alice: Person) -> None:
    problem = assert_problem(await alice.get("/tasks?limt=5"), 422, "validation_error")
    assert problem["errors"] == [
        {"loc": ["query", "limt"], "msg": OTHER_SENTENCES["extra_forbidden"], "type": "extra_forbidden"}
    ]


SEARCHES = ["'", "''", "a &", "& |", "%", "_", "\\", "a\\", "\\%", "*", ":*", "!", "(", ")", '"', "<->", "--", "/*"]
SEARCHES += ["$1", "{}", "{x}", "%s", "%(a)s", ":x", ";", "\ufffd", "\U0001f600", "[a-z]", "^.*$", "x" * 200]


@pytest.mark.parametrize("text", SEARCHES, ids=short)
async def test_a_search_treats_special_characters_literally(alice: Person, text: str) -> None:
    await alice.add("plain words, nothing more")
    await alice.add(f"<{text}>"[:TITLE_MAX], description=text)
    expected = [f"<{text}>"[:TITLE_MAX]]
    answer = await alice.get("/tasks", params={"search": text})
    assert answer.status_code == 200
    if text != "a &":  # two words, which may match in different places
        assert [task["title"] for task in answer.json()] == expected


@pytest.mark.parametrize("query", ["search=", "search=%20%20", "", "status=all", "limit=1000", "offset=2147483647"])
async def test_a_query_at_its_bounds_is_accepted(alice: Person, query: str) -> None:
    assert (await alice.get(f"/tasks?{query}")).status_code == 200


# --- user ids of any characters ---

SUBJECTS = ["o'brien", 'a"b', "a\\b", "auth0|17", "ann@example.com", "a b", "a?b#c", "a%2Fb", "a;b,c", "<a>", "100%_"]
SUBJECTS += ["\u00e5sa", "\u65e5\u672c", "\U0001f600", "e\u0301", "a+b", "$$", "--", "null", "0", "x" * 255, "..."]


@pytest.mark.parametrize("subject", SUBJECTS, ids=short)
async def test_a_user_id_of_any_printable_characters_works_in_path_and_headers(
    client: httpx.AsyncClient, subject: str
) -> None:
    home = f"/api/{quote(subject, safe='')}/tasks"
    person = Person(client, subject)
    made = [await person.call("POST", home, json={"title": str(n)}) for n in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    found = await person.get(made[0].headers["location"])
    assert (found.status_code, found.json()) == (200, made[0].json())
    page = await person.get(home + "?limit=1")
    assert [task["title"] for task in page.json()] == ["1"]
    assert [task["title"] for task in (await person.get(page.links["next"]["url"])).json()] == ["0"]


async def test_a_user_id_with_a_slash_is_reached_as_me(client: httpx.AsyncClient) -> None:
    person = Person(client, "https://issuer.example/ann")
    made = await person.call("POST", "/api/me/tasks", json={"title": "x"})
    assert (await person.get(made.headers["location"])).json() == made.json()


@pytest.mark.parametrize(
    "subject", ["", "\0", "a\nb", "\x7f", "\u0085", "\u200b", "\u202e", "\u2028", "x" * 256], ids=short
)
async def test_a_token_with_an_unprintable_subject_is_401(client: httpx.AsyncClient, subject: str) -> None:
    answer = await Person(client, subject).get("/api/me/tasks")
    assert_problem(answer, 401, "token_invalid")


# --- front-ends of other backends ---


@pytest.fixture
async def lenient(app: FastAPI, settings: Settings) -> AsyncIterator[Person]:
    """Yields a user of the same service with UNKNOWN_FIELDS=ignore."""
    other = create_app(settings.model_copy(update={"unknown_fields": "ignore"}))
    other.state.database, other.state.verifier = app.state.database, app.state.verifier
    async with httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://test") as http:
        yield Person(http, "lenient-user")


async def test_unknown_fields_are_ignored_when_configured(lenient: Person) -> None:
    task = (await lenient.post("/tasks", {"title": "x", "colour": "red", "\0": [1]})).json()
    assert task["title"] == "x"
    assert (await lenient.get("/tasks?colour=red&%00=1&_=17")).status_code == 200
    for body in ({"colour": "red"}, {"title": ""}, {"titel": "y"}):
        assert_problem(await lenient.patch(f"/tasks/{task['id']}", body), 422, "validation_error")
    assert_problem(await lenient.get("/tasks?colour=red&limit=0"), 422, "validation_error")


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity, br", "deflate", "aes128gcm"])
async def test_a_compressed_body_is_415(alice: Person, coding: str) -> None:
    answer = await post_raw(alice, b'{"title": "x"}', {**JSON, "Content-Encoding": coding})
    assert "Content-Encoding" in assert_problem(answer, 415, "unsupported_media_type")["detail"]


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"iso-8859-1"', "utf-7", ""])
async def test_a_body_in_another_charset_is_415(alice: Person, charset: str) -> None:
    answer = await post_raw(alice, b'{"title": "x"}', {"Content-Type": f"application/json; charset={charset}"})
    assert "UTF-8" in assert_problem(answer, 415, "unsupported_media_type")["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "identity"},
        {"Content-Encoding": ""},
        {"Content-Type": "application/json;charset=UTF-8"},
        {"Content-Type": 'Application/JSON; x=y; Charset="utf-8"'},
    ],
)
async def test_a_body_may_declare_utf8_and_identity(alice: Person, headers: dict[str, str]) -> None:
    assert (await post_raw(alice, '{"title": "ä"}'.encode(), {**JSON, **headers})).status_code == 201
