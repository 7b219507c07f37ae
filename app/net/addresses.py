"""IP addresses of clients, as they are counted and shown, and the names of this machine."""

import ipaddress
import re

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


def unmap_address(address: str) -> str:
    """Returns the IPv4 address in ``::ffff:a.b.c.d``, as a socket of both families shows it (RFC 4291, 2.5.5.2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return address if mapped is None else str(mapped)


def network_of(address: str) -> str:
    """Returns the network that one host has to itself: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(unmap_address(address))
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64 if parsed.version == 6 else 32), strict=False))


def is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
