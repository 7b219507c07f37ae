"""The application, from the outside in: settings, lifespan, middleware, error handlers, routers."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
from fastapi import FastAPI

from app.assistant.chat import Chat
from app.assistant.mcp.endpoint import McpEndpoint
from app.auth.access_tokens import OwnTokens
from app.auth.jwks import JwksCache
from app.auth.passwords import Hasher
from app.auth.signing_keys import load_secret
from app.auth.token_verifier import TokenVerifier
from app.config import Settings, get_settings
from app.db import migrations
from app.db.connection_options import ConnectOptions, connect_options
from app.db.database import Database
from app.db.embedded import embedded_postgres
from app.db.notifications import Hints
from app.errors import AppError
from app.http.middleware import Cors, Edge, LastCatch
from app.http.openapi.document import install_openapi
from app.http.problems import install_problems
from app.http.rate_limits import Limits
from app.http.route_index import RouteIndex
from app.jobs.worker import Worker
from app.live.hub import Hub
from app.net.mail import Mailer
from app.observability.metrics import Metrics, metrics_server
from app.observability.startup_errors import reason
from app.routers import (
    accounts,
    api_tokens,
    auth,
    calendar_feeds,
    changes,
    chat,
    comments,
    health,
    mcp,
    projects,
    sessions,
    stats,
    swagger_ui,
    tags,
    task_actions,
    tasks,
    transfer,
    user_settings,
    views,
    web_client,
    webhooks,
    well_known,
)
from app.routers import metrics as metrics_route
from app.server.protocol import connection_counts
from app.server.shutdown import before_shutdown
from app.services.accounts.context import AuthContext
from app.services.accounts.revocation import Guard
from app.services.operations.isolation_check import NotIsolated, prove_isolation
from app.services.rate_limits.postgres import shared_counts

log = logging.getLogger(__name__)

ROUTERS = (
    tasks.router,
    task_actions.router,
    projects.router,
    comments.router,
    tags.router,
    views.router,
    stats.router,
    user_settings.router,
    changes.router,
    transfer.router,
    calendar_feeds.router,
    chat.router,
    webhooks.router,
    auth.router,
    accounts.router,
    sessions.router,
    api_tokens.router,
    well_known.router,
    mcp.router,
    health.router,
    web_client.home,
)
LOCALHOST = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
ACCEPTED = [
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "X-Request-ID",
    "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version",
]  # fmt: skip
EXPOSED = [
    "ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After",
    "X-Conversation-Id", "X-Request-ID", "X-Revision", "X-Total-Count",
]  # fmt: skip


def create_app(settings: Settings | None = None, *, serving: bool = True) -> FastAPI:
    """A complete application. Its database is opened by the lifespan.

    One that is not ``serving`` only makes the checks of a start: nothing waits in it, and nothing works by itself.
    """
    settings = settings or get_settings()
    on = settings.otel
    app = FastAPI(
        title="Todo",
        version="0.1.0",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # Off by name: asking on each request whether it is on costs 8 us.
        telemetry={"tracing": on, "metrics": on, "logs": on, "auto_configure": on},
    )
    app.state.settings, app.state.serving = settings, serving
    app.state.limits = limits = Limits(settings)
    app.state.metrics = metrics = Metrics() if settings.metrics_port or settings.metrics_token else None
    # Outermost last. CORS stands inside Edge so that preflights carry a request id, too.
    app.add_middleware(LastCatch)
    app.add_middleware(
        Cors,
        allow_origins=settings.cors_origins,
        allow_origin_regex=None if settings.cors_origins else LOCALHOST,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=ACCEPTED,
        expose_headers=EXPOSED,
        max_age=600,
    )
    app.add_middleware(Edge, log_requests=settings.access_log, slow_ms=settings.slow_request_ms, metrics=metrics)
    install_problems(app)
    pages = [swagger_ui.router] * settings.docs + [web_client.router] * settings.web_client
    for router in (*ROUTERS, *pages, *([metrics_route.router] if settings.metrics_token else [])):
        # include_router() would match each request twice and wrap it in three exit stacks
        app.router.routes.extend(router.routes)
    app.router.middleware_stack = RouteIndex(app.router.routes, app.router.middleware_stack, limits)
    install_openapi(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            await _start(app, stack)
        except (NotIsolated, AppError, OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
            log.critical("cannot start: %s", reason(error))
            raise SystemExit(1) from error
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process; not looking at it again is 10 % of a request
        gc.set_threshold(10_000)  # 1,000 requests under way outlive many looks at every 700 objects: 10 % of their CPU
        yield


async def _start(app: FastAPI, stack: AsyncExitStack) -> None:
    """Open what requests need, and prove that it is safe to serve them."""
    settings: Settings = app.state.settings
    options = await stack.enter_async_context(database_options(settings))
    if settings.auto_migrate:
        await migrations.upgrade(direct_options(settings, options))
    await migrations.require_head(options)
    app.state.verifier = await stack.enter_async_context(verifier(settings))
    app.state.database = database = Database(options, size=settings.pool_size, timeout=settings.pool_timeout)
    await database.open()
    stack.push_async_callback(database.close)
    await prove_isolation(database)
    app.state.auth = auth_context(settings, database)
    stack.push_async_callback(app.state.auth.aclose)
    app.state.limits.counts = await stack.enter_async_context(shared_counts(database, settings))
    app.state.mcp = McpEndpoint(database, settings)
    stack.push_async_callback(app.state.mcp.aclose)
    app.state.chat = Chat(database, settings)
    stack.push_async_callback(app.state.chat.aclose)
    if app.state.serving:
        await _start_background(app, stack, Hints(direct_options(settings, options)))


async def _start_background(app: FastAPI, stack: AsyncExitStack, hints: Hints) -> None:
    """What goes on between requests: live updates, and the worker if it is to be inside."""
    settings, database, metrics = app.state.settings, app.state.database, app.state.metrics or Metrics()
    stack.enter_context(metrics_server(settings, metrics))
    await stack.enter_async_context(hints)
    readers = max(1, settings.pool_size // 3)
    hub = await stack.enter_async_context(Hub(database, heartbeat=settings.events_heartbeat, readers=readers))
    app.state.hub = hub
    metrics.pool, metrics.hub, metrics.seen = database, hub, app.state.auth.seen
    metrics.connections = connection_counts
    hints.subscribe(hub.changed)
    database.on_commit = hints.note
    runs = app.state.chat.runs

    def close() -> None:
        hub.close()
        runs.close()

    stack.enter_context(before_shutdown(close))
    if settings.worker == "inside":
        worker = await stack.enter_async_context(make_worker(settings, database))
        metrics.webhooks = worker.webhooks
        hints.subscribe(worker.webhooks.changed)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """The worker alone, until ``stop`` is set. The schema is the servers' business."""
    async with AsyncExitStack() as stack:
        options = await stack.enter_async_context(database_options(settings))
        database = await Database(options, size=settings.pool_size, timeout=settings.pool_timeout).open()
        stack.push_async_callback(database.close)
        hints = await stack.enter_async_context(Hints(direct_options(settings, options)))
        metrics = Metrics()
        metrics.pool = database
        worker = await stack.enter_async_context(make_worker(settings, database))
        metrics.webhooks = worker.webhooks
        stack.enter_context(metrics_server(settings, metrics))
        hints.subscribe(worker.webhooks.changed)
        await stop.wait()


