"""``todo seed``: demo data to look at, to develop with and to measure."""

from typing import Annotated

import typer

from app.commands.common import read_settings, run

DEMO_EMAIL = "demo@example.com"


def seed(
    user: Annotated[str, typer.Option(help="The user id, as tokens name it. Instead of --email.")] = "",
    email: Annotated[str, typer.Option(help="Of an account, made with a password if it is not there.")] = DEMO_EMAIL,
    tasks: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many.")] = 150,
    number: Annotated[int, typer.Option("--seed", help="The same number on the same day makes the same life.")] = 1,
    timezone: Annotated[str, typer.Option(help="Of a new account: an IANA name.")] = "UTC",
    again: Annotated[bool, typer.Option("--again", help="Also for somebody who has tasks: they stay.")] = False,
) -> None:
    """Fill a demo user with projects, tasks done, due, overdue and repeating, subtasks, comments and a trash."""
    from app.commands.seed.demo_user import fill_demo_user

    description_max = read_settings().description_max
    run(
        fill_demo_user(
            user=user, email=email, tasks=tasks, number=number, timezone=timezone, again=again,
            description_max=description_max,
        )
    )  # fmt: skip
