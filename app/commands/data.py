"""``todo dump``, ``restore`` and ``prune``: commands on the data of all users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.common import errors_in_one_line, open_database, read_settings, run

if TYPE_CHECKING:
    from app.config import Settings


def dump(
    file: Annotated[Path, typer.Argument(help="File to write. It must not exist; only you can read it.")],
    with_secrets: Annotated[
        bool,
        typer.Option(
            "--with-secrets", help="Also write FILE.secrets, which allows signing in as any user. Keep it elsewhere."
        ),
    ] = False,
) -> None:
    """Save every user's data, from one consistent snapshot, while the service runs. Without the signing secret."""
    from app.db.backup import dump as dumps
    from app.db.connect import database_options

    settings = read_settings()

    async def work() -> None:
        async with database_options(settings) as options:
            tables = await dumps.write_dump(*dumps.dump_access(settings, options), file)
        typer.echo(f"{len(tables)} tables in {file} ({file.stat().st_size:,} bytes)")

    run(work())
    if with_secrets:
        with errors_in_one_line():
            _write_secrets(settings, file)
        typer.echo(f"secrets in {_secrets_of(file)}: they allow signing in as any user")
    else:
        typer.echo("without the secret that signs tokens: logins survive a restore only with the same JWT_SECRET")


def _secrets_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.secrets")


def _write_secrets(settings: Settings, file: Path) -> None:
    """Writes the secrets in the format of ``.env``."""
    from app.auth.private_files import write_private_text
    from app.auth.signing_keys import load_secret, load_signing_key, pem_of

    lines = []
    if secret := load_secret(settings):
        lines.append(f"JWT_SECRET={secret}\n")
    if settings.token_algorithm == "EdDSA" and (key := load_signing_key(settings)):
        lines.append("JWT_PRIVATE_KEY=" + pem_of(key).replace("\n", "\\n") + "\n")
    write_private_text(_secrets_of(file), "".join(lines), replace=True)


def restore(
    file: Annotated[Path, typer.Argument(help="A file of 'todo dump'.", exists=True, dir_okay=False, readable=True)],
    replace: Annotated[bool, typer.Option("--replace", help="Delete what the database holds now.")] = False,
) -> None:
    """Restore a file of 'todo dump', on this or another machine, in one transaction."""
    from app.db import migrations
    from app.db.backup import dump as dumps
    from app.db.connect import database_options
    from app.db.database import Database
    from app.db.epoch import ensure_epoch
    from app.services.operations.isolation_check import NotIsolated, verify_isolation

    settings = read_settings()

    async def work() -> None:
        async with database_options(settings) as options:
            direct, environment = dumps.dump_access(settings, options)
            await dumps.restore_dump(direct, environment, file, replace=replace)
            await migrations.upgrade(direct)
            await ensure_epoch(direct)
            database = await Database(options, size=1, timeout=settings.pool_timeout).open()
            try:
                await verify_isolation(database)
            except NotIsolated as error:
                raise ValueError(str(error)) from None
            finally:
                await database.close()
        typer.echo(f"restored {file}: schema at {migrations.head_revision()}, users are isolated")

    run(work())
    typer.echo(
        "tokens issued before are valid only with the same JWT_SECRET (and JWT_PRIVATE_KEY): set them"
        + (f" from {_secrets_of(file)}" if _secrets_of(file).exists() else "")
    )


def prune() -> None:
    """Delete now, for every user, changes and trash older than CHANGES_KEPT_DAYS and TRASH_KEPT_DAYS."""
    from app.jobs.retention import empty_old_trash, prune_all_users

    settings = read_settings()

    async def work() -> None:
        async with open_database() as database:
            rows = await empty_old_trash(database, days=settings.trash_kept_days)
            users = await prune_all_users(database, days=settings.changes_kept_days)
        typer.echo(f"{users} users pruned, {rows} rows purged from the trash")

    run(work())
