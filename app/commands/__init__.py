"""The ``todo`` command. Modules are imported when a command runs: ``todo --help`` loads no part of the service."""

from typing import Annotated

import typer

from app.commands import data, distribute, epoch, users
from app.commands.common import errors_in_one_line, fail, read_settings, run
from app.commands.seed import seed
from app.version import VERSION

app = typer.Typer(
    help="A self-hostable task backend.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
app.add_typer(users.app, name="user")
app.add_typer(epoch.app, name="epoch")
for function in (data.dump, data.restore, data.prune, distribute.distribute, seed):
    app.command()(function)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"todo {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


SETTINGS_HELP = (
    "Settings are variables of the environment or lines NAME=value of ./.env, for example DATABASE_URL, DATA_DIR, "
    "JWT_SECRET, PUBLIC_URL, CORS_ORIGINS, FORWARDED_ALLOW_IPS, SMTP_URL, LLM_MODEL, WEB_CONCURRENCY, WORKER. "
    ".env.example and docs/settings.md have all of them, and 'todo doctor' checks them."
)


@app.command(epilog=SETTINGS_HELP)
def serve(
    host: Annotated[str | None, typer.Option(help="IP address to listen on, instead of HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on, instead of PORT; 0: any free one.")
    ] = None,
) -> None:
    """Start the service; without DATABASE_URL, with an embedded PostgreSQL."""
    from app.commands.serve import run_server
    from app.config import override_settings
    from app.db.embedded import root_warning

    chosen = {"host": host, "port": port}
    override_settings(**{name: value for name, value in chosen.items() if value is not None})
    settings = read_settings(check_names=True)
    if settings.embedded and (warning := root_warning()):
        typer.echo(f"note: {warning}", err=True)
    with errors_in_one_line():
        status = run_server(settings, typer.echo)
    raise typer.Exit(status)


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="The user id in /api/<user_id>/tasks.", show_default=False)] = "",
    email: Annotated[str, typer.Option(help="Instead of SUBJECT: e-mail of an account, for its user id.")] = "",
    ttl: Annotated[int | None, typer.Option(min=1, help="Lifetime in seconds; default TOKEN_TTL.")] = None,
) -> None:
    """Print a token for SUBJECT, signed with the shared secret."""
    from app.auth.signing_keys import load_secret
    from app.auth.token_verifier import TokenVerifier

    settings = read_settings()
    if bool(subject) == bool(email):
        raise typer.BadParameter("give either SUBJECT, a user id, or --email")
    if email:
        from app.commands.users import find_user_id

        subject = run(find_user_id(email))
    try:
        signed = TokenVerifier(settings, load_secret(settings)).sign(subject, ttl=ttl or settings.token_ttl)
    except (OSError, ValueError) as error:
        raise fail(error) from None
    typer.echo(signed)


@app.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    from app.db import migrations
    from app.db.connect import database_options, direct_options
    from app.db.epoch import ensure_epoch

    settings = read_settings()

    async def work() -> None:
        async with database_options(settings) as options:
            await migrations.upgrade(direct_options(settings, options))
            await ensure_epoch(direct_options(settings, options))

    run(work())
    typer.echo(f"schema is at {migrations.head_revision()}")


@app.command()
def worker() -> None:
    """Fire reminders, deliver webhooks and prune, without serving. For services that run with WORKER=off."""
    import asyncio
    import signal

    from app.lifespan import run_worker

    settings = read_settings(check_names=True)

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_worker(settings, stop)

    run(work())


@app.command()
def mcp() -> None:
    """Serve the tools over standard input and output, for desktop agents, with TODO_URL and TODO_TOKEN."""
    from app.assistant.optional import load_mcp_proxy
    from app.errors import AssistantNotInstalled

    settings = read_settings()
    if settings.todo_token is None:
        raise fail(ValueError("set TODO_TOKEN to an API token of the service"))
    try:
        serve_stdio = load_mcp_proxy().serve_stdio
    except AssistantNotInstalled as error:
        raise fail(ValueError(error.detail)) from None
    run(serve_stdio(settings.todo_url, settings.todo_token.get_secret_value()))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    import json

    from app.main import create_app

    settings = read_settings()
    typer.echo(json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False))


@app.command()
def doctor() -> None:
    """Check settings, database, isolation, mail, keys, model, public URL and worker: one line each.

    Exit status 1 when one of them fails.
    """
    import contextlib

    from pydantic import ValidationError

    from app.commands.doctor import run_checks
    from app.config import get_settings
    from app.observability.logs import configure_logging

    with contextlib.suppress(ValidationError, OSError, ValueError):  # they are findings
        configure_logging(get_settings())
    findings = run(run_checks())
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name:<14}{finding.text}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)
