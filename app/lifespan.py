"""The start and stop of a process: the database, the checks at start, background tasks."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
from fastapi import FastAPI

from app.assistant.chat import Chat
from app.assistant.mcp.endpoint import McpEndpoint
from app.auth.access_tokens import TokenIssuer
from app.auth.jwks import JwksCache
from app.auth.passwords import PasswordHasher
from app.auth.signing_keys import load_secret
from app.auth.token_verifier import TokenVerifier
from app.config import Settings
from app.db import migrations
from app.db.connect import database_options, direct_options
from app.db.database import Database
from app.db.epoch import ensure_epoch
from app.db.notifications import SERVER_PROGRAM, WORKER_PROGRAM, WORKING_SERVER_PROGRAM, ChangeNotifications
from app.errors import AppError
from app.jobs.worker import Worker
from app.live.hub import Hub
from app.models.accounts import known_time_zones
from app.net.mail import Mailer
from app.net.outbound_policy import OutboundPolicy
from app.observability.metrics import Metrics, metrics_server
from app.observability.startup_errors import describe_failure
from app.server.protocol import connection_counts
from app.server.shutdown import before_shutdown
from app.services.accounts.context import AuthContext
from app.services.accounts.revocation import RevocationCache
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
    app.state.database = database = Database(options, size=settings.pool_size, timeout=settings.pool_timeout)
    await database.open()
    stack.push_async_callback(database.close)
    await verify_isolation(database)
    app.state.auth = make_auth_context(settings, database)
    stack.push_async_callback(app.state.auth.aclose)
    app.state.limits.counts = await stack.enter_async_context(open_shared_counter(database, settings))
    app.state.mcp = McpEndpoint(database, settings)
    stack.push_async_callback(app.state.mcp.aclose)
    app.state.chat = Chat(database, settings)
    stack.push_async_callback(app.state.chat.aclose)
    if app.state.serving:
        program = WORKING_SERVER_PROGRAM if settings.worker == "inside" else SERVER_PROGRAM
        notifications = ChangeNotifications(direct_options(settings, options), program=program)
        await _start_background(app, stack, notifications)


async def _start_background(app: FastAPI, stack: AsyncExitStack, notifications: ChangeNotifications) -> None:
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
        worker = await stack.enter_async_context(make_worker(settings, database))
        metrics.webhooks = worker.webhooks
        notifications.subscribe(worker.webhooks.changed)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Runs the worker alone, until ``stop`` is set. Migrations are left to the servers."""
    async with AsyncExitStack() as stack:
        options = await stack.enter_async_context(database_options(settings))
        await ensure_epoch(direct_options(settings, options))
        database = await Database(options, size=settings.pool_size, timeout=settings.pool_timeout).open()
        stack.push_async_callback(database.close)
        listening = ChangeNotifications(direct_options(settings, options), program=WORKER_PROGRAM)
        notifications = await stack.enter_async_context(listening)
        metrics = Metrics()
        metrics.pool = database
        worker = await stack.enter_async_context(make_worker(settings, database))
        metrics.webhooks = worker.webhooks
        stack.enter_context(metrics_server(settings, metrics))
        notifications.subscribe(worker.webhooks.changed)
        await stop.wait()


def make_worker(settings: Settings, database: Database) -> Worker:
    """Makes the worker of all users: reminders, webhooks, pruning."""
    return Worker(
        database,
        policy=OutboundPolicy.from_settings(settings),
        kept_days=settings.changes_kept_days,
        trash_days=settings.trash_kept_days,
    )


def make_auth_context(settings: Settings, database: Database) -> AuthContext:
    """Makes the context of the account services. Raises ValueError for an invalid key."""
    token_issuer = TokenIssuer.from_settings(settings)
    return AuthContext(settings, database, PasswordHasher(), RevocationCache(database), Mailer(settings), token_issuer)


@asynccontextmanager
async def open_verifier(settings: Settings) -> AsyncIterator[TokenVerifier]:
    """Yields the verifier of tokens; the issuer's keys are refreshed while the context lasts."""
    async with AsyncExitStack() as stack:
        keys = JwksCache.from_settings(settings)
        if keys is not None:
            await stack.enter_async_context(keys)
        yield TokenVerifier(settings, load_secret(settings), keys, token_issuer=TokenIssuer.from_settings(settings))
