"""Compares the responses of all contestants before the measurement."""

from collections.abc import Sequence
from typing import Any

from bench.client import Answer, fetch
from bench.contestants import Server
from bench.scenarios import SCENARIO_CALLS, token

CHECKED_USER, CHECKED_TASK = 7, 123
# Fields that may differ between two runs of the same write; whether they are null may not.
VOLATILE_FIELDS = {"id", "uid", "position", "version", "created_at", "updated_at", "completed_at"}
UNCOMPARED_HEADERS = {"date", "x-request-id", "etag", "location", "x-revision"}  # only their presence is compared
CHECKED_READS, CHECKED_WRITES = ("get one", "list 20", "list 100"), ("create", "complete", "complete")


def check_equal(servers: Sequence[Server]) -> list[str]:
    """Compares responses. Raises RuntimeError if two bodies differ.

    Returns notes on headers of the service that the limit lacks.
    """
    notes = []
    for scenario in CHECKED_READS:
        answers = {server.name: _call(server, scenario) for server in servers}
        _same_bodies(scenario, answers, keep_volatile=True)
        notes += _header_notes(scenario, answers)
    # Last, and "complete" twice: so every contestant finds the rows as the one before it did.
    return notes + _check_writes(servers)


def _check_writes(servers: Sequence[Server]) -> list[str]:
    found = [{server.name: Answer({}, None) for server in servers} for _ in CHECKED_WRITES]
    for server in servers:
        for number, scenario in enumerate(CHECKED_WRITES):
            found[number][server.name] = _call(server, scenario)
    notes = []
    for scenario, answers in zip(CHECKED_WRITES, found, strict=True):
        _same_bodies(scenario, answers, keep_volatile=False)
        notes += _header_notes(scenario, answers)
    return list(dict.fromkeys(notes))


def _call(server: Server, scenario: str) -> Answer:
    (answer,) = fetch(server.port, [(SCENARIO_CALLS[scenario](CHECKED_USER, CHECKED_TASK), token(CHECKED_USER))])
    return answer


def _same_bodies(scenario: str, answers: dict[str, Answer], *, keep_volatile: bool) -> None:
    bodies = {name: answer.json if keep_volatile else _stable(answer.json) for name, answer in answers.items()}
    first, *others = bodies
    for other in others:
        if bodies[first] != bodies[other]:
            raise RuntimeError(
                f"{scenario}: {first} and {other} differ:\n{_short(bodies[first])}\n{_short(bodies[other])}"
            )


def _short(body: Any) -> str:
    return str(body)[:1500]


def _stable(task: dict[str, Any]) -> dict[str, Any]:
    return {name: value is None if name in VOLATILE_FIELDS else value for name, value in task.items()}


def _header_notes(scenario: str, answers: dict[str, Answer]) -> list[str]:
    if not {"service", "limit"} <= answers.keys():
        return []
    service, limit = answers["service"].headers, answers["limit"].headers
    differing = sorted(
        name
        for name in service.keys() | limit.keys()
        if (name in service) != (name in limit) or (name not in UNCOMPARED_HEADERS and service[name] != limit[name])
    )
    return [f"{scenario}: service and limit differ in the headers {', '.join(differing)}"] if differing else []
