"""A 304 is true: whatever a user can change without a revision must change the ETags of all that depends on it."""

from typing import Any

import pytest

from app.main import create_app
from tests.support import Person

SAMPLES: dict[str, Any] = {
    "status": "pending", "search": "near", "priority": "medium", "tag": "t", "project_id": "none", "parent_id": "none",
    "series_id": "none", "project_uid": "x", "parent_uid": "x", "series_uid": "x",
    "due_before": "2090-07-02", "due_after": "2090-07-02", "overdue": "false", "available": "true",
    "deadline_before": "2090-07-02", "deadline_after": "2090-07-02", "favorite": "false", "filter": "due<2090-07-02",
    "sort": "due_date", "order": "asc", "limit": "50", "offset": "0", "count": "true", "kind": "event",
    "archived": "true", "days": "7", "fields": "id,title",
}  # fmt: skip
BEYOND_SAMPLES = {"cursor", "token"}  # made by the service
OTHER_DATES = ("2090-07-01T20:00:00", "2090-07-01T20:00:00Z")
INSTANTS = ("2090-07-01T08:00:00Z", "2090-07-01T16:00:00Z", "2090-07-02T08:00:00Z")
FAR_ZONE = "Pacific/Kiritimati"  # UTC+14


def conditional_reads() -> list[tuple[str, list[str]]]:
    """Returns the paths whose reads may be 304, with the names of their query parameters."""
    document = create_app().openapi()
    return [
        (path, [each["name"] for each in read.get("parameters", []) if each["in"] == "query"])
        for path, operations in document["paths"].items()
        if "304" in (read := operations.get("get", {})).get("responses", {}) and path.startswith("/api/{user_id}/")
    ]


READS = conditional_reads()


def queries(names: list[str]) -> list[str]:
    """Returns one query for each parameter and value, and one without parameters."""
    assert set(names) <= SAMPLES.keys() | BEYOND_SAMPLES, "a new parameter needs a sample"
    found = [""]
    for name in names:
        values = [SAMPLES[name]] if name in SAMPLES else []
        if name.startswith("due_"):
            values += OTHER_DATES
        if name == "filter":
            values += [f"due<{date}" for date in OTHER_DATES]
        found += [f"{name}={value}" for value in values]
    return found


@pytest.mark.parametrize(("path", "names"), READS, ids=[path for path, _ in READS])
async def test_a_304_after_a_change_of_time_zone_stands_for_the_same_body(
    path: str, names: list[str], alice: Person
) -> None:
    project = (await alice.post("/projects", {"name": "near"})).json()["id"]
    tasks = [await alice.add(f"near {n}", due_date=due, tags=["t"]) for n, due in enumerate((*INSTANTS, "2090-07-02"))]
    await alice.post(f"/tasks/{tasks[0]['id']}/comments", {"body": "near"})
    parameters = {"due_before": "2090-07-02"}
    view = (await alice.post("/views", {"name": "near", "parameters": parameters})).json()["id"]
    feed = (await alice.post("/calendar", {"name": "near"})).json()["token"]
    ids = {"user_id": alice.subject, "task_id": tasks[0]["id"], "project_id": project, "view_id": view}
    comments = (await alice.get(f"/tasks/{tasks[0]['id']}/comments")).json()
    ids |= {"comment_id": comments[0]["id"]}
    url = path.format(**ids)
    token = f"&token={feed}" if "token" in names else ""
    before = {}
    for query in queries(names):
        answer = await alice.get(f"{url}?{query}{token}")
        assert answer.status_code == 200, answer.text
        if "etag" in answer.headers:
            repeated = await alice.get(f"{url}?{query}{token}", headers={"If-None-Match": answer.headers["etag"]})
            assert repeated.status_code == 304
            before[query] = answer
    assert before
    assert (await alice.patch("/settings", {"timezone": FAR_ZONE})).status_code == 200
    stale = []
    for query, old in before.items():
        answer = await alice.get(f"{url}?{query}{token}", headers={"If-None-Match": old.headers["etag"]})
        now = await alice.get(f"{url}?{query}{token}")
        if answer.status_code == 304 and now.content != old.content:
            stale.append(query)
    assert not stale
