"""Errors of the model's server, from any of the shapes in which compatible servers report them."""

import re
from typing import Any

from app.assistant.model.json_values import parse_json_value

LOGGED_ERROR_MAX = 300  # characters of a server's message in the log
WEB_PAGE_READ = 8_192  # characters of a page in place of an error: removing markup costs the square of its length
# Names of the members that hold the message, in the order of preference.
MESSAGE_NAMES = ("message", "msg", "detail", "error", "errors", "error_message", "description", "reason", "title")
STATUS_NAMES = ("code", "status", "status_code", "http_code")
# Where validators repeat the input (Pydantic): it holds what the user wrote.
_ECHO_OF_INPUT = re.compile(r"""(?:['"]input['"]\s*:|\binput_value\s*=).*""", re.DOTALL)
_HTML_MARKUP = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


class InvalidReply(ValueError):
    """The response is not one of an OpenAI-compatible endpoint. The message is for the log."""


class EndpointError(Exception):
    """An error that the model's server reported: as a status, or within a response with status 200.

    ``message`` is for the log; ``code`` and ``parameter`` are the server's, empty if it names none.
    """

    def __init__(
        self, message: str, *, status: int | None = None, code: str = "", parameter: str = "", retry_after: str = ""
    ) -> None:
        """Takes ``retry_after`` as in the header of that name."""
        super().__init__(message)
        self.message, self.status, self.code, self.parameter = message, status, code, parameter
        self.retry_after = retry_after


def find_error(document: Any) -> EndpointError | None:
    """Finds an error in a document that came with status 200."""
    if isinstance(document, list):
        document = document[0] if document else None
    if not isinstance(document, dict):
        return None
    if document.get("error"):
        return endpoint_error(document)
    named = any(document.get(name) for name in MESSAGE_NAMES) or "error" in (
        document.get("object"),
        document.get("type"),
    )
    return endpoint_error(document) if named and not document.get("choices") else None


def endpoint_error(document: Any, *, status: int | None = None, retry_after: str = "") -> EndpointError:
    """Reads an error document; ``status`` is that of the response, by default the one within the document."""
    while isinstance(document, list) and document and not isinstance(document[0], str):
        document = document[0]
    inner = document.get("error") if isinstance(document, dict) else None
    parts = [part for part in (inner, document) if isinstance(part, dict)]
    code = next((part[name] for part in parts for name in ("code", "type") if isinstance(part.get(name), str)), "")
    parameter = next((part["param"] for part in parts if isinstance(part.get("param"), str)), "")
    return EndpointError(
        describe_error(document),
        status=status or next(filter(None, (_number(part.get(name)) for part in parts for name in STATUS_NAMES)), None),
        code=code,
        parameter=parameter,
        retry_after=retry_after,
    )


def error_of_body(body: bytes, status: int, retry_after: str) -> EndpointError:
    """Reads the body of a response with an error status: JSON of any shape, a web page, or text."""
    text = body.decode("utf-8-sig", "replace")
    try:
        document = parse_json_value(text)
    except ValueError:
        document = _HTML_MARKUP.sub(" ", text[:WEB_PAGE_READ]) if text.lstrip().startswith("<") else text
    return endpoint_error(document, status=status, retry_after=retry_after)


def describe_error(value: Any) -> str:
    """Returns the message within an error document."""
    if isinstance(value, str):
        return _ECHO_OF_INPUT.sub("", value)
    if isinstance(value, list):
        return "; ".join(describe_error(each) for each in value[:5])
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    found = next((value[name] for name in MESSAGE_NAMES if value.get(name)), None)
    text = describe_error(found) if found is not None else str(value.get("code") or value.get("type") or "")
    if isinstance(place := value.get("loc"), list | tuple):  # one finding of FastAPI
        text = f"{'.'.join(str(part) for part in place)}: {text}"
    # A gateway puts the message of the server behind it next to its own.
    if isinstance(metadata := value.get("metadata"), dict) and isinstance(raw := metadata.get("raw"), str):
        text = f"{text}: {describe_error(raw)}"
    return text


def log_line(message: str, secrets: list[str]) -> str:
    """Returns ``message`` in one line, cut, without ``secrets``: the key, and the texts that were sent."""
    for secret in filter(None, secrets):
        message = message.replace(secret, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in message[: 20 * LOGGED_ERROR_MAX]).split())
    return line if len(line) <= LOGGED_ERROR_MAX else f"{line[:LOGGED_ERROR_MAX]}..."


def _number(value: Any) -> int | None:
    """Returns a status code of an error, which servers write as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:4])
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600 else None
