"""Parameters in a query or an urlencoded body, as OAuth sends them: small, each once, in UTF-8."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from app.errors import BodyTooLarge, OAuthError, UnsupportedMediaType
from app.http.body import read_body

FORM_MAX, FORM_FIELDS_MAX = 8_192, 50  # bytes, parameters
FORM_TYPE = "application/x-www-form-urlencoded"


def read_parameters(text: bytes) -> dict[str, str]:
    """Returns the parameters that have a value (RFC 6749, 3.1). Raises OAuthError for one that stands there twice.

    A resource may be repeated, if it is the same one (RFC 8707, 2).
    """
    if len(text) > FORM_MAX:
        raise BodyTooLarge
    try:
        pairs = parse_qsl(text.decode("ascii"), max_num_fields=FORM_FIELDS_MAX, errors="strict")
    except ValueError:  # too many, or no UTF-8
        raise OAuthError from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if "\0" in value or (name in found and (name != "resource" or found[name] != value)):
            raise OAuthError
        found[name] = value
    return found


async def read_form(request: Request) -> dict[str, str]:
    """Reads a body. Raises UnsupportedMediaType, BodyTooLarge, OAuthError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM_TYPE:
        raise UnsupportedMediaType(f"Send the body as {FORM_TYPE}.")
    return read_parameters(await read_body(request, FORM_MAX))
