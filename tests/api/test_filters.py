"""The filter language over HTTP: what a filter finds, which texts are none, and that it stays with its owner."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from fastapi import FastAPI

from app.domain.filters.fields import FILTER_FIELDS, HAS_CHOICES, IS_CHOICES, STATUS_CHOICES
from app.domain.filters.grammar import (
    FILTER_CONDITIONS_MAX,
    FILTER_DEPTH_MAX,
    FILTER_MAX,
    FILTER_TEXTS_MAX,
    parse_filter,
)
from app.schemas.task_query import TaskQuery
from app.services.tasks.filters import FILTER_CONDITIONS, resolve_filter
from app.services.tasks.queries import query_of_list
from tests.support import Person, assert_problem

ZONE = "America/New_York"
PRIORITIES = ["none", "low", "medium", "high", "urgent"]


async def find(person: Person, text: str, **params: Any) -> list[str]:
    answer = await person.get("/tasks", params={"filter": text, "limit": 500, "order": "asc", **params})
    assert answer.status_code == 200, f"{text}: {answer.text}"
    return [task["title"] for task in answer.json()]


async def refuse(person: Person, text: str) -> dict[str, Any]:
    body = assert_problem(await person.get("/tasks", params={"filter": text}), 422, "validation_error")
    (finding,) = body["errors"]
    assert finding["loc"] == ["query", "filter"]
    return dict(finding)


def test_the_same_condition_is_one() -> None:
    assert parse_filter("has:comments OR has:subtasks OR has:comments") == parse_filter("has:comments OR has:subtasks")
    assert parse_filter("milk AND milk") == parse_filter("milk")


# ---- what is refused

REFUSED: dict[str, tuple[int, str, str]] = {
    "(tag:home": (10, "the end", '")"'),
    "tag:home)": (9, ")", "the end"),
    "()": (2, ")", "a condition"),
    "AND milk": (1, "AND", "a condition"),
    "milk or": (8, "the end", "a condition"),
    "milk AND OR bread": (10, "OR", "a condition"),
    "not": (4, "the end", "a condition"),
    "tag:": (5, "the end", "a value"),
    "due < ": (7, "the end", "a value"),
    ": home": (1, ":", "a condition"),
    'title:"milk': (7, '"', "a quotation mark also after the text"),
    "ä tag:ö colour:red": (9, "colour", "tag"),
    "https://example.com": (1, "https", "text in quotes"),
    "user_id:bob": (1, "user_id", "tag"),
    "deleted_at:any": (1, "deleted_at", "tag"),
    "title<milk": (6, "<", ":"),
    "tag >= home": (5, ">=", ":"),
    "status:soon": (8, "soon", "waiting"),
    "priority > top": (12, "top", "urgent"),
    "due < soon": (7, "soon", "today+7d"),
    "due < none": (7, "none", "today+7d"),
    "due < today+7x": (7, "today+7x", "today+7d"),
    "due:today-3h": (5, "today-3h", "today+7d"),
    "due:2026-02-30": (5, "2026-02-30", "today+7d"),
    "due:1066-10-14": (5, "1066-10-14", "today+7d"),
    "overdue:maybe": (9, "maybe", "true"),
    "has:money": (5, "money", "comments"),
    "is:tired": (4, "tired", "open"),
    'title:" "': (7, '" "', "text"),
    "project:99999999999999999999": (9, "99999999999999999999", "a name in quotes"),
    "tag:x AND\n\n status:y": (20, "y", "waiting"),
}


@pytest.mark.parametrize("text", REFUSED)
async def test_an_error_has_its_position_and_what_was_expected(alice: Person, text: str) -> None:
    column, found, expected = REFUSED[text]
    finding = await refuse(alice, text)
    assert (finding["type"], finding["column"], finding["found"]) == ("filter_syntax", column, found)
    assert expected in finding["expected"]
    assert finding["msg"].startswith(f"Column {column}: found ")


async def test_a_filter_has_limits(alice: Person) -> None:
    await alice.add("milk")
    many, deep = FILTER_CONDITIONS_MAX, FILTER_DEPTH_MAX
    accepted = {
        " OR ".join(["tag:x"] * (many - 1) + ["milk"]),
        "(" * deep + "milk" + ")" * deep,
        "not " * deep + "milk",
        " ".join(["milk", *(f"NOT milk{n}" for n in range(1, FILTER_TEXTS_MAX))]),
        "milk".ljust(FILTER_MAX),
    }
    for text in accepted:
        assert await find(alice, text) == ["milk"], text
    refused = {
        " OR ".join(["tag:x"] * (many + 1)): "at most 40 conditions",
        " ".join(["tag:x"] * (many + 1)): "at most 40 conditions",
        "(" * (deep + 1) + "milk" + ")" * (deep + 1): "at most 10 parentheses",
        "!" * 500 + "milk": "at most 10 parentheses",
        "not (" * 6 + "milk" + ")" * 6: "at most 10 parentheses",
        " ".join(f"milk{n}" for n in range(FILTER_TEXTS_MAX + 1)): "at most 5 conditions on text",
    }
    for text, why in refused.items():
        finding = await refuse(alice, text)
        assert (finding["type"], why in finding["msg"]) == ("filter_too_large", True), text
    too_long = await refuse(alice, "milk " * 200 + "x")
    assert too_long["type"] == "string_too_long"
    assert (await refuse(alice, "tag:a\0b"))["type"] == "nul_character"


async def test_an_empty_filter_is_none(alice: Person) -> None:
    await alice.add("milk")
    assert await find(alice, "") == await find(alice, " \n ") == ["milk"]


def test_each_field_has_a_condition() -> None:
    assert FILTER_FIELDS.keys() - {"is"} == FILTER_CONDITIONS.keys()  # that makes conditions of other fields


# ---- where filters are taken


async def test_lists_counts_views_and_bulk_writes_take_a_filter(alice: Person) -> None:
    for title, tag in (("a", "home"), ("b", "work"), ("c", "home")):
        await alice.add(title, tags=[tag])
    text = "tag:home OR title:nothing"
    answer = await alice.get("/tasks", params={"filter": text, "count": "true", "limit": 1})
    assert answer.headers["x-total-count"] == "2"
    assert [task["title"] for task in (await alice.get(answer.links["next"]["url"])).json()] == ["a"]
    unchanged = await alice.get("/tasks", params={"filter": text}, headers={})
    again = await alice.get("/tasks", params={"filter": text}, headers={"If-None-Match": unchanged.headers["etag"]})
    assert again.status_code == 304
    view = (await alice.post("/views", {"name": "v", "parameters": {"filter": text, "sort": "title"}})).json()
    assert view["parameters"] == {"filter": text, "sort": "title"}
    assert [task["title"] for task in (await alice.get(f"/views/{view['id']}/tasks")).json()] == ["a", "c"]
    done = await alice.post("/tasks/bulk", {"filter": {"filter": text, "status": "pending"}, "action": "delete"})
    assert [item["status"] for item in done.json()["results"]] == ["deleted", "deleted"]
    assert await find(alice, text) == []
    back = await alice.post("/tasks/bulk", {"filter": {"filter": "title:a"}, "action": "restore"})
    assert [item["status"] for item in back.json()["results"]] == ["restored"]
    assert await find(alice, text) == ["a"]


async def test_views_and_bulk_writes_refuse_a_wrong_filter(alice: Person) -> None:
    await alice.add("a")
    wrong = {"filter": "tag:"}
    made = await alice.post("/views", {"name": "v", "parameters": wrong})
    bulk = await alice.post("/tasks/bulk", {"filter": wrong, "action": "delete"})
    for answer, loc in ((made, ["body", "parameters", "filter"]), (bulk, ["body", "filter", "filter"])):
        (finding,) = assert_problem(answer, 422, "validation_error")["errors"]
        assert (finding["loc"], finding["column"], finding["type"]) == (loc, 5, "filter_syntax")
    assert await alice.titles() == ["a"]


@pytest.mark.parametrize("text", ["due:today", "due < now", "overdue", "NOT (tag:x OR created > today-1d)"])
async def test_a_filter_by_the_clock_has_no_etag(alice: Person, text: str) -> None:
    assert "etag" not in (await alice.get("/tasks", params={"filter": text})).headers


async def test_the_time_zone_decides_what_a_day_is(alice: Person) -> None:
    await alice.add("late", due_date="2031-06-01T02:00:00Z")
    params = {"filter": "due:2031-06-01"}
    first = await alice.get("/tasks", params=params)
    assert [task["title"] for task in first.json()] == ["late"]
    await alice.patch("/settings", {"timezone": ZONE})
    then = await alice.get("/tasks", params=params, headers={"If-None-Match": first.headers["etag"]})
    assert (then.status_code, then.json()) == (200, [])
    assert await find(alice, "due:2031-05-31") == ["late"]


# ---- random filters, compared with Python

Task = dict[str, Any]
Finds = Callable[[Task], bool]


class Written(NamedTuple):
    """A filter, and whether it finds a task."""

    text: str
    finds: Finds


class World(NamedTuple):
    """The tasks of one user as the API returns them, with what filters also look at."""

    tasks: list[Task]
    projects: dict[int, str]
    comments: dict[int, str]
    now: datetime


NASTY = ["') OR true --", "' OR 1=1", "%", "_", "\\", "x') or user_id like '%", "$1", ":owner"]
WORDS = ["milk", "Bread", "oat", "shop", "the", *NASTY]
TAGS = ["home", "work", "two words", *NASTY[:2]]


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def day_of(moment: str | datetime) -> date:
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return instant.astimezone(ZoneInfo(ZONE)).date()


def compare(operator: str, one: Any, other: Any) -> bool:
    answers: dict[str, bool] = {
        ":": one == other, "!=": one != other, "<": one < other, "<=": one <= other, ">": one > other,
        ">=": one >= other,
    }  # fmt: skip
    return answers[operator]


def is_open(task: Task) -> bool:
    return task["status"] not in ("completed", "cancelled")


class Writer:
    """Writes random filters about a world."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.leaves = [
            self.tag, self.words, self.title, self.project, self.parent, self.status, self.priority, self.due,
            self.moment, self.flag, self.has, self.presence, self.estimate, self.deadline,
        ]  # fmt: skip

    def case(self, word: str) -> str:
        return self.chance.choice([str.upper, str.lower, str.title])(word)

    def leaf(self) -> Written:
        return self.chance.choice(self.leaves)()

    def tree(self, depth: int) -> Written:
        kind = self.chance.choice(["leaf", "and", "or", "not"]) if depth else "leaf"
        if kind == "leaf":
            return self.leaf()
        if kind == "not":
            part = self.tree(depth - 1)
            return Written(f"{self.case('not')} ({part.text})", lambda task: not part.finds(task))
        parts = [self.tree(depth - 1) for _ in range(self.chance.randint(2, 3))]
        joins = [" ", f" {self.case('and')} ", " && "] if kind == "and" else [f" {self.case('or')} ", " || "]
        text = self.chance.choice(joins).join(f"({part.text})" for part in parts)
        test = all if kind == "and" else any
        return Written(text, lambda task: test(part.finds(task) for part in parts))

    def either(self, name: str, value: str, finds: Finds) -> Written:
        operator = self.chance.choice([":", "=", " != "])
        text = f"{self.case(name)}{operator}{value}"
        return Written(text, (lambda task: not finds(task)) if "!" in operator else finds)

    def tag(self) -> Written:
        tag = self.chance.choice(TAGS)
        return self.either("tag", quote(tag), lambda task: tag in task["tags"])

    def words(self) -> Written:
        word = self.chance.choice(WORDS).lower()

        def finds(task: Task) -> bool:
            texts = [task["title"], *task["tags"], task["description"] or "", self.world.comments.get(task["id"], "")]
            return any(word in text.lower() for text in texts)

        return self.either("text", quote(word), finds) if self.chance.random() < 0.5 else Written(quote(word), finds)

    def title(self) -> Written:
        word = self.chance.choice(WORDS).lower()
        return self.either("title", quote(word), lambda task: word in task["title"].lower())

    def project(self) -> Written:
        row_id, name = self.chance.choice([*self.world.projects.items(), (2**40, "No such")])
        value = self.chance.choice([str(row_id), quote(name), quote(name.upper())])
        return self.either("project", value, lambda task: task["project_id"] == row_id)

    def parent(self) -> Written:
        task = self.chance.choice(self.world.tasks)
        if self.chance.random() < 0.5:
            return self.either("parent", str(task["id"]), lambda each: each["parent_id"] == task["id"])
        named = {each["id"] for each in self.world.tasks if each["title"].lower() == task["title"].lower()}
        return self.either("parent", quote(task["title"]), lambda each: each["parent_id"] in named)

    def status(self) -> Written:
        status = self.chance.choice([*STATUS_CHOICES])
        plain = {"open": "pending", "done": "completed"}.get(status, status)
        return self.either(
            "status", self.case(status), lambda task: is_open(task) if plain == "pending" else task["status"] == plain
        )

    def priority(self) -> Written:
        operator, place = self.chance.choice([":", "!=", "<", "<=", ">", ">="]), self.chance.randrange(5)
        return Written(
            f"priority {operator} {PRIORITIES[place]}",
            lambda task: compare(operator, PRIORITIES.index(task["priority"]), place),
        )

    def due(self) -> Written:
        operator, days = self.chance.choice([":", "!=", "<", "<=", ">", ">="]), self.chance.randint(-4, 4)
        day = day_of(self.world.now) + timedelta(days=days)
        value = self.chance.choice([day.isoformat(), f"today{days:+}d", f"yesterday {days + 1:+} days"])

        def finds(task: Task) -> bool:
            due = task["due_date"]
            if due is None:
                return operator == "!="
            return compare(operator, date.fromisoformat(due) if len(due) == 10 else day_of(due), day)

        return Written(f"due {operator} {value}", finds)

    def moment(self) -> Written:
        """Compares an instant: a task that is due on a day is due at its end."""
        operator, hours = self.chance.choice(["<", "<=", ">", ">="]), self.chance.randint(-90, 90)
        instant = (self.world.now + timedelta(hours=hours)).replace(second=0, microsecond=0)
        fields = {"due": "due_date", "start": "start_date", "created": "created_at", "updated": "updated_at"}
        name = self.chance.choice([*fields, "completed_at"])

        def finds(task: Task) -> bool:
            value = task[fields.get(name, name)]
            if value is None:
                return False
            if len(value) == 10:
                end = datetime.combine(date.fromisoformat(value), time.max, ZoneInfo(ZONE))
                return compare(operator, end, instant)
            return compare(operator, datetime.fromisoformat(value), instant)

        return Written(f"{name} {operator} {instant.isoformat()[:16]}Z", finds)

    def flag(self) -> Written:
        def overdue(task: Task) -> bool:
            due, deadline = task["due_date"], task["deadline"]
            if not is_open(task):
                return False
            if deadline and date.fromisoformat(deadline) < day_of(self.world.now):
                return True
            if due is None:
                return False
            if len(due) == 10:
                return date.fromisoformat(due) < day_of(self.world.now)
            return datetime.fromisoformat(due) < self.world.now

        def starts_later(task: Task) -> bool:
            start = task["start_date"]
            if start is None:
                return False
            if len(start) == 10:
                return date.fromisoformat(start) > day_of(self.world.now)
            return datetime.fromisoformat(start) > self.world.now

        flags: dict[str, Finds] = {
            "completed": lambda task: task["completed"],
            "overdue": overdue,
            "recurring": lambda task: task["recurrence"] is not None,
            "favorite": lambda task: task["favorite"],
            "available": lambda task: not (is_open(task) and starts_later(task)),
            "is:open": is_open,
            "is:subtask": lambda task: task["parent_id"] is not None,
        }
        name = self.chance.choice([*flags])
        if ":" not in name and self.chance.random() < 0.3:
            return Written(f"{name}:false", lambda task: not flags[name](task))
        return Written(self.case(name), flags[name])

    def has(self) -> Written:
        finds: dict[str, Finds] = {
            "description": lambda task: bool(task["description"]),
            "reminders": lambda task: bool(task["reminders"]),
            "comments": lambda task: task["id"] in self.world.comments,
            "subtasks": lambda task: any(each["parent_id"] == task["id"] for each in self.world.tasks),
            "due": lambda task: task["due_date"] is not None,
            "start": lambda task: task["start_date"] is not None,
            "deadline": lambda task: task["deadline"] is not None,
            "estimate": lambda task: task["estimate_minutes"] is not None,
            "project": lambda task: task["project_id"] is not None,
            "parent": lambda task: task["parent_id"] is not None,
            "tags": lambda task: bool(task["tags"]),
        }
        assert finds.keys() == HAS_CHOICES.keys()
        name = self.chance.choice([*finds])
        return self.either("has", name, finds[name])

    def estimate(self) -> Written:
        operator, minutes = self.chance.choice([":", "!=", "<", "<=", ">", ">="]), self.chance.choice([15, 60, 120])
        value = {15: "15", 60: "60min", 120: "2h"}[minutes]

        def finds(task: Task) -> bool:
            estimate = task["estimate_minutes"]
            return operator == "!=" if estimate is None else compare(operator, estimate, minutes)

        return Written(f"estimate {operator} {value}", finds)

    def deadline(self) -> Written:
        operator, days = self.chance.choice([":", "!=", "<", "<=", ">", ">="]), self.chance.randint(-4, 4)
        day = day_of(self.world.now) + timedelta(days=days)

        def finds(task: Task) -> bool:
            deadline = task["deadline"]
            return operator == "!=" if deadline is None else compare(operator, date.fromisoformat(deadline), day)

        return Written(f"deadline {operator} {day}", finds)

    def presence(self) -> Written:
        fields = {"due": "due_date", "start": "start_date", "deadline": "deadline", "estimate": "estimate_minutes"}
        fields |= {"project": "project_id", "parent": "parent_id", "completed_at": "completed_at"}
        name, any_ = self.chance.choice([*fields]), self.chance.random() < 0.5
        return Written(f"{name}:{'any' if any_ else 'none'}", lambda task: (task[fields[name]] is not None) is any_)


