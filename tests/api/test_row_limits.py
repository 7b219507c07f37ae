"""Limits of rows hold for concurrent requests, also for an owner who has never written."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from app import errors
from app.config import Settings
from app.main import create_app
from app.services.calendar_feeds import MAX_FEEDS
from app.services.changes.entities import CHANNEL_ENTITY, PROJECT_ENTITY, TAG_ENTITY, VIEW_ENTITY
from app.services.webhooks.subscriptions import MAX_WEBHOOKS
from tests.support import Person, assert_problem

pytestmark = pytest.mark.slow

BEYOND = 30  # requests over the limit


class Limited(NamedTuple):
    limit: int
    path: str
    body: Callable[[int], dict[str, Any]]
    counted: str


assert PROJECT_ENTITY.limit
assert VIEW_ENTITY.limit
assert CHANNEL_ENTITY.limit
MAX_PROJECTS, MAX_VIEWS = PROJECT_ENTITY.limit.rows, VIEW_ENTITY.limit.rows
PROJECTS = "select count(*) from projects where user_id = $1 and deleted_at is null"
# Every way to create a row of a limited entity, by the code of its refusal.
WAYS = {
    ("too_many_webhooks", "create"): Limited(
        MAX_WEBHOOKS,
        "/webhooks",
        lambda _: {"url": "https://example.com/"},
        "select count(*) from webhooks where user_id = $1",
    ),
    ("too_many_calendars", "create"): Limited(
        MAX_FEEDS,
        "/calendar",
        lambda number: {"name": str(number)},
        "select count(*) from calendar_feeds where user_id = $1",
    ),
    ("too_many_projects", "create"): Limited(MAX_PROJECTS, "/projects", lambda number: {"name": str(number)}, PROJECTS),
    ("too_many_projects", "quick add"): Limited(
        MAX_PROJECTS, "/tasks/quick", lambda number: {"text": f"x #p{number}"}, PROJECTS
    ),
    ("too_many_channels", "create"): Limited(
        CHANNEL_ENTITY.limit.rows,
        "/channels",
        lambda _: {"kind": "ntfy", "topic": "x"},
        "select count(*) from channels where user_id = $1 and deleted_at is null",
    ),
    ("too_many_views", "create"): Limited(
        MAX_VIEWS,
        "/views",
        lambda number: {"name": str(number), "parameters": {}},
        "select count(*) from views where user_id = $1 and deleted_at is null",
    ),
}
IN_ONE_ROW = {"too_many_reminders"}  # a list in the row of the task
BY_DEVICES = {"too_many_passkeys"}  # tests/accounts/test_passkeys.py
BY_COLOR = {"too_many_tag_colors"}  # below


@pytest.fixture(scope="module")
async def crowded(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Starts an application that allows many concurrent transactions."""
    app = create_app(settings.model_copy(update={"pool_size": 20, "rate_limit_per_minute": 0}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", timeout=60) as http,
    ):
        yield http


def test_every_limited_entity_is_listed() -> None:
    codes = {
        error.code for error in vars(errors).values() if isinstance(error, type) and issubclass(error, errors.Conflict)
    }
    assert {code for code in codes if code.startswith("too_many_")} - IN_ONE_ROW - BY_DEVICES - BY_COLOR == {
        code for code, _ in WAYS
    }


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
async def test_concurrent_requests_create_exactly_the_limit_of_rows(
    crowded: httpx.AsyncClient, sql: Any, way: tuple[str, str]
) -> None:
    limited, person = WAYS[way], Person(crowded, f"user-{uuid.uuid4().hex}")
    waiting: Iterator[dict[str, Any]] = iter([limited.body(number) for number in range(limited.limit + BEYOND)])

    async def one_after_another() -> Counter[str]:
        return Counter([_outcome(await person.post(limited.path, body)) for body in waiting])

    outcomes = sum(await asyncio.gather(*(one_after_another() for _ in range(50))), Counter[str]())
    assert outcomes == {"made": limited.limit, way[0]: BEYOND}
    assert await sql.fetchval(limited.counted, person.subject) == limited.limit


def _outcome(answer: httpx.Response) -> str:
    return "made" if answer.status_code == 201 else str(assert_problem(answer, 409)["code"])


@pytest.mark.parametrize(
    ("path", "fields", "limit", "code"),
    [
        ("/projects", {}, MAX_PROJECTS, "too_many_projects"),
        ("/views", {"parameters": {}}, MAX_VIEWS, "too_many_views"),
    ],
)
async def test_undo_restores_no_row_beyond_the_limit(
    alice: Person, sql: Any, path: str, fields: dict[str, Any], limit: int, code: str
) -> None:
    table = path.removeprefix("/")
    first = (await alice.post(path, {"name": "first", **fields})).json()
    assert (await alice.delete(f"{path}/{first['id']}")).status_code == 204
    names = ", ".join(["user_id", "name", "version", *fields])
    values = ", ".join(["$1", "n::text", "1", *("'{}'::jsonb" for _ in fields)])
    fill = f"insert into {table} ({names}) select {values} from generate_series(1, $2::int) n"
    await sql.execute(fill, alice.subject, limit)
    assert_problem(await alice.post("/changes/2/undo"), 409, code)
    last = await sql.fetchval(f"select max(id) from {table} where user_id = $1", alice.subject)
    assert (await alice.delete(f"{path}/{last}")).status_code == 204
    assert (await alice.post("/changes/2/undo")).status_code == 200


async def test_no_more_tags_get_a_colour_than_the_limit(crowded: httpx.AsyncClient, sql: Any) -> None:
    person = Person(crowded, f"user-{uuid.uuid4().hex}")
    assert TAG_ENTITY.limit
    limit = TAG_ENTITY.limit.rows
    await person.add(tags=[f"new {number}" for number in range(20)])
    names = "select $1, n::text, '#000000', 1 from generate_series(1, $2) n"
    fill = f"insert into tags (user_id, name, color, version) {names}"
    await sql.execute(fill, person.subject, limit - 5)
    paint = [person.patch(f"/tags/new%20{number}", {"color": "#112233"}) for number in range(20)]
    outcomes = Counter(answer.status_code for answer in await asyncio.gather(*paint))
    assert outcomes == {200: 5, 409: 15}
    found = await sql.fetchval("select count(*) from tags where user_id = $1 and deleted_at is null", person.subject)
    assert found == limit
