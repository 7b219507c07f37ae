"""``todo epoch``: the numbers after a restore that the service cannot notice."""

import typer

from app.commands.common import read_settings, run

app = typer.Typer(help="Numbers that clients hold: revisions and ids.", no_args_is_help=True)


@app.callback()
def _epoch() -> None:  # with a single command Typer would leave its name out
    pass


@app.command()
def new() -> None:
    """Begin a new epoch, after the disk below the database was put back: every client is told to begin again."""
    from app.db import migrations
    from app.db.connect import database_options, direct_options
    from app.db.epoch import begin_epoch

    settings = read_settings()

    async def work() -> int:
        async with database_options(settings) as options:
            await migrations.require_head(options)
            return await begin_epoch(direct_options(settings, options))

    typer.echo(f"a new epoch has begun: revisions go on from {run(work())}")
