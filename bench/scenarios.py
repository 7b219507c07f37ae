"""The measured requests, as bytes on the wire. Every contestant gets the same requests in the same order."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jwt

USER_COUNT, TASKS_PER_USER = 200, 500
BENCH_SECRET = "bench-only-secret-0123456789-0123456789-0123456789"
DISTINCT_REQUESTS = 4000  # of a scenario; the load rotates through them
TOKEN_SECONDS = 6 * 3600
LIST_304 = "list 304"
LIST_304_OF = "list 20"  # the list that is asked for again
# Share of each scenario in "mixed", in per cent: what a front-end that keeps a list open was assumed to do.
MIXED_SHARES = {"get one": 70, "list 20": 15, "complete": 10, "create": 5}


class Call(NamedTuple):
    """One request to make and the status it must have."""

    method: str
    path: str
    status: int = 200
    body: bytes = b""


class Wire(NamedTuple):
    """A request as sent, and the status it must have."""

    data: bytes
    status: int


def user_id(number: int) -> str:
    """Returns a user id of 32 characters, like those of Better Auth."""
    return f"bench{number:027d}"


def task_id(user: int, task: int) -> int:
    """Returns the id of a seeded task; ``task`` counts from 0."""
    return user * TASKS_PER_USER + task + 1


def token(number: int) -> str:
    now = int(time.time())
    return jwt.encode({"sub": user_id(number), "iat": now, "exp": now + TOKEN_SECONDS}, BENCH_SECRET, "HS256")


def _tasks(user: int) -> str:
    return f"/api/{user_id(user)}/tasks"


def _get_one(user: int, task: int) -> Call:
    return Call("GET", f"{_tasks(user)}/{task_id(user, task)}")


def _list(limit: int) -> Callable[[int, int], Call]:
    return lambda user, _: Call("GET", f"{_tasks(user)}?limit={limit}")


def _create(user: int, task: int) -> Call:
    body = (
        f'{{"title":"Call the plumber, attempt {task}","description":"The tap in the kitchen drips again.",'
        '"priority":"high","due_date":"2026-12-01","tags":["home","errands"]}'
    )
    return Call("POST", _tasks(user), 201, body.encode())


def _complete(user: int, task: int) -> Call:
    """Returns a toggle of a task, so that every request writes."""
    return Call("PATCH", f"{_tasks(user)}/{task_id(user, task)}/complete")


def _changes(user: int, task: int) -> Call:
    return Call("GET", f"/api/{user_id(user)}/changes?since={TASKS_PER_USER - 20}&limit=20")


SCENARIO_CALLS: Mapping[str, Callable[[int, int], Call]] = {
    "get one": _get_one,
    "list 20": _list(20),
    "list 100": _list(100),
    "create": _create,
    "complete": _complete,
    "changes": _changes,
}
# Of ``python -m bench``: the contestants have no changes.
ALL_SCENARIOS = (*(name for name in SCENARIO_CALLS if name != "changes"), "mixed", LIST_304)


def encode(call: Call, bearer: str, extra: str = "") -> bytes:
    """Encodes ``call`` as HTTP/1.1. ``extra`` are whole header lines."""
    head = f"{call.method} {call.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n{extra}"
    if call.body:
        head += "Content-Type: application/json\r\n"
    if call.body or call.method != "GET":
        head += f"Content-Length: {len(call.body)}\r\n"
    return f"{head}\r\n".encode() + call.body


def requests(scenario: str, etags: Sequence[str] = ()) -> list[Wire]:
    """Returns the requests of a scenario, users in rotation. ``etags`` are those of each user's LIST_304_OF list."""
    tokens = [token(number) for number in range(USER_COUNT)]
    chance = random.Random(7)
    found = []
    for number in range(DISTINCT_REQUESTS):
        user, task = number % USER_COUNT, chance.randrange(TASKS_PER_USER)
        if scenario == LIST_304:
            condition = f"If-None-Match: {etags[user]}\r\n"
            found.append(Wire(encode(SCENARIO_CALLS[LIST_304_OF](user, task), tokens[user], condition), 304))
            continue
        name = (
            chance.choices(list(MIXED_SHARES), weights=list(MIXED_SHARES.values()))[0]
            if scenario == "mixed"
            else scenario
        )
        call = SCENARIO_CALLS[name](user, task)
        found.append(Wire(encode(call, tokens[user]), call.status))
    return found
