"""Requests to URLs that users entered, without giving users access to the private network (SSRF).

A host is resolved once, all its IP addresses must be public, and the connection is made to one of those. The name stays
in the Host header and in TLS, where the certificate is checked against it. Redirects are not followed.

httpx is loaded with the first webhook: with its command line (Rich, Pygments) and the root certificates of a client it
is 7 MB of memory, which a service without webhooks does not need.
"""

import asyncio
import ipaddress
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from app.errors import UrlRefused
from app.net.special_addresses import Address, is_public

if TYPE_CHECKING:
    import httpx

RESOLVER_THREADS = 64  # threads
CALL_TIMEOUT = 10.0  # seconds for resolving, connecting, sending and the head of the response together
HOST_PATTERN = re.compile(r"[A-Za-z0-9._-]+")  # as sent in Host and resolved: international names are xn-- here


class Outcome(NamedTuple):
    """The result of a request. ``status`` is None without a response; then ``error`` is the reason."""

    status: int | None
    error: str | None
    latency_ms: int

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check_url(url: str, *, allow_private: bool) -> "httpx.URL":
    """Parses ``url``. Raises UrlRefused if it can never be called. Names are resolved only for a call."""
    import httpx

    try:
        parsed = httpx.URL(url)
        host = parsed.host  # an international name is decoded only here
    except (httpx.InvalidURL, ValueError):
        raise UrlRefused("This is not a URL.", loc=("body", "url")) from None
    if parsed.scheme != "https" and not (allow_private and parsed.scheme == "http"):
        raise UrlRefused("The URL of a webhook begins with https://.", loc=("body", "url"))
    if not host or parsed.userinfo or parsed.fragment:
        raise UrlRefused("The URL must have a host, and neither a user nor a fragment.", loc=("body", "url"))
    address = _literal(host)
    if address is None and HOST_PATTERN.fullmatch(parsed.raw_host.decode("ascii")) is None:
        raise UrlRefused("The host name is not valid.", loc=("body", "url"))
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise UrlRefused("The port is not valid.", loc=("body", "url"))
    if not allow_private and address is not None and not is_public(address):
        raise UrlRefused(loc=("body", "url"))
    return parsed


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


class OutboundClient:
    """Sends webhook messages. Use as an async context manager."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        # Its own threads: slow DNS servers must not occupy the executor of the process.
        self._resolvers = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")

    @cached_property
    def _client(self) -> "httpx.AsyncClient":
        import httpx

        # No kept connections: one that was made for a name must not serve another name at the same IP address.
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=CALL_TIMEOUT, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_client" in vars(self):
            await self._client.aclose()
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        """Posts ``body`` to ``url``. Returns every failure of the other side as an outcome instead of raising."""
        import httpx

        started = time.perf_counter()
        status, reason = None, None
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                status = await self._post(url, body, headers)
        except UrlRefused as error:
            reason = error.detail
        except TimeoutError:
            reason = f"No response within {CALL_TIMEOUT:.0f} seconds."
        except (httpx.HTTPError, OSError, ValueError, OverflowError) as error:
            reason = f"{type(error).__name__}: {error}"[:300]
        return Outcome(status, reason, round((time.perf_counter() - started) * 1000))

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        target = check_url(url, allow_private=self._allow_private)
        address = await self._resolve(target)
        request = self._client.build_request(
            "POST",
            target.copy_with(host=address),
            content=body,
            headers={**headers, "Host": target.netloc.decode("ascii")},
            extensions={"sni_hostname": target.raw_host.decode("ascii").strip("[]")},
        )
        response = await self._client.send(request, stream=True)  # the body is not read
        await response.aclose()
        return response.status_code

    async def _resolve(self, target: "httpx.URL") -> str:
        port = target.port or (443 if target.scheme == "https" else 80)
        host = target.raw_host.decode("ascii").strip("[]")
        resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._resolvers, resolve)
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        if not self._allow_private and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
            raise UrlRefused
        return addresses[0]
