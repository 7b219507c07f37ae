"""``todo distribute``: users' tables spread over several servers, by Citus."""

from typing import Annotated

import typer

from app.commands.common import read_settings, run


def distribute(
    check: Annotated[
        bool, typer.Option("--check", help="Only print what is missing; exit status 1 if anything.")
    ] = False,
) -> None:
    """Spread users over the servers of a Citus cluster, or do what is missing. The first time, stop the service before.

    To be run again after a migration that adds a table, and after servers were added.
    """
    from app.db import migrations
    from app.db.citus.distribution import distribute_tables, plan_distribution
    from app.db.connect import database_options, direct_options
    from app.services.changes.entities import DISTRIBUTED_TABLES

    settings = read_settings()

    async def work() -> bool:
        async with database_options(settings) as options:
            await migrations.require_head(options)
            direct = direct_options(settings, options)
            steps = await plan_distribution(direct, DISTRIBUTED_TABLES)
            if check:
                for step in steps:
                    typer.echo(f"missing: {step.text}")
            elif steps:
                await distribute_tables(direct, DISTRIBUTED_TABLES, typer.echo)
            return bool(steps)

    missing = run(work())
    if check and missing:
        raise typer.Exit(1)
    typer.echo("done" if missing else "nothing is missing")
