"""Writes of a user as requests of their own or as operations of a batch, and what the responses say of each."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

LISTS = {"task": "/tasks", "project": "/projects"}
JSON = {"Content-Type": "application/json"}
NOT_IN_BATCH = {"undo"}


@dataclass
class Write:
    """One write of the user. ``mark`` is its own text, ``seen`` the version of the row that the user saw.

    ``style`` is how a row is created (put, post, or by its uid alone, without a key) and on which condition one is
    changed (plain, if_match, merge, mine, theirs).
    """

    mark: str
    operation: str
    entity: str
    uid: str
    fields: dict[str, Any] = field(default_factory=dict)
    style: str = ""
    seen: int | None = None
    task_uid: str = ""  # of a comment

    @property
    def in_batch(self) -> bool:
        return self.operation not in NOT_IN_BATCH


class Request(NamedTuple):
    """A request, the same each time it is sent. ``marks`` and ``bases`` are those of its writes."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    marks: tuple[str, ...] = ()
    bases: tuple[int, ...] = ()  # the version on which each write depends, or 0


class Outcome(NamedTuple):
    """The outcome of a write: refused with ``code``, or done, with the revision and the row where they are known."""

    code: str | None = None
    revision: int | None = None
    row: dict[str, Any] | None = None


def form_request(write: Write, version: int, key: str) -> Request:
    method, path, body, headers = _parts(write)
    if write.operation == "edit":
        body = _with_base(write, version)
        headers = _if_match(write, version)
    if write.style != "uid":
        headers = headers | {"Idempotency-Key": key}
    content = b"" if body is None else json.dumps(body).encode()
    return Request(
        method, path, content, tuple((headers | (JSON if content else {})).items()), (write.mark,), (version,)
    )


def form_batch(writes: list[tuple[Write, int]], key: str, *, atomic: bool) -> Request:
    body = json.dumps({"operations": [_operation(*each) for each in writes], "atomic": atomic}).encode()
    headers = {"Idempotency-Key": key, **JSON}
    marks, bases = zip(*((write.mark, version) for write, version in writes), strict=True)
    return Request("POST", "/batch", body, tuple(headers.items()), marks, bases)


def read_outcomes(marks: tuple[str, ...], response: httpx.Response) -> dict[str, Outcome | None]:
    """Returns the outcome of each write by its mark; None: it was not done, as the whole was refused for another."""
    return dict(zip(marks, _read_all(len(marks), response), strict=True))


def _read_all(count: int, response: httpx.Response) -> list[Outcome | None]:
    body = response.json() if response.content else {}
    if response.status_code >= 300:
        if count == 1:
            return [Outcome(body["code"])]
        place = body["errors"][0]["loc"]
        assert place[:2] == ["body", "operations"], body
        return [Outcome(body["code"]) if number == place[2] else None for number in range(count)]
    if "results" in body:
        numbers = response.headers.get("X-Revision")
        atomic = json.loads(response.request.content)["atomic"]
        return [_result(result, numbers if atomic else None) for result in body["results"]]
    return [_result({"body": body}, response.headers.get("X-Revision"))]


def _result(result: dict[str, Any], revision: str | None) -> Outcome:
    if result.get("problem"):
        return Outcome(result["problem"]["code"])
    body = result["body"] or {}
    number = revision or body.get("version") or body.get("revision")
    return Outcome(None, int(number) if number else None, body if "version" in body else None)


def _parts(write: Write) -> tuple[str, str, dict[str, Any] | None, dict[str, str]]:
    """Returns method, path, body and headers of ``write``."""
    listed = f"/tasks/uid:{write.task_uid}/comments" if write.entity == "comment" else LISTS[write.entity]
    path = f"{listed}/uid:{write.uid}"
    match write.operation:
        case "create" if write.style == "post":
            return "POST", listed, {"uid": write.uid, **write.fields}, {}
        case "create":  # without a key, the condition makes the repetition safe
            return "PUT", path, write.fields, {"If-None-Match": "*"} if write.style == "uid" else {}
        case "edit":
            return "PATCH", path, write.fields, {}
        case "complete":
            return "PATCH", f"{path}/complete", write.fields, {}
        case "delete":
            return "DELETE", path, None, {}
        case "restore":
            return "POST", f"{path}/restore", None, {}
        case _:
            return "POST", f"/changes/{write.fields['revision']}/undo", None, {}


def _if_match(write: Write, version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'} if write.style == "if_match" and version else {}


def _with_base(write: Write, version: int) -> dict[str, Any]:
    if write.style not in {"merge", "mine", "theirs"} or not version:
        return write.fields
    resolution = {} if write.style == "merge" else {"on_conflict": write.style}
    return {**write.fields, "base_version": version, **resolution}


def _operation(write: Write, version: int) -> dict[str, Any]:
    """Returns ``write`` as an operation of a batch."""
    names = {"create": "put" if write.style in {"put", "uid"} else "create", "edit": "update"}
    operation = f"{names.get(write.operation, write.operation)}_{write.entity}"
    uid = {"uid": write.uid} if operation.startswith("create_") else {f"{write.entity}_uid": write.uid}
    task = {"task_uid": write.task_uid} if write.entity == "comment" else {}
    fields = _with_base(write, version) if write.operation == "edit" else write.fields
    condition = {"if_match": version} if _if_match(write, version) and write.operation == "edit" else {}
    return {"operation": operation, "arguments": {**task, **uid, **fields}, **condition}
