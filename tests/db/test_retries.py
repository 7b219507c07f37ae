"""A transaction that the database gave up for another one is done again, and its effect is there once."""

import asyncio

import asyncpg

from app.db.connection_options import ConnectOptions
from tests.support import Person


async def test_the_victim_of_a_deadlock_is_tried_again(alice: Person, postgres: ConnectOptions) -> None:
    """The service takes the user's row, then the task's; this other program takes them the other way round."""
    task = await alice.add("a")
    other = await asyncpg.connect(**postgres.arguments())
    try:
        async with other.transaction():
            await other.execute("select 1 from tasks where user_id = $1 for update", alice.subject)
            request = asyncio.create_task(alice.patch(f"/tasks/{task['id']}", {"title": "b"}))
            await asyncio.sleep(0.2)  # the service waits for the task now, and will look for a deadlock first
            await other.execute("select 1 from users where id = $1 for update", alice.subject)
        answer = await request
    finally:
        await other.close()
    assert (answer.status_code, answer.json()["title"], answer.json()["version"]) == (200, "b", 2)
    assert (await alice.get("/tasks")).headers["x-revision"] == "2"
