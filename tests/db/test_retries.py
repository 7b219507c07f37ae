"""A transaction that the database aborted in favour of another is retried, and has its effect once."""

import asyncio

import asyncpg

from app.db.connection_options import ConnectOptions
from tests.databases import counting_waits
from tests.support import Person


async def test_the_victim_of_a_deadlock_is_retried(alice: Person, postgres: ConnectOptions) -> None:
    """The service locks the user's row, then the task's; another program locks them in the reverse order."""
    task = await alice.add("a")
    other = await asyncpg.connect(**postgres.arguments())
    try:
        async with counting_waits(postgres) as count, other.transaction():
            await other.execute("select 1 from tasks where user_id = $1 for update", alice.subject)
            request = asyncio.create_task(alice.patch(f"/tasks/{task['id']}", {"title": "b"}))
            while not await count():  # noqa: ASYNC110 - of the database; it checks for a deadlock first
                await asyncio.sleep(0.02)
            await other.execute("select 1 from users where id = $1 for update", alice.subject)
        answer = await request
    finally:
        await other.close()
    assert (answer.status_code, answer.json()["title"], answer.json()["version"]) == (200, "b", 2)
    assert (await alice.get("/tasks")).headers["x-revision"] == "2"
