"""Error responses to requests that never reach the application, as bytes."""

from app.http.problems import STATUS_TITLES, problem
from app.observability.refusals import log_refusal
from app.observability.request_context import start_request

REFUSAL_RETRY_AFTER = 2

Refusal = tuple[int, str, str]
URL_TOO_LONG: Refusal = (414, "url_too_long", "The URL is longer than this service accepts.")
HEADERS_TOO_LARGE: Refusal = (431, "headers_too_large", "The headers are more or larger than this service accepts.")
BAD_HOST: Refusal = (400, "bad_host", "Send one Host header that names this service.")
MALFORMED_REQUEST: Refusal = (400, "malformed_request", "This is not an HTTP request.")
REQUEST_TOO_SLOW: Refusal = (408, "request_timeout", "The request did not come in time.")
PIPELINE_FULL: Refusal = (
    503,
    "too_many_pipelined",
    "More requests were pipelined than are queued: send this one again.",
)
TOO_MANY_CONNECTIONS: Refusal = (503, "too_many_connections", "Too many connections are open: try again.")


def render_refusal(refusal: Refusal, default_headers: list[tuple[bytes, bytes]], **details: str) -> bytes:
    """Returns a problem as a response that closes the connection, with the headers of every response.

    ``details`` are for the operator's log.
    """
    status, code, detail = refusal
    log_refusal(code, {"detail": detail, **details})
    headers = {"X-Request-ID": start_request(None), "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = str(REFUSAL_RETRY_AFTER)
    response = problem(status, code, detail, headers={**headers, "Connection": "close"})
    lines = [b"HTTP/1.1 %d %b" % (status, STATUS_TITLES[status].encode())]
    lines += [b"%b: %b" % header for header in (*default_headers, *response.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
