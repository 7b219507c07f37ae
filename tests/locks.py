"""The order in which transactions lock rows, and whether two of them could wait for each other in a cycle.

After lockdep of the Linux kernel: an order seen once in each direction is a deadlock, whether or not it has occurred.
Rows are distinguished by their table only, an owner's row in ``users`` and ``accounts`` by the transaction.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from app.models import METADATA

# Lock modes, weakest first; NEW is a key that was inserted. PostgreSQL manual, 13.3.2.
KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE, NEW = "key share", "share", "no key update", "update", "new"
# wanted -> held by others that it waits for
CONFLICTS = {
    KEY_SHARE: {UPDATE},
    SHARE: {NO_KEY_UPDATE, UPDATE},
    NO_KEY_UPDATE: {SHARE, NO_KEY_UPDATE, UPDATE},
    UPDATE: {KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE},
    NEW: {NO_KEY_UPDATE, UPDATE, NEW},
}
ALONE = {NO_KEY_UPDATE, UPDATE}
STRENGTH = [KEY_SHARE, SHARE, NO_KEY_UPDATE, UPDATE]
ONE_ROW = {"users", "accounts"}  # of each owner
OWNED = {name for name, table in METADATA.tables.items() if name == "users" or "user_id" in table.primary_key.columns}
MANY_ROWS = OWNED - ONE_ROW
# Keys that the service chooses: an insert may collide with another transaction's.
CHOSEN = {
    name
    for name, table in METADATA.tables.items()
    if not any(column.identity for column in table.primary_key.columns)
    or any(index.unique for index in table.indexes)
    or any(type(constraint).__name__ == "UniqueConstraint" for constraint in table.constraints)
}


# Modules whose cycles are harmless.
EXCUSED_MODULES = {
    "services/operations/isolation_check.py",  # rows of an owner that no request can have
    "services/accounts/erasure.py",  # locks all rows of an account, and is retried when it was the victim
}
# What is held, what is wanted, and why no transaction waits for it.
EXCUSED = {
    (
        "sessions",
        "refresh_tokens",
    ): "those that are deleted, with their session or alone, are too old for anybody to use",
    ("login_attempts", "login_attempts"): "rows of one account in the order of their keys, then the address's own row",
}


class Lock(NamedTuple):
    table: str
    mode: str
    waits: bool = True  # False: SKIP LOCKED


class Step(NamedTuple):
    """A lock ``wanted`` by a transaction that has ``held``, and the rows in ``alone``, which no other transaction
    locks."""

    held: Lock
    wanted: Lock
    alone: frozenset[str]


def waits(wanted: Lock, held: Lock) -> bool:
    """Returns whether a transaction that wants the lock may have to wait for one that holds the other."""
    return wanted.table == held.table and held.mode in CONFLICTS[wanted.mode]


class Transaction:
    """The locks of one transaction, statement by statement."""

    def __init__(self) -> None:
        self.held: list[Lock] = []

    def run(self, sql: str) -> Iterator[Step]:
        """Yields the steps of ``sql``."""
        for lock in locks_of(sql):
            if self._covers(lock):
                continue
            if lock.waits:
                alone = {held.table for held in self.held if held.table in ONE_ROW and held.mode in ALONE}
                for held in self.held:
                    owned = {held.table, lock.table} <= OWNED
                    yield Step(held, lock, frozenset(alone if owned else ()))
            held = lock._replace(waits=True)
            if held not in self.held:
                self.held.append(held)

    def _covers(self, lock: Lock) -> bool:
        """Returns whether the transaction has that row already, as strongly."""
        if lock.table not in ONE_ROW or lock in self.held:
            return lock.table in ONE_ROW
        had = [STRENGTH.index(held.mode) for held in self.held if held.table == lock.table and held.mode != NEW]
        return bool(had) and max(had) >= STRENGTH.index(NO_KEY_UPDATE if lock.mode == NEW else lock.mode)


def circles(steps: Iterable[Step]) -> list[list[Step]]:
    """Returns cycles: steps of which each waits for the next one, and the last for the first.

    Two steps that are alone with the same row cannot occur concurrently. The order of rows in one table of an owner is
    not
    known here.
    """
    followed: dict[Step, list[Step]] = {}
    judged = sorted(step for step in steps if step.held.table != step.wanted.table or step.held.table not in MANY_ROWS)
    for step in judged:
        followed[step] = [other for other in judged if waits(step.wanted, other.held)]
    found = {frozenset(path): path for step in judged if (path := _circle(step, followed))}
    return list(found.values())


def _circle(first: Step, followed: dict[Step, list[Step]]) -> list[Step] | None:
    """Returns the shortest cycle that starts with ``first``."""
    paths, seen = [([first], first.alone)], set[tuple[Step, frozenset[str]]]()
    for path, alone in paths:  # grows in the loop
        if waits(path[-1].wanted, first.held) and not (len(path) == 1 and first.alone):
            return path
        for step in followed[path[-1]]:
            if not step.alone & alone and (key := (step, step.alone | alone)) not in seen:
                seen.add(key)
                paths.append(([*path, step], key[1]))
    return None


def faults(steps: dict[Step, str]) -> list[str]:
    """Returns the cycles that no exemption covers, of steps with the module of each."""
    judged = {
        step
        for step, module in steps.items()
        if module not in EXCUSED_MODULES and (step.held.table, step.wanted.table) not in EXCUSED
    }
    return [str([(step, steps[step]) for step in circle]) for circle in circles(judged)]


def idle_excuses(steps: dict[Step, str]) -> set[tuple[str, str]]:
    """Returns the exemptions without which there would be no additional cycle."""
    everything = circles(step for step, module in steps.items() if module not in EXCUSED_MODULES)
    return set(EXCUSED) - {(step.held.table, step.wanted.table) for circle in everything for step in circle}


@cache
def locks_of(sql: str) -> tuple[Lock, ...]:
    """Returns the locks of a statement, in the order in which PostgreSQL takes them.

    A part of WITH runs when its result is read, or else at the end; foreign keys are checked after the statement.
    """
    parts = _parts(sql)
    found: list[Lock] = []
    later: list[Lock] = []
    done: set[str] = set()

    def run(name: str) -> None:
        done.add(name)
        for word in re.findall(r"\w+", parts[name]):
            if word in parts and word not in done:
                run(word)
        now, behind = _locks_of_part(parts[name])
        found.extend(now)
        later.extend(behind)

    for name in ["", *parts]:
        if name not in done:
            run(name)
    return tuple(dict.fromkeys([*found, *later]))


def _parts(sql: str) -> dict[str, str]:
    """Returns the parts of WITH by name, and the statement itself as ''."""
    parts: dict[str, str] = {}
    rest = sql.strip()
    if re.match(r"with\b", rest, re.IGNORECASE):
        while begin := re.match(r"(?:with(?: recursive)?|,)\s+(\w+)[^()]*(?:\([^()]*\)\s*)?as\s*\(", rest, re.I):
            end, depth = begin.end(), 1
            while depth:
                depth += {"(": 1, ")": -1}.get(rest[end], 0)
                end += 1
            parts[begin[1]] = rest[begin.end() : end - 1]
            rest = rest[end:].strip()
    parts[""] = rest
    return parts


_READ = re.compile(
    r"\bfor (update|no key update|share|key share)(?: of \w+)?( skip locked| nowait)?(?=\s*(?:$|\)))", re.IGNORECASE
)
_WRITTEN = re.compile(r"\b(insert into|update|delete from)\s+\"?(\w+)\"?", re.IGNORECASE)


def _locks_of_part(sql: str) -> tuple[list[Lock], list[Lock]]:
    """Returns the locks that a part takes itself, and those that follow after the statement."""
    now: list[Lock] = []
    behind: list[Lock] = []
    for reading in _READ.finditer(sql):
        tables = [
            name for name in re.findall(r"\bfrom\s+\"?(\w+)", sql[: reading.start()], re.I) if name in METADATA.tables
        ]
        now.append(Lock(tables[-1], reading[1].lower(), not reading[2]))
    skipped = {lock.table for lock in now if not lock.waits}
    if (written := _WRITTEN.match(sql.strip())) and written[2] in METADATA.tables:
        kind, table = written[1].lower(), written[2]
        free = table not in skipped
        if kind == "insert into":
            if table in CHOSEN:
                now.append(Lock(table, NEW))
            if re.search(r"\bdo update\b", sql, re.IGNORECASE):
                now.append(Lock(table, NO_KEY_UPDATE))
            behind += _parents(table, sql)
        elif kind == "update":
            now.append(Lock(table, NO_KEY_UPDATE, free))
            behind += _parents(
                table, re.split(r"\bwhere\b", sql.partition("set ")[2] or sql, maxsplit=1, flags=re.I)[0]
            )
        else:
            now.append(Lock(table, UPDATE, free))
            behind += _children(table)
    return now, behind


def _parents(table: str, sql: str) -> Iterator[Lock]:
    for key in METADATA.tables[table].foreign_key_constraints:
        columns = [column.name for column in key.columns if column.name != "user_id"] or ["user_id"]
        if any(re.search(rf"\b{name}\b", sql) for name in columns):
            yield Lock(key.referred_table.name, KEY_SHARE)


def _children(table: str) -> Iterator[Lock]:
    for name, child in METADATA.tables.items():
        for key in child.foreign_key_constraints:
            if key.referred_table.name == table and name != table:
                if (key.ondelete or "").upper() == "CASCADE":
                    yield Lock(name, UPDATE)
                    yield from _children(name)
                else:
                    yield Lock(name, KEY_SHARE)  # to check whether there is one
