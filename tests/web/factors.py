"""Steps that the browser tests of second factors share."""

import asyncio

import asyncpg

from app.db.connection_options import ConnectOptions
from tests.web.window import Window

CODES = "[...document.querySelectorAll('.codes code')].map((one) => one.textContent)"
# Of codes, and of requests under way at a logout: the browser reports them.
REFUSALS = ("status of 401", "status of 403")


def long_after(postgres: ConnectOptions) -> None:
    """Lets so much time pass that no session has proved its factor lately."""

    async def work() -> None:
        connection = await asyncpg.connect(**postgres.arguments())
        await connection.execute("update sessions set second_factor_at = now() - interval '1 hour'")
        await connection.close()

    asyncio.run(work())


def other_complaints(window: Window) -> list[str]:
    """Returns the errors of the page that are no refusals."""
    return [one for one in window.complaints() if not any(refusal in one for refusal in REFUSALS)]
