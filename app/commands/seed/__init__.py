"""``todo seed``: demo data, for trying, developing and measuring."""

from typing import Annotated

import typer

from app.commands.common import read_settings, run

DEMO_EMAIL = "demo@example.com"


def seed(
    user: Annotated[str, typer.Option(help="The user id, as in tokens. Instead of --email.")] = "",
    email: Annotated[str, typer.Option(help="E-mail of the account, created with a password if missing.")] = DEMO_EMAIL,
    tasks: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of tasks.")] = 150,
    number: Annotated[int, typer.Option("--seed", help="The same number on the same day makes the same data.")] = 1,
    timezone: Annotated[str, typer.Option(help="Time zone of a new account: an IANA name.")] = "UTC",
    again: Annotated[bool, typer.Option("--again", help="Also for a user who has tasks; these stay.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Also fill a database that no running 'todo serve' uses.")
    ] = False,
) -> None:
    """Create demo data: projects, tasks done, due, overdue and recurring, subtasks, comments and a trash."""
    from app.commands.seed.demo_user import fill_demo_user

    settings = read_settings(check_names=True)
    run(
        fill_demo_user(
            settings, user=user, email=email, tasks=tasks, number=number, timezone=timezone, again=again,
            offline=offline,
        )
    )  # fmt: skip
