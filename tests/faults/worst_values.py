"""The worst values of each kind that a request can contain within its limits of size."""

import gzip
import json
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

MB = 1_048_576
ROOM = 1_000_000  # bytes of one value in a body of BODY_LIMIT
LONG = 61_440
UNBOUNDED = 255  # characters of a text whose schema has no maxLength


class Value(NamedTuple):
    """A value; ``json`` is JSON text. ``refused``: only a 4xx is right; others may be valid."""

    name: str
    json: bytes
    refused: bool = True


class Run(NamedTuple):
    """A text that grows by its unit. ``unit`` is in JSON notation."""

    name: str
    start: str
    unit: str
    end: str = ""

    def text(self, size: int) -> bytes:
        """Returns a JSON string of at most ``size`` bytes."""
        start, unit, end = (part.encode() for part in (self.start, self.unit, self.end))
        return b'"' + start + unit * ((size - len(start) - len(end) - 2) // len(unit)) + end + b'"'

    def characters(self, count: int) -> bytes:
        """Returns a JSON string of at most ``count`` characters."""
        size = len(json.loads(f'"{self.unit}"')) or 1
        times = max(1, (count - len(self.start) - len(self.end)) // size)
        return f'"{self.start}{self.unit * times}{self.end}"'.encode()


# Normalization sorts the marks after a letter by their class, in quadratic time where each precedes the last.
MARKS = Run("combining marks", "e", "\u0301\u0323")
# No class of their own, and two marks each once they are normalized.
PAIRED = Run("letters that are marks", "\u0f40", "\u0f73\u0f75\u0f81")
LETTERS, BLANKS = Run("letters", "", "a"), Run("blank letters", "", "\u3164")
RUNS = (
    MARKS,
    Run("marks of falling classes", "e", "\u0345\u0301\u0315\u031b\u0323\u0327\u0334"),
    Run("marks that grow", "", "\u0344"),
    PAIRED,
    Run("Hangul jamo", "", "\u1100\u1161\u11a8"),
    LETTERS,
    Run("digits", "", "1"),
    Run("spaces", "x", " ", "x"),
    Run("only spaces", "", " "),
    Run("zero-width characters", "", "\u200b"),
    BLANKS,
    Run("joined emoji", "", "\U0001f469\u200d"),
    Run("NUL", "", "\\u0000"),
    Run("lone surrogates", "", "\\ud800"),
    Run("escapes", "", "\\u0061"),
    Run("control characters", "x", "\\u0001", "x"),
    Run("line ends", "x", "\\r\\n", "x"),
)
LONGEST = {
    "combining marks",
    "marks of falling classes",
    "letters that are marks",
    "spaces",
    "only spaces",
    "NUL",
    "escapes",
}  # also of 1 MB
# Each is worst for some reader of text: every text field gets every one, so that none depends on the name of a field.
PARSED = (
    Run("date", "2026-12-01T00:00:00.", "0", "Z"),
    Run("date with an offset", "2026-12-01T00:00:00+", "00:"),
    Run("duration", "P", "1D"),
    Run("duration of zeros", "PT", "0", "H"),
    Run("duration of parts", "P1D", "T1H"),
    Run("rule that never occurs", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", ";BYMONTH=2"),
    Run("rule of rare days", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;INTERVAL=99", ""),
    Run("rule of semicolons", "FREQ=DAILY", ";"),
    Run("rule of positions", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=", "-1,", "1"),
    Run("rule of days", "FREQ=MONTHLY;BYDAY=", "-5MO,", "1MO"),
    Run("rule that counts", "FREQ=DAILY;COUNT=", "9"),
    Run("rule with an interval", "FREQ=YEARLY;INTERVAL=", "9"),
    Run("mail domain", "a@", "a.", "com"),
    Run("mail name", "", "a.", "a@example.com"),
    Run("mail signs", "", "@"),
    Run("quoted mail name", '\\"', '\\\\\\"', '\\"@example.com'),
    Run("mail in punycode", "a@", "xn--a.", "com"),
    Run("mail in capitals", "", "\u0130", "@example.com"),
    Run("URL host", "https://", "a.", "com"),
    Run("URL address", "https://[", ":", "]"),
    Run("URL user", "https://", "a:", "@example.com"),
    Run("URL path", "https://example.com", "/.."),
    Run("URL port", "https://example.com:", "1"),
    Run("URL in signs", "https://", "\u3002a"),
    Run("percent signs", "", "%"),
    Run("underscores", "", "_%"),
    Run("backslashes", "", "\\\\"),
    Run("quotes", "", '\\"a '),
    Run("words", "", "a "),
    Run("words that fold", "", "\ufb03 "),
    Run("signs", "", "#a @a !a p:high "),
    Run("quick dates", "", "every monday at 5pm tomorrow "),
    Run("quick numbers", "every ", "1 "),
    Run("quick repeats", "", "every "),
    Run("brackets", "", "["),
    Run("braces", "", '{\\"a\\":'),
    Run("angles", "", "<a "),
    Run("entities", "", "&#x41;"),
    Run("slashes", "", "../"),
    Run("commas", "", ',\\"'),
    Run("base64", "", "W1tb"),
    Run("token", "", "eyJhbGciOiJIUzI1NiJ9."),
    Run("zone", "Europe", "/Berlin"),
    Run("color", "#", "a"),
    Run("event", "", "a_", ".a"),
    Run("stars", "", "*"),
)


@lru_cache(64)
def repeated(item: bytes, size: int = ROOM) -> bytes:
    """Returns a list of as many ``item`` as fit."""
    return b"[" + b",".join([item] * ((size - 2) // (len(item) + 1))) + b"]"


@lru_cache(8)
def numbers(count: int) -> bytes:
    """Returns a list of different numbers."""
    return b"[" + b",".join(b"%d" % number for number in range(1, count + 1)) + b"]"


@lru_cache(8)
def names(count: int) -> bytes:
    """Returns an object with so many unknown names."""
    return b"{" + b",".join(b'"%x":1' % number for number in range(count)) + b"}"


@lru_cache(128)
def text(run: Run, size: int) -> bytes:
    return run.text(size)


@lru_cache(1)
def core() -> tuple[Value, ...]:
    """Returns the values sent to every field, whatever its type."""
    return (
        Value("combining marks of 60 KB", text(MARKS, LONG)),
        Value("combining marks of 1 MB", text(MARKS, ROOM)),
        Value("letters of 1 MB", text(LETTERS, ROOM)),
        Value("500,000 numbers", repeated(b"1")),
        Value("90,000 unknown names", names(90_000)),
        Value("an unknown name of 1 MB", b"{" + text(MARKS, ROOM - 8) + b":1}"),
        Value("900 lists in each other", b"[" * 900 + b"]" * 900),
        Value("10^4000", b"1" + b"0" * 4000),
        Value("-10^4000", b"-1" + b"0" * 4000),
        Value("1e400", b"1e400"),
        Value("1e-400", b"1e-400"),
        Value("1.5", b"1.5"),
        Value("-0", b"-0"),
        Value("-0.0", b"-0.0"),
    )


def brief() -> tuple[Value, ...]:
    """Returns the values sent where the others have been sent to the same type elsewhere."""
    kinds = (
        "combining marks of 60 KB",
        "letters of 1 MB",
        "500,000 numbers",
        "90,000 unknown names",
        "10^4000",
        "1e400",
    )
    return tuple(value for value in core() if value.name in kinds)


def short_texts(shape: "Shape") -> Iterator[Value]:
    """Yields the texts around the limit, for a field whose type has been sent all others."""
    if shape.text:
        yield Value(f"combining marks, {shape.length} of them", MARKS.characters(shape.length), refused=False)
        yield Value(f"combining marks, just below 8 x {shape.length}", MARKS.characters(8 * shape.length - 2))
        yield Value(f"letters that are marks, just below 8 x {shape.length}", PAIRED.characters(8 * shape.length - 2))


def values(shape: "Shape") -> Iterator[Value]:
    """Yields the additional values for a field of ``shape``."""
    if shape.text:
        yield from texts(shape)
    if shape.item is not None:
        yield from lists(shape)


def texts(shape: "Shape") -> Iterator[Value]:
    length = shape.length
    for run in RUNS:
        yield Value(f"{run.name}, {length} of them", run.characters(length), refused=False)
        yield Value(f"{run.name}, 8 x {length} and more", run.characters(8 * length + 8))
        yield Value(f"{run.name} of 60 KB", text(run, LONG))
        if run.name in LONGEST or shape.parsed:
            yield Value(f"{run.name} of 1 MB", text(run, ROOM))
    yield Value(f"combining marks, 2 x {length}", MARKS.characters(2 * length + 2))
    yield Value(f"combining marks, just below 8 x {length}", MARKS.characters(8 * length - 2))
    yield Value(f"letters that are marks, just below 8 x {length}", PAIRED.characters(8 * length - 2))
    for run in PARSED:
        yield Value(f"{run.name}, {length} of them", run.characters(length), refused=False)
        if run.unit and shape.parsed:
            yield Value(f"{run.name} of 60 KB", text(run, LONG))


def lists(shape: "Shape") -> Iterator[Value]:
    item, most = shape.item, shape.most
    assert item is not None
    yield Value("items of the right kind, as many as find room", repeated(item))
    yield Value("140,000 different numbers", numbers(140_000))
    yield Value("250,000 texts", repeated(b'"a"'))
    yield Value("330,000 lists", repeated(b"[]"))
    yield Value("330,000 objects", repeated(b"{}"))
    yield Value("items of the wrong kind, one too many", repeated(b"{}", 3 * (most + 1) + 2))
    yield Value("items of the wrong kind, 10 x too many", repeated(b"{}", 30 * (most + 1) + 2))
    for run in (MARKS, LETTERS, BLANKS):
        size = ROOM // most - 1
        yield Value(f"{most} items of {run.name}", repeated(text(run, size), most * (len(text(run, size)) + 1) + 2))
    yield Value(f"{most} items of names", repeated(names(ROOM // most // 12 + 1), ROOM))
    yield Value("lists of numbers", repeated(repeated(b"1", 1000)))


class Shape(NamedTuple):
    """The relevant properties of a schema: whether it is a text, its length and format; a list's items, and how
    many."""

    text: bool
    length: int
    parsed: bool
    item: bytes | None
    most: int


# Whole bodies, sent to every operation that reads one


class Body(NamedTuple):
    name: str
    content: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    refused: bool = True


@lru_cache(1)
def bodies() -> tuple[Body, ...]:
    zeros = b'{"a":"' + b"a" * 10 * MB + b'"}'
    packed = zlib.compress(zeros, 9)
    return (
        Body("100,000 lists in each other", b"[" * 100_000 + b"]" * 100_000),
        Body("a list that never ends", b"[" * (MB - 1)),
        Body("170,000 objects in each other", b'{"a":' * 150_000 + b"1" + b"}" * 150_000),
        Body("a number of 5,000 digits", b"1" * 5000),
        Body("a number of 1 MB", b"1" * ROOM),
        Body("a fraction of 1 MB", b"0." + b"1" * ROOM),
        Body("an exponent of 1 MB", b"1e" + b"9" * ROOM),
        Body("a text that never ends", b'"' + b"a" * ROOM),
        Body("escapes that never end", b'"' + b"\\" * ROOM),
        Body("1 MB of spaces", b" " * ROOM),
        Body("1 MB of NUL", b"\0" * ROOM),
        Body("1 MB that is not UTF-8", b"\xff" * ROOM),
        Body("1 MB of UTF-16", "[]".encode("utf-16-le") * (ROOM // 4)),
        Body("one name 100,000 times", b"{" + b",".join([b'"a":1'] * 100_000) + b"}"),
        Body("90,000 unknown names", names(90_000)),
        Body("500,000 numbers", repeated(b"1")),
        Body("1 byte more than allowed", b'"' + b"a" * (MB - 1) + b'"'),
        Body("10 MB in gzip", gzip.compress(zeros, 9, mtime=0), ((b"Content-Encoding", b"gzip"),)),
        Body("10 MB in deflate", packed, ((b"Content-Encoding", b"deflate"),)),
        Body("10 MB in br", packed, ((b"Content-Encoding", b"br"),)),
        Body("10 MB in gzip, twice", gzip.compress(gzip.compress(zeros)), ((b"Content-Encoding", b"gzip, gzip"),)),
        Body("a form of 1 MB", b"a=1&" * (ROOM // 4), ((b"Content-Type", b"application/x-www-form-urlencoded"),)),
        Body(
            "parts of a form",
            b"--a\r\n\r\n\r\n" * (ROOM // 9),
            ((b"Content-Type", b"multipart/form-data; boundary=a"),),
        ),
        Body(
            "a content type of 15 KB", b"[]", ((b"Content-Type", b"application/json" + b";a=b" * 3800),), refused=False
        ),
        Body("codings of 15 KB", b"[]", ((b"Content-Encoding", b"gzip," * 3000),)),
        Body("a length of 4,000 digits", b"", ((b"Content-Length", b"9" * 4000),)),
    )


@lru_cache(1)
def bodies_brief() -> tuple[Body, ...]:
    """Returns the bodies sent where the same reader has been sent the others."""
    kinds = {
        "100,000 lists in each other",
        "a list that never ends",
        "a number of 5,000 digits",
        "one name 100,000 times",
        "90,000 unknown names",
        "500,000 numbers",
        "1 byte more than allowed",
        "10 MB in gzip",
    }
    return tuple(body for body in bodies() if body.name in kinds)


def chunked(body: bytes) -> bytes:
    """Returns the body with one byte in a chunk."""
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


# URLs and headers: as large as the protocol allows

QUERY, HEADER = 7600, 15_000  # bytes

URL_TEXTS: dict[str, bytes] = {
    "combining marks": b"e" + b"%CC%81%CC%A3" * (QUERY // 12),
    "raw marks": b"e" + "\u0301\u0323".encode() * (QUERY // 4),
    "letters": b"a" * QUERY,
    "digits": b"1" * QUERY,
    "zeros": b"0" * (QUERY - 1) + b"1",
    "number beyond int8": b"9223372036854775808",
    "number of 4,000 digits": b"1" * 4000,
    "spaces": b"x" + b"%20" * (QUERY // 3 - 1) + b"x",
    "pluses": b"+" * QUERY,
    "NUL": b"%00" * (QUERY // 3),
    "lone surrogates": b"%ED%A0%80" * (QUERY // 9),
    "blank letters": b"%E3%85%A4" * (QUERY // 9),
    "percent signs": b"%" * QUERY,
    "slashes": b"%2F" * (QUERY // 3),
    "dots": b"..%2f" * (QUERY // 5),
    "brackets": b"[" * QUERY,
    "commas": b"," * QUERY,
    "quotes": b"%22a%20" * (QUERY // 7),
    "words": b"a%20" * (QUERY // 4),
    "wildcards": b"%25_" * (QUERY // 4),
    "base64": b"W1tb" * (QUERY // 4),
    "base64 within its limit": b"W1tb" * 420,
    "date": b"2026-12-01T00:00:00." + b"0" * (QUERY - 30) + b"Z",
    "minus": b"-0",
    "exponent": b"1e400",
}

URL_TEXTS_BRIEF = {kind: URL_TEXTS[kind] for kind in ("combining marks", "letters", "digits", "NUL")}

HEADER_TEXTS: dict[str, bytes] = {
    "letters": b"a" * HEADER,
    "digits": b"1" * HEADER,
    "commas": b"," * HEADER,
    "semicolons": b"a;" * (HEADER // 2),
    "spaces": b"a" + b" " * HEADER + b"a",
    "quotes": b'"' * HEADER,
    "tags": b'W/"1",' * (HEADER // 6),
    "open tags": b'W/"' * (HEADER // 3),
    "bytes": bytes(range(0xA0, 0x100)) * (HEADER // 96),
    "stars": b"*," * (HEADER // 2),
    "equals": b"a=1;q=0.1," * (HEADER // 10),
}

_PART = b"eyJhIjpb" + b"W1tb" * 2500
TOKENS: dict[str, bytes] = {
    "letters": b"Bearer " + b"a" * HEADER,
    "dots": b"Bearer " + b"." * HEADER,
    "deep header": b"Bearer " + _PART + b".e30.AAAA",
    "deep claims": b"Bearer eyJhbGciOiJIUzI1NiJ9." + _PART + b".AAAA",
    "own kind": b"Bearer todo_" + b"a" * HEADER,
    "spaces": b"Bearer" + b" " * HEADER + b"a",
    "basic": b"Basic " + b"YTph" * (HEADER // 4),
    "commas": b"Bearer " + b"a," * (HEADER // 2),
}

# Read by the framework, by middleware or not at all, on every operation
COMMON_HEADERS = (
    b"Accept", b"Accept-Encoding", b"Accept-Language", b"Cookie", b"Origin", b"X-Request-ID", b"X-Forwarded-For",
    b"X-Forwarded-Proto", b"Range", b"If-Modified-Since", b"Traceparent", b"Forwarded",
    b"Access-Control-Request-Headers", b"Expect", b"Mcp-Session-Id", b"Mcp-Protocol-Version", b"Mcp-Method",
)  # fmt: skip


def many_headers(value: bytes = b"a") -> list[tuple[bytes, bytes]]:
    return [(b"X-%d" % number, value) for number in range(90)]


def any_json(value: Any) -> bytes:
    return json.dumps(value).encode()