def make_worker(settings: Settings, database: Database) -> Worker:
    """Reminds, delivers webhooks and prunes, of whomever it finds due."""
    return Worker(
        database,
        allow_private=settings.webhooks_allow_private,
        kept_days=settings.changes_kept_days,
        trash_days=settings.trash_kept_days,
    )


def auth_context(settings: Settings, database: Database) -> AuthContext:
    """What the services of accounts work with. Raises ValueError for a key that is none."""
    own = OwnTokens.from_settings(settings)
    return AuthContext(settings, database, Hasher(), Guard(database), Mailer(settings), own)


@asynccontextmanager
async def database_options(settings: Settings) -> AsyncIterator[ConnectOptions]:
    """The database of DATABASE_URL, or the embedded one for as long as the context lasts."""
    if settings.database_url is not None:
        yield connect_options(settings.database_url.get_secret_value(), settings)
        return
    async with embedded_postgres(settings) as options:
        yield options


def direct_options(settings: Settings, options: ConnectOptions) -> ConnectOptions:
    """The way past a pooler, which migrations need when there is one."""
    if settings.direct_database_url is None:
        return options
    return connect_options(settings.direct_database_url.get_secret_value(), settings)


@asynccontextmanager
async def verifier(settings: Settings) -> AsyncIterator[TokenVerifier]:
    """Who may come in; keeps the issuer's keys fresh while the context lasts."""
    async with AsyncExitStack() as stack:
        keys = JwksCache.from_settings(settings)
        if keys is not None:
            await stack.enter_async_context(keys)
        yield TokenVerifier(settings, load_secret(settings), keys, own=OwnTokens.from_settings(settings))
