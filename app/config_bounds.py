"""What bounds clients, and who may watch: a part of ``app.config``."""

from importlib.util import find_spec
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

Names = Annotated[list[str], NoDecode]


class Bounds(BaseSettings):
    """Durations are in seconds, sizes in bytes."""

    # Connections
    web_concurrency: int = Field(1, ge=1, le=64, description="Worker processes.")
    max_connections: int = Field(4096, ge=1, description="Connections of clients per process.")
    allowed_hosts: Names = Field(
        default_factory=list, description="Names that the Host header may have, comma separated. Empty: any."
    )
    header_timeout: float = Field(10, gt=0, description="Longest wait for the head of a request, in seconds.")
    body_idle_timeout: float = Field(10, gt=0, description="Longest pause within a body, in seconds.")
    body_timeout: float = Field(30, gt=0, description="Seconds by which a body may fall behind BODY_MIN_RATE.")
    body_min_rate: int = Field(1024, ge=1, description="Slowest rate of a body, in bytes a second.")
    write_timeout: float = Field(
        60, ge=1, description="Longest time in which a client takes nothing of a response, in seconds. On Linux."
    )
    keep_alive: int = Field(75, ge=0, description="Seconds for which an idle connection is kept.")
    header_limit: int = Field(16_384, ge=1024, description="Largest headers of a request together, in bytes.")
    headers_max: int = Field(100, ge=10, description="Most headers of a request.")
    url_limit: int = Field(8192, ge=256, description="Longest URL, in bytes.")

    # Limits; 0 switches one off
    rate_limit_per_minute: int = Field(1200, ge=0, description="Requests of one subject; each process gives its share.")
    rate_limit_anonymous_per_minute: int = Field(
        300, ge=0, description="Requests of one address without a good token; each process gives its share."
    )
    rate_limit_chat_per_minute: int = Field(20, ge=0, description="Messages of one subject to the assistant.")
    rate_limit_import_per_hour: int = Field(30, ge=0, description="Imports of one subject.")
    rate_limit_url: SecretStr | None = Field(
        None, description="Redis or Valkey that counts chat and import: redis://host:6379/0. Empty: PostgreSQL does."
    )

    # Who may watch
    slow_request_ms: int = Field(
        500, ge=0, description="Requests that take so long are logged as slow, at most 20 a second; 0: none."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of METRICS_PORT.")
    metrics_port: int | None = Field(
        None, ge=1, le=65_535, description="Port for Prometheus; each further process takes the next one. Empty: none."
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token for /metrics, for one process. Empty: there is no /metrics."
    )
    otel: bool = Field(
        False, description="OpenTelemetry by OTLP/HTTP to OTEL_EXPORTER_OTLP_ENDPOINT; needs the extra otel."
    )

    @field_validator("rate_limit_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("begins with redis://, rediss:// or unix://")
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return [part.strip().lower() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_be_seen(self) -> Self:
        if self.metrics_token and self.web_concurrency > 1:
            raise ValueError("METRICS_TOKEN shows one process: with WEB_CONCURRENCY set METRICS_PORT instead")
        if self.otel and find_spec("opentelemetry.sdk") is None:
            raise ValueError("OTEL needs the extra: pip install 'todo[otel]'")
        return self
