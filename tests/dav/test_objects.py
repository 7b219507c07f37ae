"""Tasks as calendar objects, one by one."""

from tests.dav.apps import CalendarApp, new_uid
from tests.support import Person


async def test_a_to_do_becomes_a_task_and_comes_back(phone: CalendarApp, alice: Person) -> None:
    uid = new_uid()
    path = f"{phone.inbox}{uid}.ics"
    answer = await phone.put(path, "SUMMARY:Prune the roses", "PRIORITY:5", "CATEGORIES:garden,winter", "X-ODD;A=b:c")
    assert answer.status_code == 201, answer.text
    assert "etag" not in answer.headers
    task = (await alice.get(f"/tasks/uid:{uid}")).json()
    assert (task["title"], task["priority"], task["tags"]) == ("Prune the roses", "medium", ["garden", "winter"])
    text = await phone.get(path)
    assert "X-ODD;A=b:c" in text
    assert "SUMMARY:Prune the roses" in text
