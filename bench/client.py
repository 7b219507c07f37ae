"""A plain HTTP client for checks and preparation, which are not measured."""

import json
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple

from bench.scenarios import Call

CLIENT_TIMEOUT = 10.0  # seconds


class Answer(NamedTuple):
    """A response; header names are in lower case."""

    headers: Mapping[str, str]
    json: Any


def fetch(port: int, calls: Iterable[tuple[Call, str]]) -> Iterator[Answer]:
    """Makes each call with its token, one after the other. Raises RuntimeError for an unexpected status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=CLIENT_TIMEOUT)
    try:
        for call, bearer in calls:
            headers = {"Authorization": f"Bearer {bearer}"}
            if call.body:
                headers["Content-Type"] = "application/json"
            connection.request(call.method, call.path, call.body or None, headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != call.status:
                text = body[:500].decode(errors="replace")
                raise RuntimeError(f"{call.method} {call.path}: {response.status} {text}")
            yield Answer({name.lower(): value for name, value in response.getheaders()}, json.loads(body or b"null"))
    finally:
        connection.close()
