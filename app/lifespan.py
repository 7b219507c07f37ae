"""The start and stop of a process: the database, the checks at start, background tasks."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
from fastapi import FastAPI

from app.assistant.chat import Chat
from app.assistant.mcp.endpoint import McpEndpoint
from app.auth.access_tokens import TokenIssuer
from app.auth.jwks import JwksCache
from app.auth.openid_provider import OpenIdProvider
from app.auth.passwords import PasswordHasher
from app.auth.signing_keys import load_secret
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.db import migrations
from app.db.citus.distribution import require_distribution
from app.db.connect import database_options, direct_options
from app.db.connection_options import ConnectOptions
from app.db.database import Database
from app.db.epoch import ensure_epoch
from app.db.notifications import SERVER_PROGRAM, WORKER_PROGRAM, WORKING_SERVER_PROGRAM, ChangeNotifications
from app.errors import AppError
from app.jobs.backups import BackupJob
from app.jobs.channel_sender import ChannelSender
from app.jobs.worker import Worker
from app.live.hub import Hub
from app.models.accounts import known_time_zones
from app.net.mail import Mailer
from app.net.outbound import OutboundClient
from app.net.outbound_policy import OutboundPolicy
from app.observability.metrics import Metrics, metrics_server
from app.observability.startup_errors import describe_failure
from app.server.protocol import connection_counts
from app.server.shutdown import before_shutdown
from app.services.accounts.context import AuthContext
from app.services.accounts.revocation import RevocationCache
from app.services.changes.entities import DISTRIBUTED_TABLES
from app.services.operations.isolation_check import NotIsolated, verify_isolation
from app.services.rate_limits.postgres import open_shared_counter

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            await _start_service(app, stack)
        except (NotIsolated, AppError, OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
            log.critical("cannot start: %s", describe_failure(error))
            raise SystemExit(1) from error
        gc.collect()
        gc.freeze()  # objects of the start live as long as the process; not scanning them again saves 10 % of a request
        gc.set_threshold(10_000)  # 1,000 concurrent requests outlive many scans every 700 objects: 10 % of their CPU
        yield


async def _start_service(app: FastAPI, stack: AsyncExitStack) -> None:
    """Opens what requests need, and verifies that it is safe to serve them."""
    settings: Settings = app.state.settings
    options = await stack.enter_async_context(database_options(settings))
    if settings.auto_migrate:
        await migrations.upgrade(direct_options(settings, options))
    await migrations.require_head(options)
    await asyncio.to_thread(known_time_zones)  # once: the first request with a zone would block all others for 30 ms
    await ensure_epoch(direct_options(settings, options))
    app.state.verifier = await stack.enter_async_context(open_verifier(settings))
    app.state.database = database = await _open_database(settings, options, stack)
    await verify_isolation(database)
    outbound = await stack.enter_async_context(OutboundClient(app.state.outbound_policy))
    to_providers = await stack.enter_async_context(OutboundClient(OutboundPolicy.for_providers(settings)))
    providers = {config.id: OpenIdProvider(config, to_providers) for config in settings.login_providers}
    app.state.auth = make_auth_context(settings, database, outbound, providers)
    stack.push_async_callback(app.state.auth.aclose)
    app.state.limits.counts = await stack.enter_async_context(open_shared_counter(database, settings))
    app.state.mcp = McpEndpoint(database, settings)
    stack.push_async_callback(app.state.mcp.aclose)
    sender = ChannelSender(database, settings, app.state.outbound_policy)
    app.state.channel_sender = await stack.enter_async_context(sender)
    app.state.chat = Chat(database, settings)
    stack.push_async_callback(app.state.chat.aclose)
    if app.state.serving:
        program = WORKING_SERVER_PROGRAM if settings.worker == "inside" else SERVER_PROGRAM
        notifications = ChangeNotifications(direct_options(settings, options), program=program)
        await _start_background(app, stack, notifications, options)


async def _open_database(settings: Settings, options: ConnectOptions, stack: AsyncExitStack) -> Database:
    """Opens the pool. Raises DistributionError if only some of the tables are distributed."""
    database = Database(options, size=settings.pool_size, timeout=settings.pool_timeout)
    await database.open()
    stack.push_async_callback(database.close)
    if database.distributed:
        await require_distribution(database, DISTRIBUTED_TABLES)
    return database


async def _start_background(
    app: FastAPI, stack: AsyncExitStack, notifications: ChangeNotifications, options: ConnectOptions
) -> None:
    """Starts background tasks: live updates, metrics, and the worker with WORKER=inside."""
    settings, database, metrics = app.state.settings, app.state.database, app.state.metrics or Metrics()
    stack.enter_context(metrics_server(settings, metrics))
    await stack.enter_async_context(notifications)
    readers = max(1, settings.pool_size // 3)
    hub = await stack.enter_async_context(Hub(database, heartbeat=settings.events_heartbeat, readers=readers))
    app.state.hub = hub
    metrics.pool, metrics.hub, metrics.seen = database, hub, app.state.auth.counters
    metrics.connections = connection_counts
    notifications.subscribe(hub.changed)
    database.on_commit = notifications.record
    admission = app.state.chat.admission

    def close() -> None:
        hub.close()
        admission.close()

    stack.enter_context(before_shutdown(close))
    if settings.worker == "inside":
        worker = await stack.enter_async_context(make_worker(settings, database, app.state.channel_sender, options))
        metrics.webhooks, metrics.channels, metrics.backups = worker.webhooks, worker.channels, worker.backups
        notifications.subscribe(worker.changed)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the worker alone, until ``stop`` is set. Migrations are left to the servers."""
    async with AsyncExitStack() as stack:
        options = await stack.enter_async_context(database_options(settings))
        await ensure_epoch(direct_options(settings, options))
        database = await _open_database(settings, options, stack)
        listening = ChangeNotifications(direct_options(settings, options), program=WORKER_PROGRAM)
        notifications = await stack.enter_async_context(listening)
        metrics = Metrics()
        metrics.pool = database
        sender = await stack.enter_async_context(ChannelSender(database, settings))
        worker = await stack.enter_async_context(make_worker(settings, database, sender, options))
        metrics.webhooks, metrics.channels, metrics.backups = worker.webhooks, worker.channels, worker.backups
        stack.enter_context(metrics_server(settings, metrics))
        notifications.subscribe(worker.changed)
        database.on_commit = notifications.record  # its own writes, such as reminders that fire, have no other listener
        await stop.wait()