async def make_world(person: Person, chance: random.Random, count: int) -> World:
    """Creates tasks with every combination that filters tell apart, as far as chance gives them."""
    await person.patch("/settings", {"timezone": ZONE})
    now = datetime.now(UTC)
    projects = {}
    for name in ("Garden", "Work", "O'Brien') --"):
        projects[(await person.post("/projects", {"name": name})).json()["id"]] = name
    commented = {}
    made: list[Task] = []
    for number in range(count):
        day = (day_of(now) + timedelta(days=chance.randint(-4, 4))).isoformat()
        instant = (now + timedelta(hours=chance.randint(-90, 90), minutes=7)).isoformat()
        fields: dict[str, Any] = {
            "tags": chance.sample(TAGS, chance.randint(0, 2)),
            "priority": chance.choice(PRIORITIES),
            "status": chance.choice(["pending", "pending", "in_progress", "waiting", "cancelled", "completed"]),
            "description": chance.choice([None, "", chance.choice(WORDS)]),
            "due_date": chance.choice([None, day, instant]),
            "start_date": chance.choice([None, None, day, instant]),
            "deadline": chance.choice([None, None, day]),
            "estimate_minutes": chance.choice([None, 15, 60, 120]),
            "favorite": chance.random() < 0.3,
        }
        if chance.random() < 0.3 and made:
            fields["parent_id"] = chance.choice(made[:4])["id"]
        else:
            fields["project_id"] = chance.choice([None, *projects])
        if chance.random() < 0.2 and fields["due_date"] and fields["status"] == "pending":
            fields |= {"recurrence": "FREQ=DAILY"}
        if chance.random() < 0.2:
            fields |= {"reminders": ["-P1D"]}
        task = await person.add(f"{chance.choice(WORDS)} {number}", **fields)
        made.append(task)
        if chance.random() < 0.2:
            commented[task["id"]] = chance.choice(WORDS)
            await person.post(f"/tasks/{task['id']}/comments", {"body": commented[task["id"]]})
    tasks = (await person.get("/tasks?limit=500")).json()
    return World(tasks, projects, commented, datetime.now(UTC))


