"""``todo doctor``: checks of an installation, one line each."""

import asyncio
from contextlib import AsyncExitStack

from asyncpg import PostgresError
from pydantic import ValidationError
from sqlalchemy import text

from app.auth.access_tokens import TokenIssuer
from app.auth.signing_keys import load_secret
from app.clock import now
from app.commands.common import describe_unreadable_file
from app.commands.doctor.backups import check_scheduled_dumps
from app.commands.doctor.finding import Finding
from app.commands.doctor.outside import check_surroundings
from app.config import Settings, get_settings
from app.db import migrations
from app.db.backup.client_programs import ToolError, find_tools
from app.db.backup.dump import DISTRIBUTED_REFUSAL, SELECT_ANY_DISTRIBUTED
from app.db.citus.distribution import plan_distribution
from app.db.connect import database_options, direct_options
from app.db.connection_options import ConnectOptions
from app.db.database import NO_OWNER, WORKER_ROLE, Database
from app.db.notifications import SERVER_PROGRAM
from app.errors import AppError
from app.observability.setting_names import find_setting_problems
from app.observability.startup_errors import describe_failure, describe_invalid_settings
from app.services.changes.entities import DISTRIBUTED_TABLES
from app.services.channels.outbox import find_due_channels
from app.services.operations.isolation_check import NotIsolated, verify_isolation
from app.services.operations.readiness import SELECT_SERVER_VERSION, find_running_programs
from app.services.tasks.reminders import find_upcoming
from app.services.webhooks.deliveries import find_due_webhooks

LATE_SECONDS = 60.0  # seconds after which work that is due should have been done


async def run_checks() -> list[Finding]:
    """Runs the checks in order; one that needs a failed one is left out."""
    try:
        settings = get_settings()
        secret = load_secret(settings)
    except ValidationError as error:
        return [Finding("configuration", False, "; ".join(describe_invalid_settings(error))), *_check_names()]
    except UnicodeDecodeError as error:
        return [Finding("configuration", False, describe_unreadable_file(error))]
    except (OSError, ValueError) as error:
        return [Finding("configuration", False, describe_failure(error))]
    first = [Finding("configuration", True, _describe(settings, secret)), *_check_names(), _check_accounts(settings)]
    surroundings, database = await asyncio.gather(check_surroundings(settings), _check_database(settings))
    return [*first, *surroundings, *database]


def _check_names() -> list[Finding]:
    """Names that other programs may have put into .env are no mistake of this service's operator."""
    problems = find_setting_problems()
    is_fine = all("of this service" in sentence for sentence in problems)
    return [Finding("settings", is_fine, "; ".join(problems))] if problems else []


async def _check_database(settings: Settings) -> list[Finding]:
    findings: list[Finding] = []
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
            if database.distributed:
                findings.append(await _check_distribution(direct_options(settings, options)))
                findings.append(await _check_reads(database))
            findings.append(await _check_isolation(database))
            findings += await _check_worker(settings, database)
            findings.append(await _check_backup(database))
            findings += await check_scheduled_dumps(settings, options)
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


async def _check_schema(options: ConnectOptions) -> Finding:
    try:
        await migrations.require_head(options)
    except migrations.SchemaError as error:
        return Finding("migrations", False, describe_failure(error))
    return Finding("migrations", True, f"at {migrations.head_revision()}, the newest")


async def _check_distribution(options: ConnectOptions) -> Finding:
    try:
        steps = await plan_distribution(options, DISTRIBUTED_TABLES)
    except (ValueError, OSError, TimeoutError, PostgresError) as error:
        return Finding("distribution", False, describe_failure(error))
    if steps:
        missing = "; ".join(step.text for step in steps)
        return Finding("distribution", False, f"{missing}: missing, run 'todo distribute'")
    return Finding("distribution", True, "users' tables are distributed, and every server reaches the others")


async def _check_reads(database: Database) -> Finding:
    """Checks whether reads can begin on the servers that have the rows. One that cannot be reached is no failure."""
    try:
        unreachable = await database.find_unreachable()
    except AppError as error:
        return Finding("reads", False, describe_failure(error))
    if unreachable is None:
        return Finding("reads", True, "go through the coordinator: it has all rows, or is behind a pooler")
    if unreachable:
        where = "; ".join(unreachable)
        return Finding("reads", True, f"go through the coordinator where the service cannot connect: {where}")
    return Finding("reads", True, "begin on the server that has the rows of their user")


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
            if database.distributed and (await session.exec(text(SELECT_ANY_DISTRIBUTED))).one():
                return Finding("backup", True, f"not by 'todo dump': {DISTRIBUTED_REFUSAL}")
        tools = await find_tools(server)
    except (AppError, ToolError, OSError) as error:
        return Finding("backup", True, f"not by 'todo dump': {describe_failure(error)}")
    return Finding("backup", True, f"'todo dump' by pg_dump {tools.major}, the server is {server}")


async def _check_worker(settings: Settings, database: Database) -> list[Finding]:
    """Checks whether due work is done. Nothing is found where no service runs and nothing is late."""
    try:
        running = await find_running_programs(database)
        async with database.transaction(NO_OWNER, read_only=True, role=WORKER_ROLE) as session:
            upcoming = await find_upcoming(session, NO_OWNER, without=[])
            webhooks = await find_due_webhooks(session, NO_OWNER, owners=None, busy=[])
            channels = await find_due_channels(session, NO_OWNER, owners=None, busy=[])
    except AppError as error:
        return [Finding("worker", False, describe_failure(error))]
    working = [program for program in running if program != SERVER_PROGRAM]
    late = max(0.0, (now() - upcoming[0].at).total_seconds()) if upcoming else 0.0
    waiting = f"{len(webhooks)} webhooks and {len(channels)} channels are due"
    due = f"{waiting}, and the oldest reminder is {late:.0f} s late"
    if late > LATE_SECONDS or ((webhooks or channels) and running and not working):
        remedy = "is it overloaded?" if working else "none runs: start 'todo worker', or serve with WORKER=inside"
        return [Finding("worker", False, f"{due}: {remedy}")]
    if working:
        return [Finding("worker", True, f"{', '.join(sorted(set(working)))}: {due}")]
    if running or settings.worker == "off":
        return [Finding("worker", False, "none runs, and WORKER=off: start 'todo worker', or set WORKER=inside")]
    return []
