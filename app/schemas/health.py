"""Responses of the health checks for load balancers and orchestrators."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Health(BaseModel):
    """The process is alive."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"]


class Ready(BaseModel):
    """The process can serve."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready"}]})

    status: Literal["ready"]