@pytest.mark.parametrize("seed", range(3))
async def test_random_filters_find_what_python_finds(
    alice: Person, bob: Person, app: FastAPI, sql: Any, seed: int
) -> None:
    """Of her tasks and no other user's: also when the database does not help, for a superuser."""
    chance = random.Random(seed)
    world = await make_world(alice, chance, 40)
    await make_world(bob, chance, 15)
    writer = Writer(world, chance)
    sizes = set()
    for number in range(120):
        written = writer.tree(0 if number < 40 else chance.randint(1, 3))
        if written.text.count('"') > 2 * FILTER_TEXTS_MAX or len(written.text) > FILTER_MAX:
            continue
        expected = {task["id"] for task in world.tasks if written.finds(task)}
        answer = await alice.get("/tasks", params={"filter": written.text, "limit": 500})
        assert answer.status_code == 200, f"{written.text}: {answer.text}"
        assert {task["id"] for task in answer.json()} == expected, written.text
        sizes.add(len(expected))
        async with app.state.database.transaction(alice.subject, read_only=True) as session:
            query = TaskQuery(filter=written.text, limit=500)
            listed = query_of_list(query, await resolve_filter(session, alice.subject, query.filter_tree))
        values = {**listed.values, "owner": alice.subject, "limit": 1000, "offset": 0}
        rows = await sql.fetch(listed.page.sql, *listed.page.arguments(values))
        assert {row["id"] for row in rows} == expected, written.text
    assert len(sizes) > 10


