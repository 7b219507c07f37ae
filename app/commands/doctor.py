"""``todo doctor``: checks of an installation, one line each."""

import shutil
from contextlib import AsyncExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.auth.access_tokens import TokenIssuer
from app.auth.signing_keys import load_secret
from app.config import Settings, get_settings
from app.db import migrations
from app.db.backup.client_programs import ToolError, find_tools
from app.db.connect import database_options
from app.db.connection_options import ConnectOptions
from app.db.database import NO_OWNER, Database
from app.errors import AppError
from app.observability.startup_errors import describe_failure, describe_invalid_settings
from app.services.operations.isolation_check import NotIsolated, verify_isolation
from app.services.operations.readiness import SELECT_SERVER_VERSION

MIN_FREE_BYTES = 512 * 2**20  # bytes that PostgreSQL should find free


class Finding(NamedTuple):
    name: str
    ok: bool
    text: str


async def run_checks() -> list[Finding]:
    """Runs the checks in order; one that needs a failed one is left out."""
    findings: list[Finding] = []
    try:
        settings = get_settings()
        secret = load_secret(settings)
    except ValidationError as error:
        return [Finding("configuration", False, "; ".join(describe_invalid_settings(error)))]
    except (OSError, ValueError) as error:
        return [Finding("configuration", False, describe_failure(error))]
    findings.append(Finding("configuration", True, _describe(settings, secret)))
    findings += [_check_accounts(settings), _check_mail(settings)]
    async with AsyncExitStack() as stack:
        try:
            options = await stack.enter_async_context(database_options(settings))
            database = Database(options, size=1, timeout=settings.pool_timeout)
            await database.open()
        except Exception as error:  # the operator should see any error of the driver or the server
            return [*findings, Finding("database", False, describe_failure(error))]
        stack.push_async_callback(database.close)
        findings.append(Finding("database", True, "answers" + (", through a pooler" if options.pooled else "")))
        findings.append(await _check_schema(options))
        if findings[-1].ok:
            findings.append(await _check_isolation(database))
        findings.append(await _check_backup(database))
        if settings.embedded:
            findings.append(_check_disk(settings))
    return findings


def _describe(settings: Settings, secret: str | None) -> str:
    issuers = ["shared secret"] if secret else []
    if settings.better_auth_url or settings.jwks_url:
        issuers.append("JWKS")
    return f"{'embedded PostgreSQL' if settings.embedded else 'DATABASE_URL'}, tokens by {' and '.join(issuers)}"


def _check_accounts(settings: Settings) -> Finding:
    try:
        issuer = TokenIssuer.from_settings(settings)
    except (ValueError, OSError) as error:
        return Finding("accounts", False, str(error))
    if issuer is None:
        return Finding("accounts", True, "off: no JWT_SECRET or JWT_PRIVATE_KEY to sign tokens with")
    return Finding(
        "accounts", True, f"registration {settings.registration}, tokens {issuer.algorithm} by {issuer.issuer}"
    )


def _check_mail(settings: Settings) -> Finding:
    if settings.smtp_url is not None:
        server = urlsplit(settings.smtp_url.get_secret_value())
        return Finding("mail", True, f"by {server.scheme}://{server.hostname} as {settings.mail_from}")
    if settings.logs_mail:
        return Finding("mail", True, "to the log, reset tokens included: for development. Set SMTP_URL to send it")
    text = "none: a forgotten password is answered 503. Set SMTP_URL"
    return Finding("mail", settings.registration != "mail", text)


async def _check_schema(options: ConnectOptions) -> Finding:
    try:
        await migrations.require_head(options)
    except migrations.SchemaError as error:
        return Finding("migrations", False, describe_failure(error))
    return Finding("migrations", True, f"at {migrations.head_revision()}, the newest")


async def _check_isolation(database: Database) -> Finding:
    try:
        await verify_isolation(database)
    except (NotIsolated, AppError) as error:
        return Finding("isolation", False, describe_failure(error))
    return Finding("isolation", True, "a foreign row is invisible to the service")


async def _check_backup(database: Database) -> Finding:
    """Checks whether 'todo dump' works. Never a failure: a managed database has backups of its own."""
    try:
        async with database.transaction(NO_OWNER, read_only=True) as session:
            server = (await session.exec(SELECT_SERVER_VERSION)).one()
        tools = await find_tools(server)
    except (AppError, ToolError, OSError) as error:
        return Finding("backup", True, f"not by 'todo dump': {describe_failure(error)}")
    return Finding("backup", True, f"'todo dump' by pg_dump {tools.major}, the server is {server}")


def _check_disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data_dir).free
    return Finding("disk", free >= MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free for {settings.data_dir}")
