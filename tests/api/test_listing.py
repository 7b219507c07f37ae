"""Lists over HTTP: filters, order, pages, conditional requests."""

import re
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise, product

import pytest

from tests.support import Person, assert_problem

NEXT = re.compile(r'<([^>]+)>; rel="next"')
PREV = re.compile(r'<([^>]+)>; rel="prev"')


async def pages(alice: Person, query: str, pattern: re.Pattern[str] = NEXT) -> list[list[str]]:
    """Returns the titles of all pages of a list, at most 50, by following its links."""
    found, url = [], f"/api/{alice.subject}/tasks{query}"
    for _ in range(50):
        answer = await alice.get(url)
        assert answer.status_code == 200, answer.text
        found.append([task["title"] for task in answer.json()])
        link = pattern.search(answer.headers["link"])
        if link is None:
            return found
        url = link[1]
    raise AssertionError("links lead round in a circle")


async def test_newest_first_is_the_default(alice: Person) -> None:
    for title in ("a", "b", "c"):
        await alice.add(title)
    assert await alice.titles() == ["c", "b", "a"]
    assert await alice.titles("?order=asc") == ["a", "b", "c"]


SORTED = {
    "created_at": ["due", "none", "all-day", "done"],
    "updated_at": ["due", "none", "all-day", "done"],
    "due_date": ["all-day", "due", "none", "done"],
    "priority": ["none", "due", "done", "all-day"],
    "title": ["all-day", "done", "due", "none"],
    "completed_at": ["done", "due", "none", "all-day"],
}


@pytest.mark.parametrize("sort", SORTED)
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 4, 10])
async def test_cursor_pages_cover_the_whole_list_in_both_directions(
    alice: Person, sort: str, order: str, limit: int
) -> None:
    await alice.add("due", due_date="2026-12-01T10:00:00Z", priority="low")
    await alice.add("none", priority="none")
    await alice.add("all-day", due_date="2026-12-01", priority="urgent")
    await alice.add("done", completed=True)
    expected = SORTED[sort] if order == "asc" else SORTED[sort][::-1]
    forward = await pages(alice, f"?sort={sort}&order={order}&limit={limit}")
    assert list(chain.from_iterable(forward)) == expected
    assert [len(page) for page in forward[:-1]] == [limit] * (len(forward) - 1)
    url = f"?sort={sort}&order={order}&limit={limit}"
    last = await alice.get(f"/tasks{url}")
    while link := NEXT.search(last.headers["link"]):
        last = await alice.get(link[1])
    back = await pages(alice, f"?{last.url.query.decode()}", PREV)
    assert list(chain.from_iterable(reversed(back))) == expected


async def test_cursor_pages_neither_repeat_nor_skip_tasks_when_tasks_are_added(alice: Person) -> None:
    for number in range(6):
        await alice.add(str(number))
    first = await alice.get("/tasks?limit=3")
    await alice.add("new")
    link = NEXT.search(first.headers["link"])
    assert link is not None
    second = await alice.get(link[1])
    assert [t["title"] for t in first.json() + second.json()] == ["5", "4", "3", "2", "1", "0"]


async def test_offset_pages_link_in_both_directions(alice: Person) -> None:
    for number in range(5):
        await alice.add(str(number))
    assert await pages(alice, "?offset=0&limit=2") == [["4", "3"], ["2", "1"], ["0"]]
    assert await pages(alice, "?skip=3&limit=2") == [["1", "0"]]
    assert await pages(alice, "?page=2&limit=2", PREV) == [["2", "1"], ["4", "3"]]
    assert await alice.titles("?offset=99") == []


async def test_page_links_keep_the_filters(alice: Person) -> None:
    for number in range(3):
        await alice.add(f"x{number}", tags=["a b", "ü"])
    await alice.add("other")
    assert await pages(alice, "?tag=a%20b&tag=%C3%BC&limit=2&search=x") == [["x2", "x1"], ["x0"]]


async def test_the_total_is_counted_only_when_requested(alice: Person) -> None:
    for number in range(3):
        await alice.add(str(number), completed=number == 0)
    assert "x-total-count" not in (await alice.get("/tasks")).headers
    assert (await alice.get("/tasks?count=true&limit=1")).headers["x-total-count"] == "3"
    assert (await alice.get("/tasks?count=true&status=pending")).headers["x-total-count"] == "2"