BREAKOUTS = [
    "tag:x) OR (tag:any",
    'tag:"x\') OR true --"',
    "title:x OR NOT title:x",
    "NOT (NOT (text:any OR tag:none))",
    "project:\"x' OR user_id <> '\"",
    "created > 1900-01-01 OR created:none",
    "parent:{theirs} OR project:{project} OR text:secret OR title:secret OR parent:secret",
]


@pytest.mark.parametrize("text", BREAKOUTS)
async def test_no_filter_finds_tasks_of_another_user(alice: Person, bob: Person, text: str) -> None:
    project = (await bob.post("/projects", {"name": "secret"})).json()
    theirs = await bob.add("secret", tags=["x"], project_id=project["id"])
    await bob.add("secret below", parent_id=theirs["id"])
    mine = await alice.add("mine", tags=["x"])
    answer = await alice.get(
        "/tasks", params={"filter": text.format(theirs=theirs["id"], project=project["id"]), "count": "true"}
    )
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["type"] == "filter_syntax"
        return
    assert {task["id"] for task in answer.json()} <= {mine["id"]}
    assert int(answer.headers["x-total-count"]) <= 1


# ---- cost


async def test_filters_leave_nothing_prepared(alice: Person, app: FastAPI) -> None:
    """A connection keeps the statements of the service, and none of those that users write."""
    counts = []
    for texts in (["tag:x"], [" OR ".join(["tag:x"] * n) for n in range(2, 30)]):
        for text in texts:
            async with app.state.database.transaction(alice.subject, read_only=True) as session:
                query = TaskQuery(filter=text)
                listed = query_of_list(query, query.filter_tree)
                values = {**listed.values, "owner": alice.subject, "limit": 1, "offset": 0}
                assert (await session.exec(listed.page, values)).all() == []
                rows = await session._connection.fetch("select count(*) from pg_prepared_statements")
                counts.append(rows[0][0])
    assert max(counts) - counts[0] <= 1  # the one that counts


