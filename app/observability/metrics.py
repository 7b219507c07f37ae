"""Metrics of this process for Prometheus.

Requests are counted here and rendered on a scrape: prometheus-client's own histogram costs 3 microseconds a request,
this 0.5. Values that the service's objects hold are read on a scrape only.

Each process is a target of its own, as Prometheus expects: on METRICS_PORT, and with WEB_CONCURRENCY on the ports from
there on, one for each process.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from app.config import Settings
from app.version import VERSION

# Seconds: OpenTelemetry's buckets without three.
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNMATCHED_ROUTE = "unmatched"
RequestLabels = tuple[str, str, int]


class PoolLoad(Protocol):
    @property
    def load(self) -> tuple[int, int, int]:
        """Returns the running transactions, those that wait for a connection, and the size of the fullest pool."""


class StreamCount(Protocol):
    @property
    def streams(self) -> int:
        """Returns how many streams are open."""


class DeliveryLag(Protocol):
    @property
    def lag(self) -> tuple[int, float]:
        """Returns the receivers with due deliveries, and the age of the oldest due delivery in seconds."""


class DumpRecord(Protocol):
    """The outcomes of scheduled dumps."""

    last_at: datetime | None
    failures: int


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        # Counts by bucket, the last one without a bound, and the sum.
        self._requests: dict[RequestLabels, list[float]] = {}
        self._limited: dict[str, int] = {}
        self.seen: Counter[str] = Counter()
        self.pool: PoolLoad | None = None
        self.hub: StreamCount | None = None
        self.webhooks: DeliveryLag | None = None
        self.channels: DeliveryLag | None = None
        self.backups: DumpRecord | None = None
        self.connections: Callable[[], tuple[int, int]] | None = None
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one request. ``status`` is 0 when there was no response."""
        # Clients choose the words of requests without a route: these must not become time series.
        key = (route, method if route is not UNMATCHED_ROUTE else "", status // 100)
        found = self._requests.get(key)
        if found is None:
            found = self._requests[key] = [0] * (len(DURATION_BUCKETS) + 1) + [0.0]
        found[bisect_left(DURATION_BUCKETS, seconds)] += 1
        found[-1] += seconds
        if status == 429:
            self._limited[route] = self._limited.get(route, 0) + 1

    def render(self, accept: str) -> tuple[bytes, str]:
        """Returns the text and its media type, in the format of Prometheus that the header ``Accept`` prefers."""
        encode, media_type = choose_encoder(accept)
        return encode(self.registry), media_type

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics; the registry calls this on a scrape."""
        yield self._request_metric()
        yield self._limited_metric()
        version = GaugeMetricFamily("todo_build", "Always 1; the version is a label.", labels=["version"])
        version.add_metric([VERSION], 1)
        yield version
        yield CounterMetricFamily(
            "todo_refresh_reuse",
            "Refresh tokens that were used twice: their sessions were revoked.",
            value=self.seen["refresh_reuse"],
        )
        if self.connections is not None:
            opened, waiting = self.connections()
            yield GaugeMetricFamily("todo_connections_open", "Open connections of clients.", value=opened)
            yield GaugeMetricFamily(
                "todo_connections_waiting", "Open connections without a running request.", value=waiting
            )
        if self.pool is not None:
            yield from _pool_metrics(*self.pool.load)
        if self.hub is not None:
            yield GaugeMetricFamily("todo_event_streams", "Open event streams.", value=self.hub.streams)
        if self.webhooks is not None:
            waiting, oldest = self.webhooks.lag
            yield GaugeMetricFamily("todo_webhooks_due", "Webhooks with due deliveries.", value=waiting)
            yield GaugeMetricFamily("todo_webhooks_oldest_due_seconds", "Age of the oldest due delivery.", value=oldest)
        if self.channels is not None:
            waiting, oldest = self.channels.lag
            yield GaugeMetricFamily("todo_channels_due", "Channels with due deliveries.", value=waiting)
            yield GaugeMetricFamily("todo_channels_oldest_due_seconds", "Age of the oldest due delivery.", value=oldest)

        if self.backups is not None:
            yield from _backup_metrics(self.backups)

    def _request_metric(self) -> Metric:
        family = HistogramMetricFamily(
            "todo_http_request_duration_seconds",
            "Requests by route, method and class of status; a stream until it begins, a chat message until the model "
            "is called.",
            labels=["route", "method", "status"],
        )
        for (route, method, status), counts in list(self._requests.items()):
            total, buckets = 0.0, []
            for bound, count in zip([*map(str, DURATION_BUCKETS), "+Inf"], counts[:-1], strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric([route, method, f"{status}xx" if status else "none"], buckets, counts[-1])
        return family

    def _limited_metric(self) -> Metric:
        family = CounterMetricFamily("todo_rate_limited", "Requests refused with 429, by route.", labels=["route"])
        for route, count in list(self._limited.items()):
            family.add_metric([route], count)
        return family


def _backup_metrics(record: DumpRecord) -> Iterator[Metric]:
    last_at = record.last_at.timestamp() if record.last_at else 0
    yield GaugeMetricFamily(
        "todo_backup_last_success_timestamp_seconds",
        "When the latest scheduled dump was begun; 0: none.",
        value=last_at,
    )
    yield CounterMetricFamily("todo_backup_failures", "Scheduled dumps that failed.", value=record.failures)


def _pool_metrics(running: int, waiting: int, size: int) -> Iterator[Metric]:
    yield GaugeMetricFamily("todo_pool_in_use", "Connections to PostgreSQL in a transaction.", value=running)
    yield GaugeMetricFamily("todo_pool_waiting", "Transactions that wait for a connection.", value=waiting)
    yield GaugeMetricFamily("todo_pool_size", "Maximum connections to PostgreSQL.", value=size)


@contextmanager
def metrics_server(settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Serves the metrics on the first free port of this service. Raises OSError when none is free."""
    if settings.metrics_port is None:
        yield
        return
    for port in range(settings.metrics_port, settings.metrics_port + settings.web_concurrency):
        with suppress(OSError):
            server, thread = start_http_server(port, settings.metrics_host, metrics.registry)
            break
    else:
        raise OSError(f"METRICS_PORT: {settings.metrics_host}:{settings.metrics_port} is in use")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
