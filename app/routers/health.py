"""Health and readiness, for load balancers and orchestrators."""

from fastapi import APIRouter, Request, Response

from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.health import Health, Ready
from app.services.operations import readiness

router = APIRouter(tags=["operations"], route_class=DirectRoute)


@router.get("/health", response_model=Health)
async def health() -> Response:
    """Returns 200 while the process runs, also without the database: a restart would not repair that."""
    return Json({"status": "ok"})


@router.get("/ready", response_model=Ready)
async def ready(request: Request) -> Response:
    """Returns 200 if the database is available and has the schema of this version, else 503."""
    await readiness.check_ready(request.app.state.database)
    return Json({"status": "ready"})
