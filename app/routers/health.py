"""For load balancers and orchestrators: is the process alive, can it serve."""

from fastapi import APIRouter, Request, Response

from app.http.responses import Json
from app.http.routing import DirectRoute
from app.schemas.health import Health, Ready
from app.services.operations import readiness

router = APIRouter(tags=["operations"], route_class=DirectRoute)


@router.get("/health", response_model=Health)
async def health() -> Response:
    """The process answers. Says nothing about the database: restarting this process would not repair that."""
    return Json({"status": "ok"})


@router.get("/ready", response_model=Ready)
async def ready(request: Request) -> Response:
    """The database answers and has the schema this version needs; 503 otherwise."""
    await readiness.check_ready(request.app.state.database)
    return Json({"status": "ready"})
