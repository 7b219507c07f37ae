"""The worst files of each format. An import may take its time and returns a report; other requests do not wait for
it."""

import json
from collections.abc import Iterator

from app.schemas.transfer import ERRORS_MAX
from app.services.transfer.formats.csv import CSV_COLUMNS
from app.services.transfer.row_validation import LISTED_ERRORS, ROW_SHAPES
from tests.faults import worst_values as worst
from tests.faults.probing import Answer, judge
from tests.faults.worst_products import product_files
from tests.faults.worst_requests import JSON_TYPE, Case, Field, fields
from tests.faults.worst_values import LETTERS, MARKS, Run, Value

CSV, ICS = b"text/csv", b"text/calendar"
PATIENCE = 30.0  # seconds
REPORT_MAX = ERRORS_MAX * LISTED_ERRORS * 160  # bytes
ROW_BYTES = 900_000  # bytes, below the limit of a row
ROWS = 50_000  # IMPORT_ROWS_MAX of this service
TODOIST = b"TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,DATE\r\n"
# Content of rows: 1 MB at a time, and eight such rows.
KINDS = (
    Value("combining marks of 60 KB", MARKS.text(worst.LONG)),
    Value("combining marks of 900 KB", MARKS.text(ROW_BYTES)),
    Value("450,000 numbers", worst.repeated(b"1", ROW_BYTES)),
)


def judge_report(case: Case, answer: Answer) -> str:
    """Judges a report: refused rows are reported with 200."""
    if answer.status == 409:
        return "not read: an import is still running"
    report = answer.status == 200 and answer.size <= REPORT_MAX
    return judge(case, answer._replace(size=0) if report else answer)


def cases() -> Iterator[Case]:
    for entity, shape in ROW_SHAPES.items():
        schema = shape.model_json_schema()
        for field in fields(schema, schema, entity, lambda value: value):
            for value in KINDS:
                yield _rows(entity, field, value)
    yield from _documents()
    for kind, content in _tables():
        yield _case(CSV, kind, content)
    for kind, content in _calendars():
        yield _case(ICS, kind, content)
    for kind, content in product_files():
        yield _case(b"application/octet-stream", kind, content)
    for body in worst.bodies():
        typed = [JSON_TYPE] * all(name != b"Content-Type" for name, _ in body.headers)
        yield Case("document", body.name, False, True, PATH, (*typed, *body.headers), (body.content,), PATIENCE)


PATH = b"/api/me/import"


def _case(media: bytes, kind: str, *content: bytes) -> Case:
    return Case(media.decode(), kind, False, True, PATH, ((b"Content-Type", media),), content, PATIENCE)


def _document(kind: str, entity: str, *rows: bytes) -> Case:
    content = (b'{"format":"todo/1","user_id":"a","%b":[' % entity.encode(), *rows, b"]}")
    return _case(b"application/json", f"{entity}: {kind}", *content)


def _rows(entity: str, field: Field, value: Value) -> Case:
    return _document(value.name, entity, *field.around(value.json))._replace(place=f"application/json {field.place}")