WORST = {
    "words": " OR ".join(f"nothing{n}" for n in range(FILTER_TEXTS_MAX)),
    "negated words": " ".join(f"NOT text:no{n}" for n in range(FILTER_TEXTS_MAX)),
    "titles": " OR ".join(f'title:"no {n}"' for n in range(FILTER_TEXTS_MAX)),
    "subtasks and comments": " ".join(["NOT has:subtasks", "NOT has:comments"] * (FILTER_CONDITIONS_MAX // 2)),
    "parents": " OR ".join(f"parent:nothing{n}" for n in range(FILTER_CONDITIONS_MAX)),
    "projects": " OR ".join(f"project:nothing{n}" for n in range(FILTER_CONDITIONS_MAX)),
    "overdue": " ".join(["NOT overdue"] * (FILTER_CONDITIONS_MAX - 1)) + " tag:nothing",
    "days": " OR ".join(f"due:today+{n + 4000}d" for n in range(FILTER_CONDITIONS_MAX)),
    "mixed": " ".join(f"nothing{n} OR" for n in range(FILTER_TEXTS_MAX)) + " has:subtasks completed" * 15,
}


@pytest.fixture(scope="module")
async def busy(client: Any, app: FastAPI, postgres: Any) -> Person:
    """Returns a user with 10,000 tasks that have long descriptions, and as many comments."""
    person = Person(client, f"user-{random.getrandbits(64):x}")
    await person.add("first")
    connection = await asyncpg.connect(**{**postgres.arguments(), "command_timeout": 300})
    try:
        await connection.execute("set statement_timeout = 0")
        await connection.execute(
            "insert into tasks (user_id, title, description, priority, tags, due_on, version) "
            "select $1, 'Task ' || n, repeat('words of task ' || n || ' ', 100), 'medium', array['home'], "
            "date '2026-01-01' + n % 500, 1 from generate_series(2, 10000) n", person.subject,
        )  # fmt: skip
        await connection.execute(
            "insert into comments (user_id, task_id, body, version) "
            "select user_id, id, 'a comment on ' || title, 1 from tasks where user_id = $1",
            person.subject,
        )  # fmt: skip
        await connection.execute("analyze tasks; analyze comments")
    finally:
        await connection.close()
    return person


@pytest.mark.parametrize("sort", ["created_at", "due_date"])
@pytest.mark.parametrize("kind", WORST)
async def test_the_worst_filter_stays_below_the_statement_timeout(busy: Person, kind: str, sort: str) -> None:
    answer = await busy.get("/tasks", params={"filter": WORST[kind], "count": "true", "sort": sort})
    assert answer.status_code == 200, answer.text


def test_the_words_of_the_language_are_in_lower_case() -> None:
    assert all(name == name.lower() for name in (*IS_CHOICES, *HAS_CHOICES, *FILTER_FIELDS))
