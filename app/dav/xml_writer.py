"""Writing the XML of responses as text: a multistatus may have any number of parts, which are sent one by one."""

import re
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape

from app.dav.names import SPACE_PREFIXES, Name

XML_TYPE = 'application/xml; charset="utf-8"'
XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_SPACE_DECLARATIONS = " ".join(f'xmlns:{prefix}="{space}"' for space, prefix in SPACE_PREFIXES.items())
MULTISTATUS_HEAD, MULTISTATUS_END = f"{XML_HEAD}<D:multistatus {_SPACE_DECLARATIONS}>", "</D:multistatus>\n"
# What XML 1.0 cannot say, not even as a reference.
_NO_XML_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STATUS_TEXTS = {200: "OK", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 507: "Insufficient Storage"}


def xml_text(text: str) -> str:
    """Returns text as it stands between tags. A carriage return as a reference: a reader would drop it."""
    if "&" in text or "<" in text or ">" in text:
        text = escape(text)
    return text if text.isprintable() else _NO_XML_CHARACTER.sub("", text).replace("\r", "&#13;")


def empty_tag(name: Name) -> str:
    space, local = name
    if (prefix := SPACE_PREFIXES.get(space)) is not None:
        return f"<{prefix}:{local}/>"
    return f'<{local} xmlns="{escape(space, {chr(34): "&quot;"})}"/>'


def tag(name: Name, content: str) -> str:
    """Returns an element of a known namespace around ``content``, which is XML."""
    label = f"{SPACE_PREFIXES[name[0]]}:{name[1]}"
    return f"<{label}>{content}</{label}>"


def href_tag(path: str) -> str:
    return f"<D:href>{xml_text(path)}</D:href>"


def status_tag(status: int) -> str:
    return f"<D:status>HTTP/1.1 {status} {_STATUS_TEXTS[status]}</D:status>"


def propstat(content: str, status: int = 200) -> str:
    return f"<D:propstat><D:prop>{content}</D:prop>{status_tag(status)}</D:propstat>"


def response(href: str, found: Mapping[Name, str], missing: Iterable[Name]) -> str:
    """Returns the response about a resource: properties with their content, and those that it lacks.

    None is left out: some apps drop a response in which one is missing.
    """
    there = "".join(tag(name, content) if content else empty_tag(name) for name, content in found.items())
    lacking = "".join(map(empty_tag, missing))
    parts = (propstat(there) if there or not lacking else "") + (propstat(lacking, 404) if lacking else "")
    return f"<D:response>{href_tag(href)}{parts}</D:response>"


def status_response(href: str, status: int, error: str = "") -> str:
    """Returns the response about a resource that has no properties to show."""
    return f"<D:response>{href_tag(href)}{status_tag(status)}{error}</D:response>"


def error_document(condition: Name | None, message: str) -> str:
    """Returns the body of a refusal (RFC 4918, 16): the precondition that failed, and a sentence for people."""
    inner = empty_tag(condition) if condition is not None else ""
    inner += f'<message xmlns="urn:todo">{xml_text(message)}</message>'
    return f"{XML_HEAD}<D:error {_SPACE_DECLARATIONS}>{inner}</D:error>\n"