def make_worker(settings: Settings, database: Database, sender: ChannelSender, options: ConnectOptions) -> Worker:
    """Makes the worker of all users: reminders, webhooks, channels, pruning, and dumps with BACKUP_DIR."""
    return Worker(
        database,
        sender,
        kept_days=settings.changes_kept_days,
        trash_days=settings.trash_kept_days,
        backups=BackupJob(settings, options) if settings.backup_dir else None,
    )


def make_auth_context(
    settings: Settings, database: Database, outbound: OutboundClient, providers: Mapping[str, OpenIdProvider]
) -> AuthContext:
    """Makes the context of the account services. Raises ValueError for an invalid key."""
    token_issuer = TokenIssuer.from_settings(settings)
    revocations, mailer = RevocationCache(database), Mailer(settings)
    return AuthContext(settings, database, PasswordHasher(), revocations, mailer, token_issuer, outbound, providers)


@asynccontextmanager
async def open_verifier(settings: Settings) -> AsyncIterator[TokenVerifier]:
    """Yields the verifier of tokens; the issuer's keys are refreshed while the context lasts."""
    async with AsyncExitStack() as stack:
        keys = JwksCache.from_settings(settings)
        if keys is not None:
            await stack.enter_async_context(keys)
        yield TokenVerifier(settings, load_secret(settings), keys, token_issuer=TokenIssuer.from_settings(settings))
