"""Search over HTTP: which tasks are found, and in which order."""

# ruff: noqa: RUF001

import random
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.support import Person, assert_problem


async def found(person: Person, search: str, **params: Any) -> list[str]:
    answer = await person.get("/tasks", params={"search": search, "order": "asc", **params})
    assert answer.status_code == 200, answer.text
    return [task["title"] for task in answer.json()]


async def comment(person: Person, task: dict[str, Any], body: str) -> str:
    answer = await person.post(f"/tasks/{task['id']}/comments", {"body": body})
    return f"/tasks/{task['id']}/comments/{answer.json()['id']}"


@pytest.mark.parametrize(
    ("text", "search"),
    [
        ("Zürich", "zurich"), ("Zurich", "ZÜRICH"), ("Café", "cafe"), ("crème brûlée", "creme BRULEE"),
        ("Straße", "strasse"), ("STRASSE", "straße"), ("Łódź", "lodz"), ("smørrebrød", "smorrebrod"),
        ("İstanbul", "istanbul"), ("ılık", "ilik"), ("\ufb01nd", "find"), ("\uff46ull", "full"), ("Œuvre", "oeuvre"),
        ("Ελλάδα", "ελλαδα"), ("Οδός", "οδοσ"), ("Ёлка", "елка"), ("МОЛОКО", "молоко"), ("100%", "100%"),
        ("a_b", "a_b"), ("50\uff05", "50%"), ("back\\slash", "\\s"), ("nai\u0308ve", "naive"), ("日本語", "本"),
        ("🏠 home", "🏠"), ("tab\tword", "tab"), ("a\x01b", "b"),
    ],
)  # fmt: skip
async def test_search_ignores_case_and_accents(alice: Person, text: str, search: str) -> None:
    task = await alice.add(text)
    await alice.add("another")
    assert await found(alice, search) == [task["title"]]
    assert await found(alice, search, sort="relevance") == [task["title"]]
    other = await alice.add("described", description=text)
    await comment(alice, await alice.add("commented"), text)
    tagged = await alice.add("tagged", tags=[text])
    assert await found(alice, search) == [task["title"], other["title"], "commented", tagged["title"]]


async def test_each_search_word_may_match_another_field(alice: Person, bob: Person) -> None:
    task = await alice.add("Milk", description="from the shop", tags=["errands"])
    path = await comment(alice, task, "the oat one")
    await comment(alice, await alice.add("Bread"), "with oat")
    await comment(bob, await bob.add("Milk"), "the oat one")
    for search in ("oat milk", "errands shop milk oat", "one", "il oa"):
        assert await found(alice, search) == ["Milk"], search
    for search in ("oat milk bread", "milk%", "_", "soy", "milk errands from the shop oat one soy"):
        assert await found(alice, search) == [], search
    assert await found(alice, "oat") == ["Milk", "Bread"]
    await alice.patch(path, {"body": "the soy one"})
    assert await found(alice, "oat milk") == []
    assert await found(alice, "soy milk") == ["Milk"]
    await alice.delete(path)
    assert await found(alice, "soy") == []
    await alice.patch(f"/tasks/{task['id']}", {"tags": ["Soy"]})
    assert await found(alice, "soy") == ["Milk"]
    await alice.patch("/tags/Soy", {"name": "Oat"})
    assert await found(alice, "oat") == ["Milk", "Bread"]


async def ranked(person: Person) -> list[str]:
    """Creates tasks in the reverse of the order of their relevance."""
    await comment(person, await person.add("commented"), "plan")
    await person.add("in a word of the description", description="unplanned")
    await person.add("in the description", description="The plan")
    await person.add("tagged", tags=["plan"])
    await person.add("An unplanned one")
    await person.add("older: planning")
    await person.add("newer: the plan")
    return [
        "newer: the plan", "older: planning", "An unplanned one", "tagged", "in the description",
        "in a word of the description", "commented",
    ]  # fmt: skip


