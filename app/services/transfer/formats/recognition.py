"""Recognizing what a file is by its beginning. Its name and its media type only settle what the content leaves open."""

import codecs
import re
from enum import Enum

from app.services.transfer.formats.encoding import UTF16_MARKS, WINDOWS_ENCODING

HEAD_SIZE = 65_536  # bytes that are read to recognize a file
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
# Beginnings of JSON: brackets that are followed by what may follow them. "[ ] milk" is a line of text.
_JSON_BEGIN = re.compile(r'\s*(?:\{\s*(?:"|\}|\Z)|\[\s*(?:[{\["]|\]?\s*\Z))')
_ICS_BEGIN = re.compile(r"(?:\A|[\r\n])[ \t]*BEGIN:V(?:CALENDAR|TODO|EVENT|JOURNAL|TIMEZONE)\s", re.IGNORECASE)
# Signs of todo.txt: a completed line, a priority, a date in front, or one of its words.
_TODO_TXT_SIGN = re.compile(
    r"^(?:x \S|\([A-Z]\) \S|\d{4}-\d\d-\d\d \S)|(?:^|\s)(?:[+@][^\s+@]|(?:due|t|rec|pri):\S)", re.MULTILINE
)
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_OTHER_BEGIN = re.compile(r"\s*(?:<[!?a-zA-Z]|%PDF|\{\\rtf|From )")


class FileKind(Enum):
    """The reader that a file is given to."""

    ZIP = "zip"
    JSON = "json"
    ICS = "ics"
    TEXT = "text"


def recognize(head: bytes) -> FileKind:
    """Returns the kind of a file that begins with ``head``; a text may be a table or a list."""
    if head.startswith(ZIP_MARKS):
        return FileKind.ZIP
    text = decode_head(head)
    if _JSON_BEGIN.match(text):
        return FileKind.JSON
    return FileKind.ICS if _ICS_BEGIN.search(text) else FileKind.TEXT


def decode_head(head: bytes) -> str:
    """Returns the beginning of a file as text; half a character at its end is left out."""
    encoding = UTF16_MARKS.get(head[:2], "")
    if encoding:
        return codecs.getincrementaldecoder(encoding)("replace").decode(head[2:])
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return head.decode(WINDOWS_ENCODING, "replace")


def is_task_list(head: str, declared: str) -> bool:
    """Returns whether a text is a list of tasks: it has a sign of todo.txt, or is declared as text of several lines."""
    if _NO_TEXT.search(head) or _OTHER_BEGIN.match(head):
        return False
    if _TODO_TXT_SIGN.search(head):
        return True
    return declared == "text" and len(head.split("\n", 3)) > 2 and bool(head.strip())
