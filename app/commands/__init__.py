"""The ``todo`` command."""

import asyncio
import contextlib
import json
import signal
from typing import Annotated

import typer
from pydantic import ValidationError

from app.assistant.optional import load_mcp_proxy
from app.auth.signing_keys import load_secret
from app.auth.token_verifier import TokenVerifier
from app.commands import data, users
from app.commands.common import REPAIRABLE, fail, read_settings, run
from app.commands.doctor import examine
from app.commands.seed import command
from app.commands.serve import serve as run_service
from app.config import get_settings
from app.db import migrations
from app.db.embedded import root_warning
from app.errors import AssistantNotInstalled
from app.main import create_app, database_options, direct_options, run_worker
from app.observability.logs import configure_logging

app = typer.Typer(
    help="A self-hostable task backend.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
app.add_typer(users.app, name="user")
for function in (data.dump, data.restore, data.prune, command.seed):
    app.command()(function)


@app.command()
def serve() -> None:
    """Start the service; with no DATABASE_URL, PostgreSQL inside it, too."""
    settings = read_settings()
    if settings.embedded and (warning := root_warning()):
        typer.echo(f"note: {warning}", err=True)
    try:
        status = run_service(settings, typer.echo)
    except REPAIRABLE as error:
        raise fail(error) from None
    raise typer.Exit(status)


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="Whom the token is for: the user id in /api/<user_id>/tasks.")],
    ttl: Annotated[int | None, typer.Option(min=1, help="Life in seconds; default TOKEN_TTL.")] = None,
) -> None:
    """Print a token for SUBJECT, signed with the shared secret."""
    settings = read_settings()
    try:
        signed = TokenVerifier(settings, load_secret(settings)).sign(subject, ttl=ttl or settings.token_ttl)
    except (OSError, ValueError) as error:
        raise fail(error) from None
    typer.echo(signed)


@app.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    settings = read_settings()

    async def work() -> None:
        async with database_options(settings) as options:
            await migrations.upgrade(direct_options(settings, options))

    run(work())
    typer.echo(f"schema is at {migrations.head()}")


@app.command()
def worker() -> None:
    """Deliver webhooks and prune old changes, without serving. For services that run with WORKER=off."""
    settings = read_settings()
    configure_logging(settings)

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_worker(settings, stop)

    run(work())


@app.command()
def mcp() -> None:
    """The tools over standard input and output, for desktop agents: from TODO_URL, with the API token TODO_TOKEN."""
    settings = read_settings()
    configure_logging(settings)
    if settings.todo_token is None:
        raise fail(ValueError("set TODO_TOKEN to an API token of the service"))
    try:
        serve_stdio = load_mcp_proxy().serve_stdio
    except AssistantNotInstalled as fact:
        raise fail(ValueError(fact.detail)) from None
    run(serve_stdio(settings.todo_url, settings.todo_token.get_secret_value()))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app(read_settings()).openapi(), indent=2, ensure_ascii=False))


@app.command()
def doctor() -> None:
    """Check configuration, database, schema and isolation: one line each. Exit status 1 when one of them fails."""
    with contextlib.suppress(ValidationError, OSError, ValueError):  # they are findings
        configure_logging(get_settings())
    findings = run(examine())
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name:<14}{finding.text}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)