async def test_relevance_follows_field_and_kind_of_match(alice: Person) -> None:
    wanted = await ranked(alice)
    assert await alice.titles("?search=PLAN&sort=relevance") == wanted
    assert await found(alice, "plan", sort="relevance") == wanted[::-1]
    assert await alice.titles("?search=plan&sort=relevance&status=completed") == []
    assert await alice.titles("?search=plan+the&sort=relevance") == [
        "newer: the plan", "in the description", "in a word of the description",
    ]  # fmt: skip


@pytest.mark.parametrize("start", ["", "&offset=0"])
async def test_pages_by_relevance_cover_the_whole_result(alice: Person, start: str) -> None:
    wanted, seen, url = await ranked(alice), [], f"/tasks?search=plan&sort=relevance&limit=2{start}&count=true"
    while url:
        answer = await alice.get(url)
        assert answer.headers["x-total-count"] == "7"
        seen += [task["title"] for task in answer.json()]
        last, link = answer, re.search(r'<([^>]*)>; rel="next"', answer.headers["link"])
        url = link[1] if link else ""
    assert seen == wanted
    back = re.search(r'<([^>]*)>; rel="prev"', last.headers["link"])
    assert back
    assert [task["title"] for task in (await alice.get(back[1])).json()] == wanted[4:6]


@pytest.mark.parametrize("query", ["sort=relevance", "sort=relevance&search=", "sort=relevance&search=%20"])
async def test_sorting_by_relevance_requires_search_words(alice: Person, query: str) -> None:
    assert_problem(await alice.get(f"/tasks?{query}"), 422, "validation_error")


async def test_the_folded_search_text_is_not_exposed(alice: Person, app: FastAPI) -> None:
    task = await alice.add("Zürich")
    await comment(alice, task, "Zürich")
    assert "search_text" not in (await alice.get("/tasks")).text
    assert "zurich" not in (await alice.get("/changes")).text
    assert "search_text" not in str(app.openapi())


@pytest.mark.parametrize("length", [63, 255])  # characters of the user id: 252 and 1,020 bytes
async def test_the_longest_entry_of_an_index_can_be_stored(client: httpx.AsyncClient, length: int) -> None:
    """Letters of four bytes that fold to one: the text is short enough for the index, and the tags are long."""
    chosen = random.Random(7)

    def letters(count: int) -> str:
        return "".join(chr(chosen.randrange(0x1D400, 0x1D454)) for _ in range(count))

    person = Person(client, letters(length))
    fields: dict[str, Any] = {
        "tags": [letters(50) for _ in range(5)],
        "description": "".join(chosen.choices("abcdefghijkl", k=670)),
    }
    answer = await person.post("/api/me/tasks", {"title": letters(60), **fields})
    assert answer.status_code == 201
    for query in ("search=" + fields["description"][50:70], "tag=" + fields["tags"][3]):
        assert [task["id"] for task in (await person.get(f"/api/me/tasks?{query}")).json()] == [answer.json()["id"]]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("every", [2, 3, 7])
async def test_long_and_short_texts_are_in_one_order(alice: Person, every: int, order: str) -> None:
    """The pages are those of all tasks, wherever the long ones are."""
    for number in range(20):
        text = "word " * (300 if number % every == 0 or number > 16 else 1)
        await alice.add(f"{number:02}", description=text, tags=["t"] if number % 4 else [])
    titles = [f"{number:02}" for number in range(20)]
    if order == "desc":
        titles.reverse()
    for query, wanted in (("search=word", titles), ("tag=t", [title for title in titles if int(title) % 4])):
        for limit in (1, 2, 5, 30):
            for offset in (0, 3, 11):
                found = await alice.titles(f"?{query}&order={order}&limit={limit}&offset={offset}")
                assert found == wanted[offset : offset + limit]
        assert [await alice.titles(f"?{query}&order={order}&count=true")] == [wanted]
        answer = await alice.get(f"/tasks?{query}&limit=1&count=true")
        assert answer.headers["x-total-count"] == str(len(wanted))