FILTERS = {
    "?status=all": ["a", "b", "c", "d"],
    "?status=pending": ["a", "b", "d"],
    "?status=completed": ["c"],
    "?status_filter=completed": ["c"],
    "?completed=false": ["a", "b", "d"],
    "?completed=true": ["c"],
    "?priority=high": ["a"],
    "?priority=high&priority=low": ["a", "b"],
    "?tag=home": ["a", "b"],
    "?tag=home&tag=work": ["b"],
    "?tag=HOME": [],
    "?search=MILK": ["a"],
    "?q=milk%20shop": ["a"],
    "?search=100%25": ["d"],
    "?search=%25": ["d"],
    "?search=_": [],
    "?search=%5C": ["d"],
    "?search=work": ["b"],
    "?search=": ["a", "b", "c", "d"],
    "?due_before=2026-06-01": ["a"],
    "?due_after=2026-06-01": ["b", "c"],
    # a day is due at its end, which is after noon
    "?due_before=2026-06-01T12:00:00Z": ["a"],
    "?due_after=2026-06-01T12:00:00Z": ["b", "c"],
    "?due_after=2026-06-01T12:00": ["b", "c"],
    "?due_after=2026-05-31&due_before=2026-06-02": ["c"],
    "?overdue=true": ["a", "b"],
    "?overdue=false": ["c", "d"],
    "?sort=created": ["a", "b", "c", "d"],
    "?sort_by=title&sort_order=asc": ["a", "b", "c", "d"],
}


@pytest.mark.parametrize("query", FILTERS)
async def test_filters_combine(alice: Person, query: str) -> None:
    await alice.add("a", description="Milk from the shop", priority="high", tags=["home"], due_date="2026-05-01")
    await alice.add("b", priority="low", tags=["home", "work"], due_date="2026-06-10T08:00:00Z")
    await alice.add("c", completed=True, due_date="2026-06-01")
    await alice.add("d", description="100% \\ done")
    assert sorted(await alice.titles(query)) == FILTERS[query]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"])
async def test_a_range_of_due_dates_finds_the_same_tasks_in_every_sort_order(alice: Person, zone: str) -> None:
    await alice.patch("/settings", {"timezone": zone})
    for day in range(1, 8):
        await alice.add(f"day {day}", due_date=f"2026-06-0{day}")
        for hour in (0, 9, 13, 23):
            await alice.add(f"day {day}, hour {hour}", due_date=f"2026-06-0{day}T{hour:02}:30:00Z")
    await alice.add("never")
    await alice.add("in years", due_date="2036-01-01")
    moments = ("2026-06-04", "2026-06-04T12:00", "2026-06-04T00:00:00Z", "2026-06-05T23:59:00Z")
    found: dict[str, set[str]] = {}
    for query in [f"{name}={moment}" for name in ("due_after", "due_before") for moment in moments]:
        found[query] = set(await alice.titles(f"?{query}"))
        assert len(found[query]) > 10
        assert set(await alice.titles(f"?{query}&sort=due_date")) == found[query], query
    for after, before in product(moments, moments):
        both = found[f"due_after={after}"] & found[f"due_before={before}"]
        assert set(await alice.titles(f"?due_after={after}&due_before={before}")) == both, (after, before)


async def test_overdue_follows_the_clock(alice: Person) -> None:
    now = datetime.now(UTC)
    await alice.add("past", due_date=(now - timedelta(minutes=1)).isoformat())
    await alice.add("future", due_date=(now + timedelta(minutes=5)).isoformat())
    await alice.add("today", due_date=now.date().isoformat())
    await alice.add("yesterday", due_date=(now.date() - timedelta(days=1)).isoformat())
    await alice.add("done", due_date="2020-01-01", completed=True)
    assert sorted(await alice.titles("?overdue=true")) == ["past", "yesterday"]
    assert await alice.titles("?overdue=true&sort=due_date") == ["yesterday", "past"]
    assert "etag" not in (await alice.get("/tasks?overdue=true")).headers


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0", "?limit=1001", "?limit=-1", "?limit=+1", "?limit=1_0", "?limit=x", "?limit=1&limit=2", "?offset=-1",
        "?offset=9223372036854775808", "?sort=user_id", "?order=up", "?status=done", "?priority=5", "?stauts=pending",
        "?cursor=x", "?cursor=WzFd", "?cursor=", "?page=0", "?page=x", "?q=a&search=b", "?offset=1&cursor=abc",
        "?count=maybe", "?overdue=2", "?due_before=soon", "?tag=", "?completed=", "?search=%00", "?status=a%00",
    ],
)  # fmt: skip
async def test_an_invalid_list_query_is_refused(alice: Person, query: str) -> None:
    body = assert_problem(await alice.get(f"/tasks{query}"), 422)
    assert body["errors"][0]["loc"][0] == "query"


