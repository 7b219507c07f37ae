"""``/metrics`` for callers with METRICS_TOKEN; the route exists only with that setting."""

from hmac import compare_digest

from fastapi import APIRouter, Request, Response

from app.auth.token_verifier import bearer_token
from app.errors import RefusalReason, TokenInvalid
from app.http.rate_limits import Limits
from app.http.routing import DirectRoute

router = APIRouter(include_in_schema=False, route_class=DirectRoute)


@router.get("/metrics")
async def get_metrics(request: Request) -> Response:
    """Returns the metrics in a format of Prometheus. Raises the 401 errors, and RateLimited after many of them."""
    limits: Limits = request.app.state.limits
    limits.refuse_guesses(request.scope)
    token = bearer_token(request.headers.get("authorization"))
    wanted = request.app.state.settings.metrics_token.get_secret_value()
    if not compare_digest(token.encode(), wanted.encode()):
        limits.consume_guess(request.scope)
        raise TokenInvalid(reason=RefusalReason.METRICS_TOKEN_WRONG)
    body, media_type = request.app.state.metrics.render(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": media_type})
