"""The ``todo`` command."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError

from app.auth.secret import load_secret
from app.auth.tokens import TokenVerifier
from app.config import Settings, get_settings
from app.db import migrations
from app.db.embedded import root_warning
from app.doctor import examine
from app.logs import configure_logging
from app.main import create_app, database_options, direct_options, run_worker

app = typer.Typer(
    help="A self-hostable task backend.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
GRACE = 10  # seconds that running requests get when the service is told to stop


def _settings() -> Settings:
    """The settings, or one line for each that is wrong and exit status 2."""
    try:
        return get_settings()
    except ValidationError as error:
        for found in error.errors():
            name = str(found["loc"][0]).upper() if found["loc"] else "settings"
            typer.echo(f"{name}: {found['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from None


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work``; what an operator can repair is one line, not a traceback."""
    try:
        return asyncio.run(work)
    except (OSError, TimeoutError, ValueError) as error:
        typer.echo(f"todo: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def serve() -> None:
    """Start the service; with no DATABASE_URL, PostgreSQL inside it, too."""
    settings = _settings()
    configure_logging(settings)
    if settings.embedded and (warning := root_warning()):
        typer.echo(f"note: {warning}", err=True)
    typer.echo(_banner(settings), err=True)
    uvicorn.run(
        "app.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.web_concurrency,
        http="httptools",  # h11 accepts Content-Length beside Transfer-Encoding
        loop="auto",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.forwarded_allow_ips),
        forwarded_allow_ips=settings.forwarded_allow_ips or None,
        timeout_graceful_shutdown=GRACE,
    )


def _banner(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - where to call, not bind
    url = f"http://{host}:{settings.port}"
    command = Path(sys.argv[0]).name if sys.argv[0].endswith("todo") else "python -m app"
    folder = Path(sys.argv[0]).parent
    todo = str(Path(sys.argv[0])) if command == "todo" and folder != Path() else command
    store = "embedded PostgreSQL in " + str(settings.data_dir) if settings.embedded else "DATABASE_URL"
    return f"""
  Todo      {url}   ({store})
  Docs      {url}/docs
  Try it    curl {url}/api/me/tasks -H "Authorization: Bearer $({todo} token alice)" \\
              -H "Content-Type: application/json" -d '{{"title": "Buy milk"}}'
"""


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="Whom the token is for: the user id in /api/<user_id>/tasks.")],
    ttl: Annotated[int | None, typer.Option(help="Life in seconds; default TOKEN_TTL.")] = None,
) -> None:
    """Print a token for SUBJECT, signed with the shared secret."""
    settings = _settings()
    try:
        signed = TokenVerifier(settings, load_secret(settings)).sign(subject, ttl=ttl or settings.token_ttl)
    except ValueError as error:
        typer.echo(f"todo: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(signed)


@app.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    settings = _settings()

    async def work() -> None:
        async with database_options(settings) as options:
            await migrations.upgrade(direct_options(settings, options))

    _run(work())
    typer.echo(f"schema is at {migrations.head()}")


@app.command()
def worker() -> None:
    """Deliver webhooks and prune old changes, without serving. For services that run with WORKER=off."""
    settings = _settings()
    configure_logging(settings)

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_worker(settings, stop)

    _run(work())


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    typer.echo(json.dumps(create_app(_settings()).openapi(), indent=2, ensure_ascii=False))


@app.command()
def doctor() -> None:
    """Check configuration, database, schema and isolation: one line each. Exit status 1 when one of them fails."""
    findings = asyncio.run(examine())
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name:<14}{finding.text}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)