async def test_a_cursor_is_refused_with_another_sort_order(alice: Person) -> None:
    await alice.add("a")
    await alice.add("b")
    link = NEXT.search((await alice.get("/tasks?limit=1")).headers["link"])
    assert link is not None
    cursor = link[1].partition("cursor=")[2]
    assert await alice.titles(f"?limit=1&cursor={cursor}") == ["a"]
    for other in ("sort=title", "order=asc", "sort=due_date&order=desc"):
        assert_problem(await alice.get(f"/tasks?{other}&cursor={cursor}"), 422, "invalid_cursor")


async def test_a_list_returns_304_until_something_is_written(alice: Person, bob: Person) -> None:
    await alice.add("a")
    answer = await alice.get("/tasks?limit=5")
    etag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "private, no-cache"
    again = await alice.get("/tasks?limit=5", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["x-revision"]) == (etag, "1")
    assert (await alice.get("/tasks?limit=6", headers={"If-None-Match": etag})).status_code == 200
    assert (await bob.get("/tasks?limit=5", headers={"If-None-Match": etag})).status_code == 200
    await alice.add("b")
    assert (await alice.get("/tasks?limit=5", headers={"If-None-Match": etag})).status_code == 200


async def test_every_list_has_its_revision_in_a_header(alice: Person) -> None:
    assert (await alice.get("/tasks")).headers["x-revision"] == "0"
    await alice.add("a")
    assert (await alice.get("/tasks?status=completed")).headers["x-revision"] == "1"
    assert (await alice.get("/tasks/trash")).headers["x-revision"] == "1"


async def test_ties_are_broken_by_id(alice: Person) -> None:
    ids = [(await alice.add("same"))["id"] for _ in range(5)]
    answer = await alice.get("/tasks?sort=title&limit=5")
    assert [task["id"] for task in answer.json()] == ids
    assert all(a < b for a, b in pairwise(ids))


async def test_the_trash_is_paged(alice: Person) -> None:
    for number in range(5):
        task = await alice.add(str(number))
        await alice.delete(f"/tasks/{task['id']}")
    found, url = [], "/tasks/trash?limit=2&count=true"
    while url:
        answer = await alice.get(url)
        assert answer.headers["x-total-count"] == "5"
        found.append([task["title"] for task in answer.json()])
        link = NEXT.search(answer.headers["link"])
        url = link[1] if link else ""
    assert found == [["4", "3"], ["2", "1"], ["0"]]


async def test_a_list_with_fields_has_only_those(alice: Person) -> None:
    task = await alice.add("a", tags=["x"])
    await alice.add("b")
    answer = await alice.get("/tasks?fields=title,id,completed,title&limit=1&order=asc&count=true")
    assert answer.json() == [{"title": "a", "id": task["id"], "completed": False}]
    assert answer.headers["x-total-count"] == "2"
    following = NEXT.search(answer.headers["link"])
    assert following is not None
    assert [list(row) for row in (await alice.get(following[1])).json()] == [["title", "id", "completed"]]
    assert answer.headers["etag"] != (await alice.get("/tasks?limit=1&order=asc&count=true")).headers["etag"]
    view = (await alice.post("/views", {"name": "v", "parameters": {"tag": ["x"]}})).json()["id"]
    assert (await alice.get(f"/views/{view}/tasks?fields=uid")).json() == [{"uid": task["uid"]}]
    await alice.delete(f"/tasks/{task['id']}")
    assert [list(row) for row in (await alice.get("/tasks/trash?fields=deleted_at")).json()] == [["deleted_at"]]


@pytest.mark.parametrize("names", ["", "id,", "id, title", "titel", "deleted_at", "user_id\0", "__class__"])
async def test_fields_that_a_list_does_not_have_are_refused(alice: Person, names: str) -> None:
    answer = await alice.get("/tasks", params={"fields": names})
    assert_problem(answer, 422)
    assert answer.json()["errors"][0]["loc"] == ["query", "fields"]
