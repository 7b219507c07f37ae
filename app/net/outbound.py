"""Requests to URLs that users entered, without giving users access to the private network (SSRF).

A host is resolved once, all its IP addresses must be permitted by OutboundPolicy, and the connection is made to the
first of those that accepts one. The name stays in the Host header and in TLS, where the certificate is checked against
it. Redirects are not followed.

httpx and httpcore are loaded with the first webhook: with httpx's command line (Rich, Pygments) and the root
certificates of a client they are 7 MB of memory, which a service without webhooks does not need.
"""

import asyncio
import re
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from importlib import import_module
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from app.errors import UrlRefused
from app.net.connecting import connect_first, resolved_addresses
from app.net.outbound_policy import OutboundPolicy, parse_address
from app.net.special_addresses import Address

if TYPE_CHECKING:
    import httpcore
    import httpx

RESOLVER_THREADS = 64  # threads
CALL_TIMEOUT = 10.0  # seconds for resolving, connecting, sending and the head of the response together
HOST_PATTERN = re.compile(r"[A-Za-z0-9._-]+")  # as sent in Host and resolved: international names are xn-- here
PRIVATE_BY_HTTP = "The URL begins with https://, unless the operator has opened its host."
URL_FIELD = ("body", "url")
JSON_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "todo"}


class Outcome(NamedTuple):
    """The result of a request. ``status`` is None without a response; then ``error`` is the reason.

    ``retry_after``: the seconds that the other side asks to wait. ``body`` is read where there is a limit for it.
    """

    status: int | None
    error: str | None
    latency_ms: int
    retry_after: float | None = None
    body: bytes = b""

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def load_http_libraries() -> None:
    """Imports httpx and httpcore in a thread: they take 0.2 s the first time, in which other requests are served."""
    for name in ("httpx", "httpcore"):
        if name not in sys.modules:
            await asyncio.to_thread(import_module, name)


def check_url(url: str, policy: OutboundPolicy, *, loc: tuple[str, ...] = URL_FIELD) -> "httpx.URL":
    """Parses ``url``. Raises UrlRefused, at the field ``loc``, if it can never be called.

    Names are resolved only for a call.
    """
    import httpx

    try:
        parsed = httpx.URL(url)
        host = parsed.host  # an international name is decoded only here
    except (httpx.InvalidURL, ValueError):
        raise UrlRefused("This is not a URL.", loc=loc) from None
    name = raw_host(parsed)
    if parsed.scheme != "https" and not (parsed.scheme == "http" and policy.may_be_opened(name)):
        raise UrlRefused(PRIVATE_BY_HTTP, loc=loc)
    if not host or parsed.userinfo or parsed.fragment:
        raise UrlRefused("The URL must have a host, and neither a user nor a fragment.", loc=loc)
    address = parse_address(name)
    if address is None and HOST_PATTERN.fullmatch(name) is None:
        raise UrlRefused("The host name is not valid.", loc=loc)
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise UrlRefused("The port is not valid.", loc=loc)
    if address is not None and not policy.permits(address, name):
        raise UrlRefused(loc=loc)
    return parsed


def raw_host(url: "httpx.URL") -> str:
    """Returns the host as it is resolved, without the brackets of an IPv6 address."""
    return url.raw_host.decode("ascii").strip("[]")


class CheckedAddresses:
    """A backend of httpcore that connects to these IP addresses, whatever the host is called."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def connect_tcp(self, host: str, port: int, **options: Any) -> "httpcore.AsyncNetworkStream":
        import httpcore

        backend = httpcore.AnyIOBackend()

        async def close(stream: "httpcore.AsyncNetworkStream") -> None:
            await stream.aclose()

        return await connect_first(self._addresses, partial(backend.connect_tcp, port=port, **options), close)


class OutboundClient:
    """Sends the messages of webhooks and channels, and reads JSON. Use as an async context manager."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        # Its own threads: slow DNS servers must not occupy the executor of the process.
        self._resolvers = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")

    @cached_property
    def _certificates(self) -> SSLContext:
        import httpcore

        return httpcore.default_ssl_context()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, limit: int = 0) -> Outcome:
        """Posts ``body`` to ``url``. Returns every failure of the other side as an outcome instead of raising.

        With a ``limit`` the outcome has the JSON of the response, of at most so many bytes.
        """
        return await self._call("POST", url, body, headers | (JSON_HEADERS if limit else {}), limit)

    async def get(self, url: str, *, limit: int, headers: dict[str, str] | None = None) -> Outcome:
        """Returns the JSON at ``url``, of at most ``limit`` bytes; every failure is an outcome, as of ``post``."""
        return await self._call("GET", url, b"", JSON_HEADERS | (headers or {}), limit)

    async def _call(self, method: str, url: str, body: bytes, headers: dict[str, str], limit: int) -> Outcome:
        await load_http_libraries()
        import httpcore

        started = time.perf_counter()
        status, reason, retry_after, received = None, None, None, b""
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                status, retry_after, received = await self._send(method, url, body, headers, limit)
        except UrlRefused as error:
            reason = error.detail
        except TimeoutError:
            reason = f"No response within {CALL_TIMEOUT:.0f} seconds."
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            OSError,
            ValueError,
            OverflowError,
        ) as error:
            reason = f"{type(error).__name__}: {error}"[:300]
        return Outcome(status, reason, round((time.perf_counter() - started) * 1000), retry_after, received)

    async def _send(
        self, method: str, url: str, body: bytes, headers: dict[str, str], limit: int
    ) -> tuple[int, float | None, bytes]:
        """Makes a connection for this call alone: a kept one could serve another name at the same IP address.

        Returns the status, the seconds of Retry-After, and the body of a 200 if it may be ``limit`` bytes long.
        """
        import httpcore

        target = check_url(url, self._policy)
        port = target.port or (443 if target.scheme == "https" else 80)
        address = httpcore.URL(scheme=target.raw_scheme, host=raw_host(target), port=port, target=target.raw_path)
        backend: Any = CheckedAddresses(await self._resolve(target, port))
        connecting = httpcore.AsyncHTTPConnection(address.origin, self._certificates, network_backend=backend)
        named = [("Host", target.netloc.decode("ascii")), *headers.items()]
        async with (
            connecting as connection,
            connection.stream(method, address, headers=named, content=body or None) as response,
        ):
            read = await _read_body(response, limit) if limit and response.status == 200 else b""
            return response.status, _read_retry_after(response.headers), read

    async def _resolve(self, target: "httpx.URL", port: int) -> list[Address]:
        """Returns the addresses of the host. Raises UrlRefused unless all are permitted, and opened for http."""
        host = raw_host(target)
        resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._resolvers, resolve)
        addresses = resolved_addresses(found)
        if not all(self._policy.permits(address, host) for address in addresses):
            raise UrlRefused
        if target.scheme == "http" and not all(self._policy.opens(address, host) for address in addresses):
            raise UrlRefused(PRIVATE_BY_HTTP)
        return addresses


async def _read_body(response: "httpcore.Response", limit: int) -> bytes:
    """Reads a body. Raises ValueError past ``limit`` bytes."""
    body = b""
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > limit:
            raise ValueError(f"the response has more than {limit} bytes")
    return body


def _read_retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Returns the seconds of Retry-After; None without it, and for a date (RFC 9110, 10.2.3)."""
    value = next((value for name, value in headers if name.lower() == b"retry-after"), b"").strip()
    return float(value) if value.isdigit() and len(value) <= 9 else None
