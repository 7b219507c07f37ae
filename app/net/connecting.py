"""Connections to a host with several IP addresses, of which some may not respond (RFC 8305, Happy Eyeballs)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any, TypeVar

from app.net.special_addresses import Address

ATTEMPT_DELAY = 0.25  # seconds between the beginnings of two attempts: RFC 8305, 8
ATTEMPTS_MAX = 8  # addresses of a host: its owner decides how many there are, and all attempts may wait at once


Connection = TypeVar("Connection")


def in_order_of_attempts(addresses: Sequence[Address]) -> list[Address]:
    """Returns the addresses to try: alternating between the families, beginning with that of the first."""
    unique = list(dict.fromkeys(addresses))
    first = [address for address in unique if address.version == unique[0].version]
    other = [address for address in unique if address.version != unique[0].version]
    mixed = chain.from_iterable(zip_longest(first, other))
    return [address for address in mixed if address is not None][:ATTEMPTS_MAX]


async def connect_first(
    addresses: Sequence[Address],
    connect: Callable[[str], Awaitable[Connection]],
    close: Callable[[Connection], Awaitable[None]],
) -> Connection:
    """Returns the first connection that is made. The next attempt begins when one fails, or after ATTEMPT_DELAY.

    Raises the error of the last attempt that failed.
    """
    waiting = in_order_of_attempts(addresses)
    running: set[asyncio.Task[Connection]] = set()
    made: Connection | None = None
    error: BaseException = OSError("the host has no IP address")
    try:
        while made is None and (waiting or running):
            if waiting:
                running.add(asyncio.ensure_future(connect(str(waiting.pop(0)))))
            delay = ATTEMPT_DELAY if waiting else None
            done, running = await asyncio.wait(running, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.exception() is None and made is None:
                    made = task.result()
                elif task.exception() is None:
                    await close(task.result())
                else:
                    error = task.exception() or error
    finally:
        for task in running:
            task.cancel()
        for result in await asyncio.gather(*running, return_exceptions=True):
            if not isinstance(result, BaseException):
                await close(result)
    if made is None:
        raise error
    return made


async def connect_socket(host: str, port: int) -> socket.socket:
    """Returns a socket that is connected to ``host``. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    async def connect(address: str) -> socket.socket:
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, (address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def close(connection: socket.socket) -> None:
        connection.close()

    return await connect_first(resolved_addresses(found), connect, close)


def resolved_addresses(found: Sequence[tuple[Any, Any, Any, Any, tuple[Any, ...]]]) -> list[Address]:
    """Returns the IP addresses in a result of ``getaddrinfo``, without their zones."""
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
