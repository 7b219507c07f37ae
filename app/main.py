"""The application: settings, lifespan, middleware, error handlers, routers."""

from fastapi import FastAPI

from app.config import Settings, get_settings
from app.http.middleware import CompletedNameMiddleware, Cors, ErrorMiddleware, RequestContextMiddleware
from app.http.openapi.document import install_openapi
from app.http.problems import install_problems
from app.http.proxies import ProxyMiddleware
from app.http.rate_limits import Limits
from app.http.route_index import RouteIndex
from app.lifespan import lifespan
from app.net.addresses import LOCAL_ORIGIN
from app.net.outbound_policy import OutboundPolicy
from app.observability.metrics import Metrics
from app.routers import (
    accounts,
    api_tokens,
    apps,
    auth,
    batch,
    caldav,
    calendar_feeds,
    changes,
    channels,
    chat,
    comments,
    consent,
    health,
    mcp,
    oauth,
    oidc,
    projects,
    second_factors,
    sessions,
    stats,
    swagger_ui,
    tags,
    tasks,
    transfer,
    user_settings,
    views,
    web_client,
    webhooks,
    well_known,
)
from app.routers import metrics as metrics_route
from app.version import VERSION

ROUTERS = (
    tasks.router,
    projects.router,
    comments.router,
    tags.router,
    views.router,
    batch.router,
    stats.router,
    user_settings.router,
    changes.router,
    channels.router,
    transfer.router,
    calendar_feeds.router,
    chat.router,
    webhooks.router,
    auth.router,
    accounts.router,
    second_factors.router,
    sessions.router,
    api_tokens.router,
    apps.router,
    well_known.router,
    oauth.router,
    consent.router,
    oidc.router,
    oidc.pages,
    mcp.router,
    health.router,
    web_client.home,
)
ALLOWED_HEADERS = [
    "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "If-Match", "If-Modified-Since",
    "If-None-Match", "Last-Event-ID", "Pragma", "X-Request-ID", "X-Requested-With",
    "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version",
    # Tracing that front-ends add by themselves: W3C, Sentry, B3, Datadog, New Relic, Application Insights, Jaeger,
    # Elastic, AWS, Google.
    "traceparent", "tracestate", "baggage", "sentry-trace", "b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId",
    "X-B3-Sampled", "X-B3-Flags", "X-Datadog-Origin", "X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority",
    "X-Datadog-Trace-Id", "X-Datadog-Tags", "newrelic", "Request-Id", "Request-Context", "X-Correlation-ID",
    "uber-trace-id", "elastic-apm-traceparent", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
]  # fmt: skip
EXPOSED_HEADERS = [
    "Allow", "Content-Disposition", "ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy",
    "Retry-After", "WWW-Authenticate", "X-Conversation-Id", "X-Ignored-Fields", "X-Request-ID", "X-Revision",
    "X-Total-Count",
]  # fmt: skip


def create_app(settings: Settings | None = None, *, serving: bool = True) -> FastAPI:
    """Creates a complete application. Its database is opened by the lifespan.

    One that is not ``serving`` only runs the checks at start: it has no event streams and no background work.
    """
    settings = settings or get_settings()
    on = settings.otel
    app = FastAPI(
        title="Todo",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # Each off by name: a check on each request costs 8 us.
        telemetry={"tracing": on, "metrics": on, "logs": on, "auto_configure": on},
    )
    app.state.settings, app.state.serving = settings, serving
    app.state.outbound_policy = OutboundPolicy.from_settings(settings)
    app.state.limits = limits = Limits(settings)
    app.state.metrics = Metrics() if settings.metrics_port or settings.metrics_token else None
    _add_middleware(app, settings)
    install_problems(app)
    pages = [swagger_ui.router] * settings.docs + [web_client.router] * settings.web_client
    pages += [caldav.router, caldav.public, caldav.well_known] * settings.caldav
    for router in (*ROUTERS, *pages, *([metrics_route.router] if settings.metrics_token else [])):
        # include_router() would match each request twice and wrap it in three exit stacks
        app.router.routes.extend(router.routes)
    app.router.middleware_stack = RouteIndex(app.router.routes, app.router.middleware_stack, limits)
    install_openapi(app)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Adds the middleware, outermost last."""
    # CORS is inside RequestContextMiddleware, so that preflight responses also have a request id.
    if settings.completed_name == "both":
        app.add_middleware(CompletedNameMiddleware)
    app.add_middleware(ErrorMiddleware)
    options = {
        "allow_origins": settings.cors_origins,
        "allow_origin_regex": None if settings.cors_origins else LOCAL_ORIGIN.pattern,
        "allow_credentials": True,
        "allow_methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        "allow_headers": [*ALLOWED_HEADERS, *settings.cors_headers],
        "allow_private_network": True,  # a public page that may call at all may call a service at home
        "expose_headers": EXPOSED_HEADERS,
        "max_age": 600,
    }
    app.add_middleware(Cors, agent_origins=settings.mcp_origins, options=options)
    app.add_middleware(
        RequestContextMiddleware,
        log_requests=settings.access_log,
        slow_ms=settings.slow_request_ms,
        metrics=app.state.metrics,
    )
    if settings.forwarded_allow_ips or settings.public_path:
        app.add_middleware(
            ProxyMiddleware,
            trusted=settings.forwarded_allow_ips,
            public_path=settings.public_path,
            routes=app.router.routes,
        )
