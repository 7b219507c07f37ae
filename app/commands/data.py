"""``todo dump``, ``restore`` and ``prune``: what an operator does with all data at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.common import open_database, read_settings, run

if TYPE_CHECKING:
    from app.config import Settings
    from app.db.connection_options import ConnectOptions


def _direct(settings: Settings, options: ConnectOptions) -> tuple[ConnectOptions, dict[str, str]]:
    """How this service and how PostgreSQL's programs reach the database. Raises ValueError behind a pooler."""
    from app.db.backup.client_programs import connection_environment
    from app.db.connect import direct_options

    direct = direct_options(settings, options)
    if direct.pooled:
        raise ValueError("this needs a direct connection, not a transaction pooler: set DIRECT_DATABASE_URL")
    url = settings.direct_database_url or settings.database_url
    return direct, connection_environment(url.get_secret_value() if url else options.dsn)


def dump(
    file: Annotated[Path, typer.Argument(help="Where to. It must not exist yet; only you will be able to read it.")],
    with_secrets: Annotated[
        bool,
        typer.Option(
            "--with-secrets", help="Also write FILE.secrets: who has it can sign in as anybody. Keep it elsewhere."
        ),
    ] = False,
) -> None:
    """Save every user's data, as one moment saw it, while the service runs. Not the secret that signs tokens."""
    from app.db.backup import dump as dumps
    from app.db.connect import database_options

    settings = read_settings()

    async def work() -> None:
        async with database_options(settings) as options:
            tables = await dumps.dump(*_direct(settings, options), file)
        typer.echo(f"{len(tables)} tables in {file} ({file.stat().st_size:,} bytes)")

    run(work())
    if with_secrets:
        _write_secrets(settings, file)
        typer.echo(f"secrets in {_secrets_of(file)}: who has them can sign in as anybody")
    else:
        typer.echo("without the secret that signs tokens: logins survive a restore only with the same JWT_SECRET")


def _secrets_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.secrets")


def _write_secrets(settings: Settings, file: Path) -> None:
    """In the form of ``.env``."""
    from app.auth.signing_keys import load_secret, load_signing_key, pem_of

    lines = []
    if secret := load_secret(settings):
        lines.append(f"JWT_SECRET={secret}\n")
    if settings.token_algorithm == "EdDSA" and (key := load_signing_key(settings)):
        lines.append("JWT_PRIVATE_KEY=" + pem_of(key).replace("\n", "\\n") + "\n")
    with open(os.open(_secrets_of(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.writelines(lines)


def restore(
    file: Annotated[Path, typer.Argument(help="What 'todo dump' wrote.", exists=True, dir_okay=False, readable=True)],
    replace: Annotated[bool, typer.Option("--replace", help="Delete what the database holds now.")] = False,
) -> None:
    """Bring back what 'todo dump' saved, on this or another machine. All of it, or nothing."""
    from app.db import migrations
    from app.db.backup import dump as dumps
    from app.db.connect import database_options
    from app.db.database import Database
    from app.services.operations.isolation_check import NotIsolated, prove_isolation

    settings = read_settings()

    async def work() -> None:
        async with database_options(settings) as options:
            direct, environment = _direct(settings, options)
            await dumps.restore(direct, environment, file, replace=replace)
            await migrations.upgrade(direct)
            database = await Database(options, size=1, timeout=settings.pool_timeout).open()
            try:
                await prove_isolation(database)
            except NotIsolated as error:
                raise ValueError(str(error)) from None
            finally:
                await database.close()
        typer.echo(f"restored {file}: schema at {migrations.head()}, users are isolated")

    run(work())
    typer.echo(
        "tokens made before work only with the JWT_SECRET (and JWT_PRIVATE_KEY) of then: set them"
        + (f" from {_secrets_of(file)}" if _secrets_of(file).exists() else "")
    )


def prune() -> None:
    """Let go, now and for every user, of what is older than CHANGES_KEPT_DAYS and TRASH_KEPT_DAYS say."""
    from app.jobs.retention import empty_old_trash, prune_everybody

    settings = read_settings()

    async def work() -> None:
        async with open_database() as database:
            rows = await empty_old_trash(database, days=settings.trash_kept_days)
            users = await prune_everybody(database, days=settings.changes_kept_days)
        typer.echo(f"{users} users looked at, {rows} rows purged from the trash")

    run(work())