def _documents() -> Iterator[Case]:
    many = worst.repeated(b'"a"', ROW_BYTES)
    for name, value in (
        ("tags", many),
        ("tags", worst.repeated(b"1", ROW_BYTES)),
        ("reminders", worst.repeated(b'"P1D"', ROW_BYTES)),
    ):
        row = b'{"title":"x","%b":%b}' % (name.encode(), value)
        yield _document(f"8 rows of 900 KB of {name}", "tasks", b",".join([row] * 8))
    marks = b'{"title":%b}' % MARKS.text(worst.LONG)
    yield _document("100 titles of 60 KB", "tasks", b",".join([marks] * 100))
    short = b'{"title":%b,"tags":[%b]}' % (MARKS.characters(200), b",".join([MARKS.characters(50)] * 20))
    yield _document("2,000 rows of marks within the limits", "tasks", b",".join([short] * 2000))
    rule = json.dumps({"title": "x", "due_date": "2026-01-01", "recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"})
    yield _document("5,000 rules that never occur", "tasks", b",".join([rule.encode()] * 5000))
    yield _document(f"{ROWS:,} rows of nothing", "tasks", b",".join([b"{}"] * ROWS))
    yield _document("20,000 rows that are none", "comments", b",".join([b"1"] * 20_000))
    yield _document("one row too many", "tasks", b",".join([b"{}"] * (ROWS + 1)))
    yield _document("a row of 100,000 lists", "tasks", b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield _document("90,000 unknown names", "other", b"0],", worst.names(90_000)[1:-1], b',"z":[0')
    chain = (b'{"id":%d,"title":"x","parent_id":%d}' % (n, n + 1) for n in range(1, 20_001))
    yield _document("a chain of 20,000", "tasks", b",".join(chain))
    ring = (b'{"id":%d,"title":"x","parent_id":%d}' % (n, n % 20_000 + 1) for n in range(1, 20_001))
    yield _document("a ring of 20,000", "tasks", b",".join(ring))
    one = (b'{"id":%d,"title":"x","parent_id":1}' % n for n in range(1, 20_001))
    yield _document("20,000 below one", "tasks", b",".join(one))
    yield _document("ids of 4,000 digits", "tasks", b",".join([b'{"id":%b,"title":"x"}' % (b"9" * 4000)] * 100))
    zone = b'0],"settings":{"timezone":%b},"z":[0' % MARKS.text(ROW_BYTES)
    yield _document("a time zone of 900 KB", "other", zone)


def _cell(run: Run, size: int) -> bytes:
    text: str = json.loads(run.text(size))
    return b'"' + text.replace('"', '""').encode("utf-8", "replace") + b'"'


def _tables() -> Iterator[tuple[str, bytes]]:
    for column in CSV_COLUMNS:
        for run in (MARKS, LETTERS):
            for size in (worst.LONG, worst.MB)[run is not MARKS :]:
                line = b'"x",%b\r\n' % _cell(run, size)
                yield f"{column}: {run.name} of {size:,} bytes", b"title,%b\r\n" % column.encode() + line
    yield "8 cells of 1 MB", b"title\r\n" + (_cell(MARKS, worst.MB) + b"\r\n") * 8
    for sign in (b",", b"a,", b'""', b'"",', b"\n"):
        yield f"tags of {sign!r}", b'title,tags\r\nx,"' + sign.replace(b'"', b'""') * (worst.MB // 2) + b'"\r\n'
        yield (
            f"reminders of {sign!r}",
            b'title,reminders\r\nx,"' + sign.replace(b'"', b'""') * (worst.MB // 2) + b'"\r\n',
        )
    yield f"{ROWS:,} rows of nothing", b"title\r\n" + b"\r\n" * ROWS
    yield f"{ROWS:,} empty cells", b"title,tags\r\n" + b",\r\n" * ROWS
    yield "one row too many", b"title\r\n" + b"x\r\n" * (ROWS + 1)
    yield "500,000 columns", b"title" + b",a" * 500_000 + b"\r\nx\r\n"
    yield "500,000 cells", b"title\r\nx" + b",a" * 500_000 + b"\r\n"
    yield "a quote without end", b'title\r\n"' + b"a\r\n" * (worst.MB // 3)
    yield "quotes", b'title\r\n"' + b'""' * worst.MB + b'"\r\n'
    yield "NUL", b"title\r\n" + b"\0" * worst.MB
    yield "not UTF-8", b"title\r\n" + b"\xff" * worst.MB
    for run in (MARKS, LETTERS, Run("labels", "", "@a "), Run("dates", "", "every monday at 5pm ")):
        for size in (worst.LONG, worst.MB):
            cell = _cell(run, size)
            yield f"Todoist, {run.name} of {size:,} bytes", TODOIST + b"task,%b,%b,1,1,%b\r\n" % (cell, cell, cell)
            yield (
                f"Todoist, a section of {run.name} of {size:,} bytes",
                TODOIST + b"section,%b,,,,\r\ntask,x,,1,1,\r\n" % cell,
            )
    date = b"every monday at 5pm tomorrow " * 17
    yield "Todoist, 1,000 dates", TODOIST + b"".join(b"task,x %d,,1,1,%b\r\n" % (n, date) for n in range(1000))
    yield (
        "Todoist, 20,000 below each other",
        TODOIST + b"".join(b"task,x %d,,1,%d,\r\n" % (n, min(n + 1, 99)) for n in range(20_000)),
    )


def _calendars() -> Iterator[tuple[str, bytes]]:
    begin, end = b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\n", b"END:VTODO\r\nEND:VCALENDAR\r\n"
    marks = b"e" + "\u0301\u0323".encode() * (worst.MB // 4)
    for name in (
        b"SUMMARY",
        b"DESCRIPTION",
        b"UID",
        b"DUE",
        b"RRULE",
        b"CATEGORIES",
        b"RELATED-TO",
        b"STATUS",
        b"PRIORITY",
    ):
        for kind, value in (("marks", marks), ("commas", b"a," * (worst.MB // 2)), ("digits", b"1" * worst.MB)):
            yield f"{name.decode()} of {kind}", begin + b"SUMMARY:x\r\n%b:%b\r\n" % (name, value) + end
    yield "marks in folds", begin + b"SUMMARY:e" + "\r\n \u0301\u0323".encode() * (worst.MB // 7) + b"\r\n" + end
    yield "folds of nothing", begin + b"SUMMARY:x" + b"\r\n " * (worst.MB // 3) + b"\r\n" + end
    yield "escapes", begin + b"SUMMARY:" + b"\\n" * (worst.MB // 2) + b"\r\n" + end
    yield "parameters", begin + b"DUE" + b";A=a" * (worst.MB // 4) + b":20261201\r\n" + end
    yield "parameters without end", begin + (b"DUE" + b";A=a,b" * 10_000 + b"\r\n") * 10 + end
    yield "quotes without end", begin + (b'DUE;A="' + b'",""' * 20_000 + b"\r\n") * 10 + end
    yield "names", begin + (b"A" * 90_000 + b"\r\n") * 10 + end
    yield "a zone", begin + b"DUE;TZID=" + b"../" * 30_000 + b":20261201T090000\r\n" + end
    yield "100,000 properties", begin + b"X-A:a\r\n" * 100_000 + end
    yield "100,000 alarms", begin + b"BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n" * 30_000 + end
    yield "100,000 components", b"BEGIN:VCALENDAR\r\n" + b"BEGIN:A\r\n" * 100_000
    yield "100,000 ends", begin + b"END:VTODO\r\n" * 100_000
    yield (
        "20,000 empty to-dos",
        b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VTODO\r\nEND:VTODO\r\n" * 20_000 + b"END:VCALENDAR\r\n",
    )
    rule = b"BEGIN:VTODO\r\nSUMMARY:x\r\nDUE:20260101\r\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\r\nEND:VTODO\r\n"
    yield "3,000 rules that never occur", b"BEGIN:VCALENDAR\r\n" + rule * 3000 + b"END:VCALENDAR\r\n"
    yield "one line", b"BEGIN:VCALENDAR" * 100_000
